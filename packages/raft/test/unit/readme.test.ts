import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RaftNode } from '../../src/index.ts';

const readme = readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8');
const library = readme.slice(readme.indexOf('## The library'));

test('the library example of the README runs and prints what the README says', async () => {
  const block = /```js\n([\s\S]*?)```/.exec(library)?.[1] ?? '';
  const promised = /It prints `([^`]+)`/.exec(library)?.[1];
  const body = block.replace("import { RaftNode } from 'nori-raft';", '');
  expect(body).not.toBe(block);
  const lines: unknown[] = [];
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
    ...source: string[]
  ) => (...values: unknown[]) => Promise<void>;
  await new AsyncFunction('RaftNode', 'console', body)(RaftNode, { log: (line: unknown) => lines.push(line) });
  expect(lines).toEqual([promised]);
});

test('every entry of nori-raft that the documentation names is exported', () => {
  const root = new URL('../../../../', import.meta.url);
  const pages = readdirSync(new URL('docs/', root)).filter((name) => name.endsWith('.md'));
  const texts = ['README.md', 'ARCHITECTURE.md', ...pages.map((name) => `docs/${name}`)].map((path) =>
    readFileSync(new URL(path, root), 'utf8'),
  );
  const named = new Set(texts.flatMap((text) => text.match(/(?<=[`'])nori-raft\/[a-z/]+/g) ?? []));
  const manifest = readFileSync(new URL('packages/raft/package.json', root), 'utf8');
  const { exports } = JSON.parse(manifest) as { exports: Record<string, unknown> };
  expect(named).toContain('nori-raft/testkit/conformance');
  expect([...named].filter((name) => !Object.hasOwn(exports, name.replace('nori-raft', '.')))).toEqual([]);
});
