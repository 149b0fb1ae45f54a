// Compiles the controls beside the build, where the compiler they use can be found, and runs them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = new URL('./', import.meta.url);
const target = new URL('../../dist/controls/', import.meta.url);
mkdirSync(fileURLToPath(target), { recursive: true });
const compilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};
for (const name of readdirSync(fileURLToPath(here))) {
  if (!name.endsWith('.ts')) continue;
  const { outputText } = ts.transpileModule(readFileSync(new URL(name, here), 'utf8'), { compilerOptions });
  writeFileSync(new URL(name.replace(/\.ts$/, '.js'), target), outputText);
}
const { main } = await import(new URL('main.js', target).href);
const all = await main(process.argv.slice(2), new URL('../../', import.meta.url).href);
process.exitCode = all ? 0 : 1;
