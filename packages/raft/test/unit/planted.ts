import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { assert } from '../../src/base/assert.ts';
import type { Core } from './cluster.ts';

/** One edit of a source file. The text must be there exactly once, so that a control never rots unnoticed. */
export interface Edit {
  readonly file: string;
  readonly replace: string;
  readonly by: string;
}

const source = fileURLToPath(new URL('../../src/', import.meta.url));

/** Compiles the core with the edits into a directory of its own, and loads it. The core itself has no flags for bugs. */
export async function plantedCore(edits: readonly Edit[]): Promise<Core> {
  const target = mkdtempSync(join(tmpdir(), 'nori-planted-'));
  writeFileSync(join(target, 'package.json'), '{"type":"module"}');
  for (const folder of ['base', 'core']) {
    for (const name of readdirSync(join(source, folder))) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const file = `${folder}/${name}`;
      let text = readFileSync(join(source, file), 'utf8');
      for (const edit of edits) {
        if (edit.file !== file) continue;
        assert(text.split(edit.replace).length === 2, 'the text to replace is there exactly once');
        text = text.replace(edit.replace, () => edit.by);
      }
      const path = join(target, file.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, compiled(text));
    }
  }
  return (await import(/* @vite-ignore */ pathToFileURL(join(target, 'core/index.js')).href)) as Core;
}

const known: Map<string, string> = new Map();

function compiled(text: string): string {
  const before = known.get(text);
  if (before !== undefined) return before;
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  known.set(text, outputText);
  return outputText;
}
