// Node runs no TypeScript: the build tool of the tests does.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const { module } = await runnerImport(fileURLToPath(new URL('main.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'silent',
});
process.exitCode = (await module.main(process.argv.slice(2))) ? 0 : 1;
