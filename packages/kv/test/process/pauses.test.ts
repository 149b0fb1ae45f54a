import { expect, onTestFinished, test } from 'vitest';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep, until } from '../support/until.ts';
import { HistoryRecorder, windowsOf } from './history-recorder.ts';

const timeout = 90_000;
const keys = 4;

async function loaded(patienceMs: number): Promise<{ cluster: TestCluster; recorder: HistoryRecorder }> {
  const cluster = await TestCluster.start({ shards: 1, flags: ['--balance', 'off'] });
  onTestFinished(() => cluster.close());
  const ports = cluster.ids.map((id) => cluster.respPort(id));
  return { cluster, recorder: new HistoryRecorder({ clients: 9, keys, ports, patienceMs }) };
}

test('a leader stopped for 5 s wakes among reads that came meanwhile, and answers none from the past', {
  timeout,
}, async () => {
  const { cluster, recorder } = await loaded(8_000);
  await sleep(500);
  const { id } = await cluster.leaderOf(0);
  const leader = cluster.process(id);
  leader.signal('SIGSTOP');
  onTestFinished(() => leader.signal('SIGCONT'));
  const { length: before } = recorder.operations;
  const reads: Promise<void>[] = [];
  for (let asked = 0; asked < 40; asked += 1) {
    await sleep(125);
    for (let key = 0; key < keys; key += 1) reads.push(recorder.read(cluster.respPort(id), `h${key}`));
  }
  const { length: meanwhile } = recorder.operations;
  leader.signal('SIGCONT');
  await Promise.all(reads);
  await sleep(500);
  await recorder.stop();

  const report = recorder.judge();
  expect(report.verdict, `the windows:\n${windowsOf(report)}`).toBe('legal');
  const late = recorder.operations.filter(({ client, returnedAt }) => Number(client) < 0 && returnedAt < Infinity);
  console.log('recorded', recorder.counts, { meanwhile: meanwhile - before, late: late.length });
  // Others went on while it slept, and what had waited for it was answered.
  expect(meanwhile - before).toBeGreaterThan(200);
  expect(late.length).toBeGreaterThan(100);
});

test('a leader that is stopped again and again, a few ms after it woke, answers no read from the past', {
  timeout,
}, async () => {
  const { cluster, recorder } = await loaded(3_000);
  await sleep(500);
  const endsAtMs = performance.now() + 6_000;
  let pauses = 0;
  while (performance.now() < endsAtMs) {
    const { id } = await cluster.leaderOf(0);
    const leader = cluster.process(id);
    onTestFinished(() => leader.signal('SIGCONT'));
    // Long enough for an election, and awake so briefly that it is stopped in the middle of whatever it does.
    for (let strobe = 0; strobe < 2; strobe += 1) {
      leader.signal('SIGSTOP');
      const reads = Array.from({ length: keys }, (_, key) => recorder.read(cluster.respPort(id), `h${key}`));
      void Promise.all(reads);
      await sleep(800);
      leader.signal('SIGCONT');
      await sleep(2 + Math.random() * 30);
      pauses += 1;
    }
  }
  await until('all are well again', () => cluster.ready().then(() => true));
  await recorder.stop();

  const report = recorder.judge();
  expect(report.verdict, `the windows:\n${windowsOf(report)}`).toBe('legal');
  console.log('recorded', recorder.counts, { pauses });
  expect(pauses).toBeGreaterThanOrEqual(4);
  // Writes wait for the lease of each leader that was stopped, so most of the time the clients do, too.
  expect(recorder.counts.ok).toBeGreaterThan(500);
});
