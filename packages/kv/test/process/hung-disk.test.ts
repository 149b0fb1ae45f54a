import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HeldDisks } from '../support/held-disk.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep } from '../support/until.ts';
import { HistoryRecorder, windowsOf } from './history-recorder.ts';

const commandTimeoutMs = 2_500;

test('a leader whose fdatasync hangs loses its office, writes go on without it, and it follows when its disk answers', {
  timeout: 90_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nori-held-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const disks = await HeldDisks.in(directory);
  const cluster = await TestCluster.start({
    shards: 1,
    flags: ['--balance', 'off', '--command-timeout-ms', String(commandTimeoutMs)],
    environmentOf: (id) => disks.environmentOf(id),
  });
  onTestFinished(() => cluster.close());
  const ports = cluster.ids.map((id) => cluster.respPort(id));
  const recorder = new HistoryRecorder({ clients: 9, keys: 4, ports, patienceMs: 6_000 });
  await sleep(500);
  const before = await cluster.leaderOf(0);
  const others = cluster.ids.filter((id) => id !== before.id);

  disks.hold(before.id);
  onTestFinished(() => disks.release(before.id));
  const heldAtMs = performance.now();
  const after = await cluster.leaderOf(0, others);
  expect(performance.now() - heldAtMs).toBeLessThan(5_000);
  expect(after.term).toBeGreaterThan(before.term);
  // What the hung leader had taken waits there for its disk, until its callers' time is over.
  await sleep(commandTimeoutMs + 1_500);
  const { length } = recorder.operations;
  await sleep(1_000);
  expect(recorder.operations.length - length, 'calls answered in a second without the hung node').toBeGreaterThan(50);
  expect(cluster.process(before.id).alive).toBe(true);

  disks.release(before.id);
  await cluster.ready();
  await recorder.stop();
  const report = recorder.judge();
  console.log('recorded', recorder.counts);
  expect(report.verdict, `the windows:\n${windowsOf(report)}`).toBe('legal');
  const [digest] = await cluster.digests();
  expect(new Set(digest?.digests).size).toBe(1);
});
