import { readFileSync } from 'node:fs';
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
