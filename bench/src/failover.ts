import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchCluster, type BenchNode } from './cluster.ts';
import { EtcdCluster, etcdVersion, readEtcd, writeEtcd } from './etcd.ts';
import { flags } from './flags.ts';
import { sleep } from './load.ts';
import { Prober, RespTarget, type Target } from './prober.ts';

// How long nobody can read, and nobody can write, when a shard's leader is killed, stopped or asked to leave; and the
// same for etcd.

const options = {
  trials: { type: 'string', default: '9' },
  faults: { type: 'string', default: 'none,kill,stop,term,restart' },
  systems: { type: 'string', default: 'nori-kv,etcd' },
  shards: { type: 'string', default: '8' },
  'lease-ms': { type: 'string', default: '2000,250' },
  'down-ms': { type: 'string', default: '0' },
  dir: { type: 'string', default: tmpdir() },
  port: { type: 'string', default: '19500' },
} as const;

const faults = {
  // What the machine does to a cluster that nothing happens to: no gap below says anything.
  none: 'none',
  kill: 'kill -9',
  stop: 'SIGSTOP',
  term: 'SIGTERM',
  restart: 'kill -9, then a start',
} as const;
type Fault = keyof typeof faults;

/** Three nodes under test, whatever they run. */
interface System {
  readonly name: string;
  /** Everybody is well and knows the leader; then its name. */
  leader(): Promise<string>;
  signal(id: string, name: NodeJS.Signals): void;
  end(id: string, name: NodeJS.Signals): Promise<void>;
  start(id: string): void;
  /** Attempts on all nodes but one, of reads of a key nobody writes and of writes; and of such reads on that one. */
  probes(but: string): { readonly reads: Target[]; readonly writes: Target[]; readonly back: Target };
  stop(): Promise<void>;
}

interface Trial {
  readonly readGapMs: number;
  readonly writeGapMs: number;
  /** When a node that was started again answered a read itself, from the fault on. */
  readonly backMs: number;
}

/** Successes come in again before the fault, and so long after it at least. */
const before = 400;
const afterMs = 1_000;
const patienceMs = 15_000;

async function trial(system: System, fault: Fault, downMs: number): Promise<Trial> {
  const victim = await system.leader();
  const { reads, writes, back } = system.probes(victim);
  const reading = new Prober(reads);
  const writing = new Prober(writes);
  let returning: Prober | null = null;
  try {
    await sleep(before);
    const fromMs = performance.now();
    const ended = strike(system, victim, fault);
    if (fault === 'restart') {
      void ended.then(async () => {
        await sleep(downMs);
        system.start(victim);
        returning = new Prober([back]);
      });
    }
    const untilMs = fromMs + patienceMs;
    const backSince = (ms: number): boolean => reading.succeededSince(ms) && writing.succeededSince(ms);
    while (performance.now() < untilMs) {
      await sleep(50);
      const nowMs = performance.now();
      if (nowMs - fromMs > afterMs && backSince(nowMs - 300)) break;
    }
    const gaps = { readGapMs: reading.longestGapMs(fromMs), writeGapMs: writing.longestGapMs(fromMs) };
    const backMs = (await firstSuccess(returning, untilMs)) - fromMs;
    if (fault === 'stop') system.signal(victim, 'SIGCONT');
    await ended;
    if (fault === 'kill' || fault === 'term') system.start(victim);
    return { ...gaps, backMs };
  } finally {
    reading.stop();
    writing.stop();
    (returning as Prober | null)?.stop();
  }
}

async function firstSuccess(prober: Prober | null, untilMs: number): Promise<number> {
  if (prober === null) return Number.NaN;
  while (prober.firstSuccessMs === null && performance.now() < untilMs) await sleep(10);
  return prober.firstSuccessMs ?? Number.NaN;
}

function strike(system: System, victim: string, fault: Fault): Promise<void> {
  switch (fault) {
    case 'none':
      return Promise.resolve();
    case 'stop':
      system.signal(victim, 'SIGSTOP');
      return Promise.resolve();
    case 'term':
      return system.end(victim, 'SIGTERM');
    case 'kill':
    case 'restart':
      return system.end(victim, 'SIGKILL');
    default:
      throw new Error(`no such fault: ${String(fault)} (${Object.keys(faults).join(', ')})`);
  }
}

