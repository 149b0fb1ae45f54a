import { describe, expect, onTestFinished, test } from 'vitest';
import { checkWorkload, expectIdentical } from '../support/check-workload.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep, until } from '../support/until.ts';
import { Workload } from '../support/workload.ts';

const clients = 16;
const writeMs = 20_000;
const kills = 3;
const shards = 4;

/**
 * A node that hears nobody refuses commands after an election timeout: what was refused must not be there later. Each in
 * its turn, for clients gather where nobody was killed.
 */
async function withoutQuorum(cluster: TestCluster): Promise<void> {
  for (const alone of cluster.ids) {
    const silent = cluster.ids.filter((id) => id !== alone).map((id) => cluster.process(id));
    for (const process of silent) process.signal('SIGSTOP');
    await sleep(2500);
    for (const process of silent) process.signal('SIGCONT');
    await cluster.ready();
  }
}

describe.each(['lmdb', 'memory'])('with keys in %s', (engine) => {
  test('nothing acknowledged is lost when leaders, and then all nodes, are killed under load', async () => {
    // Short enough that some commands give up while a shard has no leader: then the refusals are judged too.
    const cluster = await TestCluster.start({ shards, flags: ['--command-timeout-ms', '250', '--engine', engine] });
    onTestFinished(() => cluster.close());
    let next = 0;
    const workload = new Workload({
      clients,
      connect: () => {
        next += 1;
        return cluster.connect(cluster.ids[next % cluster.ids.length] as string);
      },
    });

    const startedAtMs = performance.now();
    workload.start();
    const moved: string[] = [];
    for (let round = 0; round < kills; round += 1) {
      await sleep(1500);
      const shard = round % shards;
      const leader = await cluster.leaderOf(shard);
      const acknowledgedBefore = workload.totals.acknowledged;
      await cluster.process(leader.id).kill();
      const others = cluster.ids.filter((id) => id !== leader.id);
      const successor = await cluster.leaderOf(shard, others);
      expect(successor.term, 'a new leader has a term of its own').toBeGreaterThan(leader.term);
      moved.push(`shard ${shard}: ${leader.id} in term ${leader.term}, then ${successor.id} in ${successor.term}`);
      await until(
        'writes go on without the killed node',
        () => workload.totals.acknowledged > acknowledgedBefore + 100,
      );
      cluster.startNode(leader.id);
      await cluster.ready();
    }
    await withoutQuorum(cluster);
    await sleep(Math.max(0, startedAtMs + writeMs - performance.now()));
    // All at once, with commands in flight on every connection.
    await cluster.killAll();
    await workload.stop();

    for (const id of cluster.ids) cluster.startNode(id);
    await cluster.ready();
    await checkWorkload(workload, cluster.respPort('n2'));
    expectIdentical(await cluster.digests());

    // What the run really did: without this the checks above prove nothing.
    const { totals, counters, histories } = workload;
    const exact = [...counters.values()].filter(({ unknown }) => unknown === 0);
    const judged = exact.filter(({ refused }) => refused > 0);
    console.log(
      JSON.stringify({ engine, ...totals, counters: counters.size, exact: exact.length, judged: judged.length, moved }),
    );
    expect(moved).toHaveLength(kills);
    expect(totals.acknowledged).toBeGreaterThan(2000);
    expect(totals.unknown, 'commands were in flight when nodes died').toBeGreaterThan(0);
    expect(totals.swapped).toBeGreaterThan(20);
    expect(totals.reads).toBeGreaterThan(100);
    expect(workload.written.length).toBeGreaterThan(300);
    expect(exact.length, 'counters whose value is known exactly').toBeGreaterThan(10);
    expect(judged.length, 'counters with refusals and nothing unknown').toBeGreaterThan(0);
    expect(histories.size).toBeGreaterThan(4);
  });
});
