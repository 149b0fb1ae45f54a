import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import type { Edit } from './control.ts';

/** The library as it is, compiled once, and as often as wanted again with a few edits. */
export class PatchedBuilds {
  private readonly source: string;
  private readonly root: string;
  private readonly plain: string;
  private count = 0;

  /** `source` is the library's src folder. */
  constructor(source: string) {
    this.source = source;
    this.root = mkdtempSync(join(tmpdir(), 'nori-controls-'));
    this.plain = join(this.root, 'plain');
    for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
      const file = name.replaceAll('\\', '/');
      // The simulator replaces every port, so that the real ones are not needed.
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file.startsWith('node/')) continue;
      this.compile(this.plain, file, readFileSync(join(source, file), 'utf8'));
    }
    writeFileSync(join(this.root, 'package.json'), '{"type":"module"}');
  }

  /** A folder with the compiled library, edited. @throws when a text is not there exactly once */
  build(edits: readonly Edit[]): string {
    this.count += 1;
    const target = join(this.root, `build-${this.count}`);
    cpSync(this.plain, target, { recursive: true });
    const texts = new Map<string, string>();
    for (const { file, replace, by } of edits) {
      const text = texts.get(file) ?? readFileSync(join(this.source, file), 'utf8');
      const found = text.split(replace).length - 1;
      if (found !== 1) throw new Error(`${file} has ${found} times instead of once: ${replace}`);
      texts.set(
        file,
        text.replace(replace, () => by),
      );
    }
    for (const [file, text] of texts) this.compile(target, file, text);
    return target;
  }

  discard(build: string): void {
    rmSync(build, { recursive: true, force: true });
  }

  discardAll(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private compile(target: string, file: string, text: string): void {
    const path = join(target, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(path), { recursive: true });
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    writeFileSync(path, outputText);
  }
}
