import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SteppedClock } from '../support/stepped-clock.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep, until } from '../support/until.ts';
import { HistoryRecorder, windowsOf } from './history-recorder.ts';

const hourMs = 3_600_000;

test('steps of one node’s wall clock by 200 ms and an hour, back and forth, move no leader and make no read stale', {
  timeout: 90_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nori-clock-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const clocks = new Map(['n1', 'n2', 'n3'].map((id) => [id, new SteppedClock(directory, id)]));
  const clockOf = (id: string): SteppedClock => clocks.get(id) as SteppedClock;
  const cluster = await TestCluster.start({
    shards: 1,
    flags: ['--balance', 'off'],
    environmentOf: (id) => clockOf(id).environment,
  });
  onTestFinished(() => cluster.close());
  const before = await cluster.leaderOf(0);
  const follower = cluster.ids.find((id) => id !== before.id) as string;
  const ports = cluster.ids.map((id) => cluster.respPort(id));
  const recorder = new HistoryRecorder({ clients: 9, keys: 4, ports, patienceMs: 3_000 });
  const steps = [200, -200, hourMs, -hourMs, 0];
  for (const id of [before.id, follower]) {
    for (const offsetMs of steps) {
      clockOf(id).step(offsetMs);
      const { length } = recorder.operations;
      await sleep(600);
      await until(
        `${id} sees ${offsetMs} ms`,
        async () => Math.abs((await wallClockOf(cluster, id)) - Date.now() - offsetMs) < 5_000,
      );
      expect(recorder.operations.length - length, `${id} at ${offsetMs} ms`).toBeGreaterThan(20);
    }
  }
  await recorder.stop();

  const report = recorder.judge();
  console.log('recorded', recorder.counts);
  expect(report.verdict, `the windows:\n${windowsOf(report)}`).toBe('legal');
  expect(await cluster.leaderOf(0)).toEqual(before);
});

/** What the node stamps its HTTP answers with, a second late at most. */
async function wallClockOf(cluster: TestCluster, id: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${cluster.httpPort(id)}/healthz`);
  return Date.parse(response.headers.get('date') ?? '');
}
