import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NodeProcess } from '../support/node-process.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { until } from '../support/until.ts';

const shards = 4;
/** One key of each shard. */
const keys = ['k2', 'k0', 'k3', 'k1'];

async function started(flags: readonly string[] = []): Promise<TestCluster> {
  const cluster = await TestCluster.start({ shards, flags: ['--balance', 'off', ...flags] });
  onTestFinished(() => cluster.close());
  return cluster;
}

async function fill(cluster: TestCluster, from: number, to: number): Promise<void> {
  const client = await cluster.connect('n1');
  for (let at = from; at < to; at += 1) {
    for (const key of keys) {
      expect(
        await until('a leader', async () => (await client.ask('SET', `{${key}}:${at}`, `${key} has ${at}`)) === 'OK'),
      ).toBe(true);
    }
  }
  client.close();
}

/** Flips a bit of every copy of the text in the log of a node that does not run. */
function flip(cluster: TestCluster, id: string, text: string): number {
  const wal = join(cluster.dataDir(id), 'wal');
  const files = readdirSync(wal).filter((file) => /^[0-9a-f]{16}\.wal$/.test(file));
  return files.reduce((flipped, name) => flipped + flipIn(join(wal, name), text), 0);
}

function flipIn(file: string, text: string): number {
  let flipped = 0;
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at)) {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x04, at);
    flipped += 1;
  }
  writeFileSync(file, bytes);
  return flipped;
}

async function shardOf(cluster: TestCluster, key: string): Promise<number> {
  const slot = Number(await cluster.ask('n1', 'CLUSTER', 'KEYSLOT', key));
  const { shards: all } = await cluster.view('n1');
  return all.findIndex(({ slots }) => slots[0] <= slot && slot <= slots[1]);
}

async function shardList(cluster: TestCluster): Promise<string> {
  const command = new NodeProcess(['shard', 'list', '--http', `127.0.0.1:${cluster.httpPort('n1')}`]);
  await command.exited;
  return command.stdout;
}

describe.each([['lmdb'], ['memory']])('a flipped bit in the log of one shard, keys in %s', (engine) => {
  test('costs that shard on that node, until the others have refilled it; all else goes on', async () => {
    const cluster = await started(['--engine', engine]);
    await fill(cluster, 0, 50);
    const hurt = 'n3';
    await cluster.process(hurt).kill();
    expect(flip(cluster, hurt, 'k0 has 20')).toBe(1);
    const shard = await shardOf(cluster, '{k0}');
    // While a majority is away the shard stays in quarantine, and the node serves what it has.
    await cluster.process('n2').kill();
    const node = cluster.startNode(hurt);
    await until('it is in quarantine', async () => {
      const { shards: seen } = await cluster.view(hurt);
      return (
        seen[shard]?.quarantine?.stage === 'quarantined' &&
        seen.every(({ quarantine }, at) => at === shard || !quarantine)
      );
    });
    expect(await shardList(cluster)).toContain(`shard ${shard} is in quarantine on ${hurt}: its log is damaged: `);
    const client = await cluster.connect(hurt);
    onTestFinished(() => client.close());
    await until('the other shards serve', async () => (await client.ask('SET', '{k1}:new', 'x')) === 'OK');
    expect(await client.ask('GET', '{k1}:49')).toBe('k1 has 49');
    const refused = await client.ask('SET', '{k0}:new', 'x');
    expect(String((refused as { code?: string }).code)).toMatch(/CLUSTERDOWN/);
    cluster.startNode('n2');
    await cluster.ready();
    expect(node.log.map(({ msg }) => msg)).toContain('the group is whole again on this node');
    await fill(cluster, 50, 60);
    for (const { digests } of await cluster.digests()) expect(new Set(digests).size).toBe(1);
    expect(await shardList(cluster)).not.toContain('quarantine');
    // It counts: with it and one other there is a majority.
    await cluster.process('n2').kill();
    await until('it votes', async () => (await client.ask('SET', '{k0}:again', 'y')) === 'OK');
    // And what is on its disk now is whole.
    await cluster.process(hurt).kill();
    cluster.startNode(hurt);
    cluster.startNode('n2');
    await cluster.ready();
    for (const { digests } of await cluster.digests()) expect(new Set(digests).size).toBe(1);
  });
});

test('a flipped bit in the keys on disk costs a node nothing but the time to build them anew', async () => {
  const cluster = await started();
  await fill(cluster, 0, 50);
  const hurt = 'n3';
  // In the tree for certain: it is written when the node stops.
  await cluster.process(hurt).stop();
  expect(flipIn(join(cluster.dataDir(hurt), 'state', 'data.mdb'), 'k0 has 20')).toBeGreaterThan(0);
  const node = cluster.startNode(hurt);
  await cluster.ready();
  const rebuilt = node.log.find(({ msg }) => msg === 'the keys on disk are built anew from the log and the snapshots');
  expect(rebuilt?.['why']).toMatch(/the record of \{k0\}:20 is not what was written/);
  const client = await cluster.connect(hurt);
  onTestFinished(() => client.close());
  await client.ask('READONLY');
  for (const key of keys) expect(await client.ask('GET', `{${key}}:20`)).toBe(`${key} has 20`);
  await fill(cluster, 50, 55);
  for (const { digests } of await cluster.digests()) expect(new Set(digests).size).toBe(1);
  expect(await shardList(cluster)).not.toContain('quarantine');
});

test('a shard is refilled by hand: nori-kv shard refill', async () => {
  const cluster = await started();
  await fill(cluster, 0, 20);
  const shard = await shardOf(cluster, '{k2}');
  const leader = await cluster.leaderOf(shard);
  const order = (id: string): NodeProcess =>
    new NodeProcess(['shard', 'refill', String(shard), '--http', `127.0.0.1:${cluster.httpPort(id)}`]);
  const asked = order(cluster.ids.find((id) => id !== leader.id) as string);
  expect((await asked.exited).code).toBe(0);
  await cluster.ready();
  // The leader itself, too: it loses its office by it.
  expect((await order((await cluster.leaderOf(shard)).id).exited).code).toBe(0);
  await cluster.ready();
  await fill(cluster, 20, 30);
  for (const { digests } of await cluster.digests()) expect(new Set(digests).size).toBe(1);
});

test('a copy that starts beside the original is refused, or makes the older one stop', async () => {
  const cluster = await started();
  await fill(cluster, 0, 10);
  const copy = mkdtempSync(join(tmpdir(), 'nori-kv-copy-'));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  await cluster.process('n3').kill();
  cpSync(cluster.dataDir('n3'), copy, { recursive: true });
  cluster.startNode('n3');
  await cluster.ready();
  await cluster.process('n3').kill();
  cluster.startNode('n3');
  await cluster.ready();
  // The copy is two lives behind, and knows less than its peers.
  await cluster.process('n3').kill();
  const impostor = cluster.startNode('n3', ['--data-dir', copy]);
  expect((await impostor.exited).code).not.toBe(0);
  expect(impostor.stderr).toMatch(/an old copy of the data directory, or a second process under the same id/);
  cluster.startNode('n3');
  await cluster.ready();
  await fill(cluster, 10, 20);
  for (const { digests } of await cluster.digests()) expect(new Set(digests).size).toBe(1);
});