async function noriKv(parent: string, leaseMs: string, values: Values): Promise<System> {
  const directory = join(parent, `lease-${leaseMs}`);
  mkdirSync(directory);
  const cluster = await BenchCluster.start(directory, {
    shards: Number(values.shards),
    basePort: Number(values.port),
    // The balancer would move leaders while a trial runs.
    flags: { '--balance': 'off', '--log-level': 'error', '--lease-ms': leaseMs },
  });
  const nodeOf = (id: string): BenchNode => cluster.nodes.find((node) => node.id === id) as BenchNode;
  const key = 'untouched';
  const other = 'written:{untouched}';
  const slot = Number(await ask((cluster.nodes[0] as BenchNode).respPort, 'CLUSTER', 'KEYSLOT', key));
  await ask((cluster.nodes[0] as BenchNode).respPort, 'SET', key, 'x');
  return {
    name: `nori-kv, leaseMs ${leaseMs}`,
    async leader() {
      for (;;) {
        await cluster.ready();
        const views = await Promise.all(cluster.nodes.map((node) => cluster.shards(node)));
        const leaders = new Set(
          views.map((shards) => shards?.find(({ slots: [from, to] }) => from <= slot && slot <= to)?.leader ?? null),
        );
        const [leader] = leaders;
        if (leaders.size === 1 && typeof leader === 'string') return leader;
        await sleep(50);
      }
    },
    signal: (id, name) => nodeOf(id).signal(name),
    end: (id, name) => nodeOf(id).end(name),
    start: (id) => nodeOf(id).start(),
    probes: (but) => {
      const ports = cluster.nodes.filter(({ id }) => id !== but).map(({ respPort }) => respPort);
      return {
        reads: ports.map((port) => new RespTarget(port, 'GET', key)),
        writes: ports.map((port) => new RespTarget(port, 'SET', other, 'x')),
        back: new RespTarget(nodeOf(but).respPort, 'GET', key),
      };
    },
    stop: () => cluster.stop(),
  };
}

/** One command; an error is thrown. The integer or text of the answer. */
async function ask(port: number, ...args: readonly string[]): Promise<string> {
  let reply = '';
  const target = new RespTarget(port, ...args);
  target.onReply = (text) => {
    reply = text;
  };
  const succeeded = await target.attempt();
  target.close();
  if (!succeeded) throw new Error(`${args.join(' ')} was answered ${reply}`);
  return reply.slice(1).trim();
}

async function etcd(directory: string, values: Values, version: string): Promise<System> {
  const cluster = await EtcdCluster.start(directory, Number(values.port) + 100);
  const first = writeEtcd(cluster.clientPort('e1'), 'untouched');
  await first.attempt();
  first.close();
  return {
    name: `etcd ${version}`,
    async leader() {
      for (;;) {
        await cluster.ready();
        const leaders = new Set(await Promise.all(cluster.ids.map((id) => cluster.leader(id))));
        const [leader] = leaders;
        if (leaders.size === 1 && typeof leader === 'string') return leader;
        await sleep(50);
      }
    },
    signal: (id, name) => cluster.signal(id, name),
    end: (id, name) => cluster.end(id, name),
    start: (id) => cluster.startNode(id),
    probes: (but) => {
      const ports = cluster.ids.filter((id) => id !== but).map((id) => cluster.clientPort(id));
      return {
        reads: ports.map((port) => readEtcd(port, 'untouched')),
        writes: ports.map((port) => writeEtcd(port, 'written')),
        back: readEtcd(cluster.clientPort(but), 'untouched'),
      };
    },
    stop: () => cluster.stop(),
  };
}

type Values = Record<keyof typeof options, string>;

function line(system: string, fault: Fault, trials: readonly Trial[]): string {
  const columns = [
    trials.map(({ readGapMs }) => readGapMs),
    trials.map(({ writeGapMs }) => writeGapMs),
    trials.map(({ backMs }) => backMs),
  ].flatMap((gaps) => {
    const sorted = gaps.toSorted((a, b) => a - b);
    return [sorted[sorted.length >> 1], sorted.at(-1)].map((ms) => Math.round(ms ?? Number.NaN));
  });
  const cells = columns.map((ms) => (Number.isNaN(ms) ? '' : String(ms)).padStart(13)).join('');
  return `${system.padEnd(24)}${faults[fault].padEnd(24)}${String(trials.length).padStart(6)}${cells}`;
}

async function measure(system: System, values: Values): Promise<void> {
  try {
    for (const fault of values.faults.split(',') as Fault[]) {
      const trials: Trial[] = [];
      for (let count = 0; count < Number(values.trials); count += 1) {
        trials.push(await trial(system, fault, Number(values['down-ms'])));
      }
      console.log(line(system.name, fault, trials));
    }
  } finally {
    await system.stop();
  }
}

const values = flags(options);
const directory = mkdtempSync(join(values.dir, 'nori-failover-'));
try {
  console.log(
    'ms without a success after the fault, tried every 5 ms on the surviving nodes; of a node that is started',
  );
  console.log('again, ms from the fault until it answers a read itself\n');
  const titles = ['read median', 'read max', 'write median', 'write max', 'back median', 'back max']
    .map((title) => title.padStart(13))
    .join('');
  console.log(`${'system'.padEnd(24)}${'fault of the leader'.padEnd(24)}trials${titles}`);
  const systems = values.systems.split(',');
  for (const leaseMs of systems.includes('nori-kv') ? values['lease-ms'].split(',') : []) {
    await measure(await noriKv(directory, leaseMs, values), values);
  }
  const version = systems.includes('etcd') ? etcdVersion() : null;
  if (version !== null) await measure(await etcd(directory, values, version), values);
  else if (systems.includes('etcd')) console.log('etcd is not installed: nothing to compare with');
} finally {
  rmSync(directory, { recursive: true, force: true });
}
