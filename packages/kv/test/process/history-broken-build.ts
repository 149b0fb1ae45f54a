import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../../..', import.meta.url));

export interface Patch {
  /** Below the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/**
 * A copy of what is built, with its rules broken, and with the dependencies of the original: negative controls are
 * never a flag in the product. Returns the program.
 */
export function brokenBuild(patches: readonly Patch[]): { readonly program: string; readonly directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'nori-broken-'));
  const modules = join(directory, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(repository, 'node_modules'))) {
    if (!name.startsWith('nori-')) symlinkSync(join(repository, 'node_modules', name), join(modules, name));
  }
  for (const name of ['raft', 'kv']) {
    for (const part of ['package.json', 'dist', ...(name === 'kv' ? ['bin'] : [])]) {
      cpSync(join(repository, 'packages', name, part), join(directory, 'packages', name, part), { recursive: true });
    }
    symlinkSync(join(directory, 'packages', name), join(modules, `nori-${name}`));
  }
  for (const { file, from, to } of patches) {
    const path = join(directory, file);
    const text = readFileSync(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${file} does not hold ${JSON.stringify(from)} exactly once`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  }
  return { program: join(directory, 'packages/kv/bin/nori-kv.js'), directory };
}
