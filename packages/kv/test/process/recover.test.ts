import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { runTool, type ToolResult } from '../support/run-tool.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { until } from '../support/until.ts';

const program = fileURLToPath(new URL('../../bin/nori-kv.js', import.meta.url));
const recover = (dataDir: string, ...more: readonly string[]): Promise<ToolResult> =>
  runTool(process.execPath, [program, 'recover', '--data-dir', dataDir, ...more]);
const keys = 300;

async function filled(nodes: number): Promise<TestCluster> {
  const cluster = await TestCluster.start({ nodes, founders: 3, shards: 4 });
  onTestFinished(() => cluster.close());
  const client = await cluster.connect('n1');
  const replies = Array.from({ length: keys }, (_, at) => client.ask('SET', `key:${at}`, `value ${at}`));
  expect(new Set(await Promise.all(replies))).toEqual(new Set(['OK']));
  await cluster.digests(cluster.founders);
  return cluster;
}

async function readAll(cluster: TestCluster, id: string): Promise<void> {
  const client = await cluster.connect(id);
  const values = await Promise.all(Array.from({ length: keys }, (_, at) => client.ask('GET', `key:${at}`)));
  expect(values).toEqual(Array.from({ length: keys }, (_, at) => `value ${at}`));
}

test('two of three disks are destroyed: the third goes on as another cluster, and grows again; the dead stay out', async () => {
  const cluster = await filled(4);
  const n1 = cluster.dataDir('n1');
  // While it runs nothing is touched.
  expect(await recover(n1, '--survivors', '--accept-loss')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another process') as string,
  });
  await cluster.killAll();
  rmSync(cluster.dataDir('n2'), { recursive: true });

  const said = await recover(n1, '--survivors');
  expect([said.code, said.stderr]).toEqual([0, '']);
  expect(said.stdout).toMatch(/^DATA MAY BE LOST/);
  expect(said.stdout).toMatch(
    /shard 3: goes on with the log of n1, through entry \d+ of term \d+\. What was acknowledged by n2, n3 without it is lost/,
  );
  expect(said.stdout).toContain('Nothing was changed');
  const done = await recover(n1, '--survivors', '--accept-loss');
  expect([done.code, done.stderr]).toEqual([0, '']);

  cluster.startNode('n1');
  await cluster.ready(['n1']);
  await readAll(cluster, 'n1');
  expect(await cluster.ask('n1', 'SET', 'after', 'the flood')).toBe('OK');

  // n3 was only thought to be dead. It is told why it has no place here, and moves no leader.
  const before = await Promise.all([0, 1, 2, 3].map((shard) => cluster.leaderOf(shard, ['n1'])));
  const n3 = cluster.startNode('n3');
  await until('n3 is refused', () => Promise.resolve(n3.stdout.includes('WRONG_CLUSTER')));
  const after = await Promise.all([0, 1, 2, 3].map((shard) => cluster.leaderOf(shard, ['n1'])));
  expect(after).toEqual(before);
  expect(await cluster.ask('n1', 'GET', 'after')).toBe('the flood');
  await n3.kill();

  await cluster.join('n4', 'n1');
  await readAll(cluster, 'n4');
  // Its usual flags still name the old founders; the directory knows better.
  await cluster.process('n1').kill();
  cluster.startNode('n1');
  await cluster.ready(['n1', 'n4']);
  for (const { digests } of await cluster.digests(['n1', 'n4'])) expect(new Set(digests).size).toBe(1);
});

test('survivors that are a majority are told to start; reports that do not fit are refused', async () => {
  const cluster = await filled(3);
  await cluster.killAll();
  const reports: string[] = [];
  for (const id of ['n1', 'n2']) {
    const { code, stdout } = await recover(cluster.dataDir(id));
    expect(code).toBe(0);
    const path = join(cluster.directory, `${id}.json`);
    writeFileSync(path, stdout);
    reports.push(path);
  }
  const [n1, n2] = reports as [string, string];
  const whole = await recover(cluster.dataDir('n1'), '--accept-loss', '--survivors', n1, n2);
  expect(whole).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('a majority of every group: start them') as string,
  });
  for (const mode of [[], ['--accept-loss']]) {
    const foreign = await recover(cluster.dataDir('n1'), ...mode, '--survivors', n2);
    expect(foreign).toMatchObject({ code: 1, stderr: expect.stringContaining('none of the reports') as string });
  }
  // Nothing was changed.
  for (const id of cluster.ids) cluster.startNode(id);
  await cluster.ready();
  await readAll(cluster, 'n3');
});
