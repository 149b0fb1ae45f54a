import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { RespClient, RespValue } from '../support/resp-client.ts';
import { runTool, type ToolResult } from '../support/run-tool.ts';
import { TestCluster } from '../support/test-cluster.ts';

const program = fileURLToPath(new URL('../../bin/nori-kv.js', import.meta.url));
const nori = (...args: readonly string[]): Promise<ToolResult> => runTool(process.execPath, [program, ...args]);
const httpOf = (cluster: TestCluster): string => `127.0.0.1:${cluster.httpPort('n1')}`;
const oneLine = expect.stringMatching(/^nori-kv: [^\n]+\n$/);

const keys = 1500;
const nameOf = (number: number): string =>
  number % 100 === 0 ? `\xff\0${'long'.repeat(500)}${number}` : `key:${number}`;
const valueOf = (number: number): string => (number % 50 === 0 ? 'v'.repeat(20_000 + number) : `value ${number}`);

async function fill(client: RespClient): Promise<void> {
  const replies: Promise<RespValue>[] = [];
  for (let number = 0; number < keys; number += 1) {
    const name = Buffer.from(nameOf(number), 'latin1');
    const lifetime = number % 3 === 0 ? ['px', 3_600_000 + number] : number % 3 === 1 ? [] : ['px', 2500 + number];
    replies.push(client.ask('SET', name, valueOf(number), ...(number % 7 === 0 ? lifetime : [])));
  }
  expect(new Set(await Promise.all(replies))).toEqual(new Set(['OK']));
}

/** Writes keys that the backup may or may not have, until `over`; answers how many writes there were. */
async function disturb(client: RespClient, over: Promise<unknown>): Promise<number> {
  const stop = new AbortController();
  void over.finally(() => stop.abort());
  let writes = 0;
  for (; !stop.signal.aborted; writes += 1) await client.ask('SET', `hot:${writes % 500}`, writes);
  return writes;
}

describe.each([
  ['lmdb', 'memory'],
  ['memory', 'lmdb'],
] as const)('a backup of a cluster with keys in %s', (from, to) => {
  test(`taken while it is written to, fills a new one with other shards and keys in ${to}, and the digests are alike`, async () => {
    const old = await TestCluster.start({ shards: 4, flags: ['--engine', from] });
    onTestFinished(() => old.close());
    const client = await old.connect('n2');
    await fill(client);
    const file = join(old.directory, 'all.backup');
    const taking = nori('backup', file, '--http', httpOf(old));
    expect(await disturb(await old.connect('n3'), taking)).toBeGreaterThan(10);
    const taken = await taking;
    expect([taken.code, taken.stderr]).toEqual([0, '']);
    expect(taken.stdout).toMatch(/all\.backup: \d+ keys of 4 shards, \d+ bytes, digest [0-9a-f]{16}\n$/);
    await old.killAll();

    const fresh = await TestCluster.start({ shards: 7, flags: ['--engine', to] });
    onTestFinished(() => fresh.close());
    const restored = await nori('restore', file, '--http', httpOf(fresh));
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    expect(restored.stdout).toContain('the digest of the cluster is that of the backup');
    console.log(taken.stdout + restored.stdout);
    const reader = await fresh.connect('n3');
    const lasting = Array.from({ length: keys }, (_, number) => number).filter(
      (number) => number % 3 !== 2 || number % 7 !== 0,
    );
    const values = await Promise.all(lasting.map((number) => reader.ask('GET', Buffer.from(nameOf(number), 'latin1'))));
    expect(values).toEqual(lasting.map(valueOf));
    expect(await reader.ask('PTTL', 'key:21')).toBeGreaterThan(3_000_000);
    expect(await reader.ask('PTTL', 'key:1')).toBe(-1);

    const again = await nori('restore', file, '--http', httpOf(fresh));
    expect(again).toMatchObject({ code: 1, stderr: oneLine });
    expect(again.stderr).toContain('restore into a new one');
  });
});

test('a backup that is damaged or cut short is refused before anything is written', async () => {
  const cluster = await TestCluster.start({ nodes: 1, shards: 2 });
  onTestFinished(() => cluster.close());
  await fill(await cluster.connect('n1'));
  const file = join(cluster.directory, 'good.backup');
  expect(await nori('backup', file, '--http', httpOf(cluster))).toMatchObject({ code: 0 });
  expect(await cluster.ask('n1', 'FLUSHALL')).toBe('OK');
  const whole = readFileSync(file);
  const bad = join(cluster.directory, 'bad.backup');
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1] = (flipped[whole.length >> 1] as number) ^ 1;
  for (const bytes of [flipped, whole.subarray(0, whole.length - 1), whole.subarray(0, 10), Buffer.from('hello')]) {
    writeFileSync(bad, bytes);
    const refused = await nori('restore', bad, '--http', httpOf(cluster));
    expect(refused).toMatchObject({ code: 1, stderr: oneLine });
    expect(await cluster.ask('n1', 'DBSIZE')).toBe(0);
  }
  truncateSync(bad);
  rmSync(bad);
  expect(await nori('restore', bad, '--http', httpOf(cluster))).toMatchObject({ code: 1, stderr: oneLine });
});

test('backup and restore want the password of the cluster', async () => {
  const cluster = await TestCluster.start({ nodes: 1, shards: 2, flags: ['--password', 'sesame'] });
  onTestFinished(() => cluster.close());
  const file = join(cluster.directory, 'guarded.backup');
  const refused = await nori('backup', file, '--http', httpOf(cluster));
  expect(refused).toMatchObject({ code: 1, stderr: oneLine });
  expect(refused.stderr).toContain('password');
  const taken = await nori('backup', file, '--http', httpOf(cluster), '--password', 'sesame');
  expect([taken.code, taken.stderr]).toEqual([0, '']);
  const restored = await nori('restore', file, '--http', httpOf(cluster), '--password', 'sesame');
  expect([restored.code, restored.stderr]).toEqual([0, '']);
});
