import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freeBasePort, isFree } from '../support/free-ports.ts';
import { NodeProcess } from '../support/node-process.ts';
import { RespClient } from '../support/resp-client.ts';
import { runTool } from '../support/run-tool.ts';
import { until } from '../support/until.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nori-kv-start-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `nori-kv start`, ready; whatever happens, it is gone after the test. */
async function startCluster(args: readonly string[], name: string): Promise<NodeProcess> {
  const started = new NodeProcess(['start', '--data', join(directory, name), ...args]);
  onTestFinished(() => endFamily(started, name));
  await until('it says what to type', () => {
    if (started.exit !== null) throw new Error(`it ended: ${started.stderr}`);
    return started.stdout.includes('Ctrl-C stops everything.');
  });
  return started;
}

/** The nodes whose data is below `name`, as the system sees them. */
async function nodesOf(name: string): Promise<number[]> {
  const { stdout } = await runTool('pgrep', ['-f', '--', `--data-dir ${join(directory, name)}/`]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function pidOf(id: string, name: string): Promise<number> {
  return Number(readFileSync(join(directory, name, id, 'LOCK'), 'utf8'));
}

async function endFamily(started: NodeProcess, name: string): Promise<void> {
  if (started.alive) await started.kill();
  for (const pid of await nodesOf(name)) process.kill(pid, 'SIGKILL');
}

async function ask(port: number, ...args: string[]): Promise<unknown> {
  const client = await RespClient.open(port);
  try {
    return await client.ask(...args);
  } finally {
    client.close();
  }
}

describe('nori-kv start', () => {
  test('says what to type, starts a killed node again, stops everything, and has the data next time', async () => {
    const base = await freeBasePort(3);
    const args = ['--base-port', String(base), '--shards', '4'];
    const first = await startCluster(args, 'life');

    // What it tells people to type works as it stands there.
    const lines = first.stdout.split('\n').filter((line) => line.includes('redis-cli'));
    expect(lines.length).toBeGreaterThanOrEqual(3);
    for (const line of lines) {
      const [program = '', ...words] = (line.split('#')[0] ?? '').trim().split(/\s+/);
      const result = await runTool(program, words);
      expect(`${result.code} ${result.stderr}`, `typed: ${line}`).toBe('0 ');
    }
    expect(await ask(base + 2, 'GET', 'hello')).toBe('world');
    expect(await ask(base + 3, 'GET', 'visits')).toBe('1');

    const status = await runTool(process.execPath, [
      'packages/kv/bin/nori-kv.js',
      'status',
      '--http',
      `127.0.0.1:${base + 101}`,
    ]);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^node +state +resp +http +peer +leads$/m);
    for (const id of ['n1', 'n2', 'n3']) expect(status.stdout).toMatch(new RegExp(`^${id} +alive +127`, 'm'));
    expect(status.stdout).toMatch(/^3 +12288-16383 +n[123] /m);

    const before = await pidOf('n2', 'life');
    process.kill(before, 'SIGKILL');
    await until('n2 is back', () => first.stdout.includes('n2 is back'));
    expect(await pidOf('n2', 'life')).not.toBe(before);
    expect(await ask(base + 2, 'GET', 'hello')).toBe('world');

    expect(await first.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await nodesOf('life')).toEqual([]);
    expect(first.stderr).toBe('');

    const second = await startCluster(args, 'life');
    expect(await ask(base + 1, 'GET', 'hello')).toBe('world');
    expect(await second.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(await nodesOf('life')).toEqual([]);

    const elsewhere = String(await freeBasePort(3));
    const third = new NodeProcess([
      'start',
      '--data-dir',
      join(directory, 'life'),
      '--base-port',
      elsewhere,
      '--shards',
      '4',
    ]);
    expect((await third.ended()).code).toBe(1);
    expect(third.stderr).toMatch(
      new RegExp(`^nori-kv: .*give --base-port ${base} as before, or another .* --data\\n$`),
    );
    expect(await nodesOf('life')).toEqual([]);
  });

  test('--nodes 1 is a cluster of one', async () => {
    const base = await freeBasePort(1);
    const started = await startCluster(['--nodes', '1', '--base-port', String(base)], 'single');
    expect(await ask(base + 1, 'SET', 'a', 'b')).toBe('OK');
    expect(await ask(base + 1, 'GET', 'a')).toBe('b');
    expect(await started.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await nodesOf('single')).toEqual([]);
  });

  test('--no-restart leaves a killed node dead, and ends when none is left', async () => {
    const base = await freeBasePort(3);
    const started = await startCluster(['--no-restart', '--base-port', String(base)], 'dead');
    process.kill(await pidOf('n1', 'dead'), 'SIGKILL');
    await until('it says so', () => started.stdout.includes('n1 ended (SIGKILL) and is left so'));
    expect(await nodesOf('dead')).toHaveLength(2);
    await until('the others go on', async () => (await ask(base + 2, 'SET', 'a', 'b')) === 'OK');
    for (const id of ['n2', 'n3']) process.kill(await pidOf(id, 'dead'), 'SIGKILL');
    expect((await started.ended()).code).toBe(1);
    expect(started.stderr).toBe('nori-kv: no node is left running; the logs say why\n');
  });

  test('when the supervisor is killed, its nodes stop by themselves', async () => {
    const base = await freeBasePort(3);
    const started = await startCluster(['--base-port', String(base)], 'orphans');
    expect(await nodesOf('orphans')).toHaveLength(3);
    await started.kill();
    await until('no node is left', async () => (await nodesOf('orphans')).length === 0);
  });

  test.each([
    ['RESP', 2],
    ['HTTP', 103],
    ['peer', 201],
  ])('a %s port in use: one line, and nothing left running', async (what, offset) => {
    const base = await freeBasePort(3);
    const squatter = createServer().listen(base + offset, '127.0.0.1');
    await once(squatter, 'listening');
    onTestFinished(() => void squatter.close());
    const started = new NodeProcess(['start', '--data', join(directory, what), '--base-port', String(base)]);
    onTestFinished(() => endFamily(started, what));
    expect((await started.ended()).code).toBe(1);
    expect(started.stderr).toMatch(
      new RegExp(`^nori-kv: n[123] cannot start: .*127.0.0.1:${base + offset}.*(in use|EADDRINUSE); .*\\n$`),
    );
    expect(await nodesOf(what)).toEqual([]);
    // The ports of the nodes that did start are free again.
    for (const other of [base + 1, base + 3, base + 101]) expect(await isFree(other)).toBe(true);
  });

  test('a data directory that cannot be made: one line', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const started = new NodeProcess(['start', '--data', join(file, 'below'), '--base-port', '18000']);
    expect((await started.ended()).code).not.toBe(0);
    expect(started.stderr).toMatch(/^nori-kv: cannot make the data directory .*ENOTDIR; choose another with --data\n$/);
  });

  test('status of a cluster that is not there: one line', async () => {
    const base = await freeBasePort(1);
    const status = new NodeProcess(['status', '--http', `127.0.0.1:${base + 1}`]);
    expect((await status.ended()).code).toBe(1);
    expect(status.stderr).toMatch(/^nori-kv: no answer from http:.*is the node running\?.*\n$/);
  });
});
