#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runCli } from '../dist/testkit/cli.js';

process.exitCode = await runCli(process.argv.slice(2), {
  print: (line) => process.stdout.write(`${line}\n`),
  writeFile: (path, text) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  },
  readFile: (path) => readFileSync(path, 'utf8'),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  runWorker: (args, onLine) =>
    new Promise((resolve, reject) => {
      const worker = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: worker.stdout });
      lines.on('line', onLine);
      const drained = new Promise((done) => lines.on('close', done));
      worker.on('error', reject);
      worker.on('exit', (code, signal) => {
        const judged = drained.then(() => {
          if (code !== 0) throw new Error(`a worker ended with ${code ?? signal}`);
        });
        resolve(judged);
      });
    }),
  loadWorkload: async (path) => (await import(pathToFileURL(resolve(path)).href)).default,
});
