import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NodeProcess } from '../support/node-process.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep } from '../support/until.ts';
import { brokenBuild } from './history-broken-build.ts';
import { HistoryRecorder, windowsOf } from './history-recorder.ts';

const timeout = 90_000;

async function clusterOf(program?: string): Promise<TestCluster> {
  const cluster = await TestCluster.start({ shards: 2, ...(program === undefined ? {} : { program }) });
  onTestFinished(() => cluster.close());
  return cluster;
}

function recorderOn(cluster: TestCluster, load = { clients: 16, keys: 5 }): HistoryRecorder {
  const ports = cluster.ids.map((id) => cluster.respPort(id));
  return new HistoryRecorder({ ...load, ports, patienceMs: 3000 });
}

/** What the command says of the same history. */
async function verdictOfCommand(cluster: TestCluster, recorder: HistoryRecorder): Promise<NodeProcess> {
  const file = join(cluster.directory, 'history.jsonl');
  writeFileSync(file, recorder.toJsonLines());
  const command = new NodeProcess(['check-history', file]);
  await command.ended();
  return command;
}

describe('histories of three real processes', () => {
  test('are linearizable through kill -9, pauses and restarts', { timeout }, async () => {
    const cluster = await clusterOf();
    const recorder = recorderOn(cluster);
    const faults = { kills: 0, pauses: 0, restarts: 0 };
    const endsAtMs = performance.now() + 20_000;
    for (let round = 0; performance.now() < endsAtMs; round += 1) {
      await sleep(700);
      // Leaders and others in turn: leaders are where reads and writes go wrong.
      const victim = round % 3 === 2 ? cluster.ids[Math.floor(round / 3) % 3] : (await cluster.leaderOf(round % 2)).id;
      const process = cluster.process(victim as string);
      if (round % 2 === 0) {
        await process.kill();
        faults.kills += 1;
        await sleep(1200);
        cluster.startNode(victim as string);
        await cluster.ready();
        faults.restarts += 1;
      } else {
        process.signal('SIGSTOP');
        faults.pauses += 1;
        await sleep(1500);
        process.signal('SIGCONT');
      }
    }
    await cluster.ready();
    await sleep(500);
    await recorder.stop();

    const report = recorder.judge();
    console.log(
      'recorded',
      recorder.counts,
      faults,
      report.keys.map(({ steps }) => steps),
    );
    expect(report.verdict, `the windows:\n${windowsOf(report)}`).toBe('legal');
    // A run in which nothing happened proves nothing.
    expect(recorder.counts.ok).toBeGreaterThan(2000);
    expect(recorder.counts.unknown).toBeGreaterThan(5);
    expect(faults.kills).toBeGreaterThanOrEqual(3);
    expect(faults.restarts).toBe(faults.kills);
    expect(faults.pauses).toBeGreaterThanOrEqual(2);
    for (const name of ['GET', 'SET', 'CAS', 'DEL', 'SETNX']) {
      expect(
        recorder.operations.filter(({ command }) => command.name === name).length,
        `${name} calls`,
      ).toBeGreaterThan(20);
    }
    const command = await verdictOfCommand(cluster, recorder);
    expect(command.stdout).toContain('linearizable: yes');
    expect(command.exit?.code).toBe(0);
  });

  test('a build whose nodes answer reads from their own state is found out', { timeout }, async () => {
    const broken = brokenBuild([
      {
        file: 'packages/raft/dist/host/calls.js',
        from: "if (options.consistency === 'stale') {",
        to: 'if (true) {',
      },
      // On one idle machine replicas are hardly ever apart: this keeps each a little behind, at times of its own.
      {
        file: 'packages/raft/dist/host/applier.js',
        from: 'this.log.applied < this.through;',
        to: 'this.log.applied < this.through && (Date.now() + process.pid * 61) % 400 < 250;',
      },
    ]);
    onTestFinished(() => rmSync(broken.directory, { recursive: true, force: true }));
    const cluster = await clusterOf(broken.program);
    // Few calls on many keys: what is wrong everywhere is hard to cut down.
    const recorder = recorderOn(cluster, { clients: 6, keys: 12 });
    await sleep(4000);
    await recorder.stop();

    expect(recorder.counts.ok).toBeGreaterThan(100);
    const report = recorder.judge();
    console.log('recorded', recorder.counts, `\n${windowsOf(report)}`);
    expect(report.verdict).toBe('illegal');
    const windows = report.keys.flatMap(({ window }) => (window === null ? [] : [window]));
    // Where everything is broken the window is a local minimum; how small it gets elsewhere is tested beside the search.
    expect(Math.min(...windows.map(({ operations }) => operations.length))).toBeLessThan(
      recorder.operations.length / 20,
    );
    const command = await verdictOfCommand(cluster, recorder);
    expect(command.stdout).toContain('linearizable: no');
    expect(command.exit?.code).toBe(1);
  });
});
