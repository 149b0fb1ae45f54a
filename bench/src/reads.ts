import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchCluster, type BenchNode } from './cluster.ts';
import { flags } from './flags.ts';
import { load, sleep } from './load.ts';
import { printInside } from './reads-inside.ts';

// Reads proved by the leader's lease, beside the same proved by a round to a majority: made in its own process, and by
// Redis clients; and what each costs in messages, disk waits and processor time, by the leader's own counters.

const options = {
  seconds: { type: 'string', default: '4' },
  runs: { type: 'string', default: '3' },
  connections: { type: 'string', default: '64' },
  pipeline: { type: 'string', default: '1' },
  dir: { type: 'string', default: tmpdir() },
  port: { type: 'string', default: '19700' },
} as const;

const values = flags(options);
type Mode = 'lease' | 'linearizable';

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

async function run(leader: BenchNode, command: 'GET' | 'PING'): Promise<Run> {
  const seconds = Number(values.seconds);
  const connections = Number(values.connections);
  const [, idle] = await measured(leader, () => sleep(seconds * 1000));
  const [result, cost] = await measured(leader, () =>
    load({
      ports: [leader.respPort],
      connections,
      pipeline: Number(values.pipeline),
      seconds,
      command,
      keys: 1_000,
      valueBytes: 128,
    }),
  );
  return { ...result, reads: result.commands, cost, idle };
}

/** The reads, and beside them the same clients without any: what a connection costs. */
async function measure(mode: Mode, parent: string, port: number): Promise<{ readonly get: Run; readonly ping: Run }> {
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
    const runs = { get: [] as Run[], ping: [] as Run[] };
    for (let at = 0; at < Number(values.runs); at += 1) {
      runs.get.push(await run(leader, 'GET'));
      runs.ping.push(await run(leader, 'PING'));
    }
    const median = (of: readonly Run[]): Run => of.toSorted((a, b) => a.perSecond - b.perSecond)[of.length >> 1] as Run;
    return { get: median(runs.get), ping: median(runs.ping) };
  } finally {
    await cluster.stop();
  }
}

function line(title: string, { perSecond, p50Ms, p99Ms, errors, reads, cost, idle }: Run): string {
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
  return title.padEnd(14) + cells.map((cell, at) => cell.padStart(widths[at] as number)).join('');
}

const directory = mkdtempSync(join(values.dir, 'nori-reads-'));
try {
  const port = Number(values.port);
  const amount = { readers: Number(values.connections), seconds: Number(values.seconds), runs: Number(values.runs) };
  await printInside(directory, { port: port + 100, ...amount });
  console.log(
    `GET at the leader of one shard, ${values.connections} connections, pipeline ${values.pipeline}, median of ${values.runs} runs of ${values.seconds} s`,
  );
  console.log('frames and fdatasyncs: by the counters of the leader, less what it does when nobody reads\n');
  console.log(
    'reads             per second   p50 ms   p99 ms   errors   frames a read   fdatasync a read   CPU us a read',
  );
  const lease = await measure('lease', directory, port);
  console.log(line('lease', lease.get));
  const round = await measure('linearizable', directory, port + 50);
  console.log(line('linearizable', round.get));
  console.log(line('PING', lease.ping));
  const perRead = ({ cost, reads }: Run): number => (cost.cpuSeconds * 1e6) / reads;
  const times = lease.get.perSecond / round.get.perSecond;
  const cpuTimes = perRead(round.get) / perRead(lease.get);
  const connectionUs = perRead(lease.ping);
  console.log(
    `\na lease read against a round: ${times.toFixed(1)} times the throughput, ${cpuTimes.toFixed(1)} times less processor time of the leader;` +
      ` of its ${perRead(lease.get).toFixed(1)} us a PING, which reads nothing, takes ${connectionUs.toFixed(1)}`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
