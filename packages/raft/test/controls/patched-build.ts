import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, type Plugin, type Rolldown } from 'vite';
import type { Edit } from './control.ts';

const source = fileURLToPath(new URL('../../src/', import.meta.url));
/** What nori-kv imports by the name of the library is the patched library. */
const alias = [
  { find: 'nori-raft/testkit/linearizability', replacement: join(source, 'testkit/linearizability/index.ts') },
  { find: /^nori-raft$/, replacement: join(source, 'index.ts') },
];

/** The library with a few edits and the simulator around it, each in one file: the core itself has no flags for bugs. */
export class PatchedBuilds {
  private readonly root = mkdtempSync(join(tmpdir(), 'nori-controls-'));
  private count = 0;

  /** The file to run, from one in this folder. @throws when a text to replace is not in the library's sources exactly once */
  async build(entry: string, edits: readonly Edit[]): Promise<string> {
    const texts = edited(edits);
    this.count += 1;
    const file = join(this.root, `build-${this.count}.mjs`);
    writeFileSync(file, await bundled(fileURLToPath(new URL(entry, import.meta.url)), texts));
    return file;
  }

  discard(file: string): void {
    rmSync(file, { force: true });
  }

  discardAll(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The text of each file that is edited, by its path. @throws when a text to replace is not there exactly once */
export function edited(edits: readonly Edit[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { file, replace, by } of edits) {
    const path = join(source, file);
    const text = texts.get(path) ?? readFileSync(path, 'utf8');
    const found = text.split(replace).length - 1;
    if (found !== 1) throw new Error(`src/${file} has ${found} times instead of once: ${replace}`);
    texts.set(
      path,
      text.replace(replace, () => by),
    );
  }
  return texts;
}

async function bundled(entry: string, texts: ReadonlyMap<string, string>): Promise<string> {
  const left = new Set(texts.keys());
  const patch: Plugin = {
    name: 'controls',
    enforce: 'pre',
    load(id) {
      left.delete(id);
      return texts.get(id) ?? null;
    },
  };
  const built = await bundle({
    configFile: false,
    logLevel: 'silent',
    plugins: [patch],
    resolve: { alias },
    build: { ssr: entry, write: false, minify: false, target: 'node20', rolldownOptions: { treeshake: false } },
  });
  if (left.size > 0) throw new Error(`the simulator does not use ${[...left].join(', ')}`);
  const [{ code }] = (built as Rolldown.RolldownOutput).output;
  return code;
}
