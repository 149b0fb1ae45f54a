import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchCluster, type BenchNode } from './cluster.ts';
import { flags } from './flags.ts';
import { load, sleep } from './load.ts';

// GET at the leader, proved by its lease, beside the same proved by a round to a majority; and what each costs in
// messages, disk waits and processor time, by the leader's own counters.

const options = {
  seconds: { type: 'string', default: '4' },
  runs: { type: 'string', default: '3' },
  connections: { type: 'string', default: '64' },
  pipeline: { type: 'string', default: '1' },
  dir: { type: 'string', default: tmpdir() },
  port: { type: 'string', default: '19700' },
} as const;

const values = flags(options);
const modes = ['lease', 'linearizable'] as const;
type Mode = (typeof modes)[number];

const counterNames = {
  frames: 'raft_transport_frames_sent_total',
  syncs: 'raft_wal_syncs_total',
  cpuSeconds: 'process_cpu_seconds_total',
} as const;
type Counters = Record<keyof typeof counterNames, number>;

async function countersOf(node: BenchNode): Promise<Counters> {
  const text = await (await fetch(`http://127.0.0.1:${node.httpPort}/metrics`)).text();
  const valueOf = (name: string): number => {
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`/metrics has no ${name}`);
    return Number(value);
  };
  return {
    frames: valueOf(counterNames.frames),
    syncs: valueOf(counterNames.syncs),
    cpuSeconds: valueOf(counterNames.cpuSeconds),
  };
}

function since(before: Counters, after: Counters): Counters {
  return {
    frames: after.frames - before.frames,
    syncs: after.syncs - before.syncs,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  };
}

interface Run {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly reads: number;
  readonly cost: Counters;
  /** What the leader does in as much time when nobody reads: heartbeats. */
  readonly idle: Counters;
}

async function leaderOf(cluster: BenchCluster): Promise<BenchNode> {
  for (;;) {
    const leader = (await cluster.shards())?.[0]?.leader ?? null;
    const node = cluster.nodes.find(({ id }) => id === leader);
    if (node !== undefined) return node;
    await sleep(100);
  }
}

async function measured<T>(node: BenchNode, act: () => Promise<T>): Promise<[result: T, cost: Counters]> {
  const before = await countersOf(node);
  const result = await act();
  return [result, since(before, await countersOf(node))];
}

async function run(leader: BenchNode): Promise<Run> {
  const seconds = Number(values.seconds);
  const connections = Number(values.connections);
  const [, idle] = await measured(leader, () => sleep(seconds * 1000));
  const [result, cost] = await measured(leader, () =>
    load({
      ports: [leader.respPort],
      connections,
      pipeline: Number(values.pipeline),
      seconds,
      command: 'GET',
      keys: 1_000,
      valueBytes: 128,
    }),
  );
  return { ...result, reads: result.commands, cost, idle };
}

async function measure(mode: Mode, parent: string, port: number): Promise<Run> {
  const directory = join(parent, mode);
  mkdirSync(directory);
  const cluster = await BenchCluster.start(directory, {
    shards: 1,
    basePort: port,
    flags: { '--reads': mode, '--balance': 'off', '--log-level': 'warn' },
  });
  try {
    const leader = await leaderOf(cluster);
    const fill = { ports: [leader.respPort], connections: 16, pipeline: 1, keys: 1_000, valueBytes: 128 };
    await load({ ...fill, seconds: 1, command: 'SET' });
    const runs: Run[] = [];
    for (let at = 0; at < Number(values.runs); at += 1) runs.push(await run(leader));
    return runs.toSorted((a, b) => a.perSecond - b.perSecond)[runs.length >> 1] as Run;
  } finally {
    await cluster.stop();
  }
}

function line(mode: Mode, { perSecond, p50Ms, p99Ms, errors, reads, cost, idle }: Run): string {
  const perRead = (count: number): string => (count / reads).toFixed(4);
  const cells = [
    Math.round(perSecond).toLocaleString('en-US'),
    p50Ms.toFixed(2),
    p99Ms.toFixed(2),
    String(errors),
    perRead(Math.max(0, cost.frames - idle.frames)),
    perRead(Math.max(0, cost.syncs - idle.syncs)),
    ((cost.cpuSeconds * 1e6) / reads).toFixed(1),
  ];
  const widths = [14, 9, 9, 9, 15, 18, 12];
  return mode.padEnd(14) + cells.map((cell, at) => cell.padStart(widths[at] as number)).join('');
}

const directory = mkdtempSync(join(values.dir, 'nori-reads-'));
try {
  console.log(
    `GET at the leader of one shard, ${values.connections} connections, pipeline ${values.pipeline}, median of ${values.runs} runs of ${values.seconds} s`,
  );
  console.log('frames and fdatasyncs: by the counters of the leader, less what it does when nobody reads\n');
  console.log(
    'reads             per second   p50 ms   p99 ms   errors   frames a read   fdatasync a read   CPU us a read',
  );
  const results = new Map<Mode, Run>();
  for (const [at, mode] of modes.entries()) {
    const result = await measure(mode, directory, Number(values.port) + at * 50);
    results.set(mode, result);
    console.log(line(mode, result));
  }
  const [lease, round] = modes.map((mode) => results.get(mode) as Run) as [Run, Run];
  const perRead = ({ cost, reads }: Run): number => cost.cpuSeconds / reads;
  console.log(
    `\na lease read against a round: ${(lease.perSecond / round.perSecond).toFixed(1)} times the throughput, ${(perRead(round) / perRead(lease)).toFixed(1)} times less processor time of the leader`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
