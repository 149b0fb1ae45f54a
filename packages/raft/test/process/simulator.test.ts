import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const simulator = fileURLToPath(new URL('../../bin/sim.js', import.meta.url));

test('100 seeds with all faults break no promise, and everything happened that should have', async () => {
  const args = [simulator, '--seeds', '100', '--seconds', '30', '--workers', '2', '--no-shrink'];
  // It exits with 1 when a promise was broken or something never happened.
  const { stdout } = await promisify(execFile)(process.execPath, args).catch(
    ({ stdout: said }: { readonly stdout: string }) => ({ stdout: said }),
  );
  const lines = stdout.split('\n');
  expect(lines.filter((line) => /^seed |^never happened/.test(line))).toEqual([]);
  expect(stdout).toMatch(/^100 seeds, 0 failed, \d+ calls acknowledged$/m);
}, 600_000);
