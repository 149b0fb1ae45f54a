import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AppliedEntry, RaftHost, type StateMachine } from 'nori-raft';
import { flags } from './flags.ts';

interface Latency {
  readonly writes: number;
  readonly p50: number;
  readonly p99: number;
}

const normalMs = 5000;

// A large group: how long its snapshot takes, how long a node takes that needs it, what that costs in memory, and
// whether anybody is elected meanwhile. The transfer is killed midway. Then: how long a restart takes with many entries
// after the last snapshot.

const values = flags({
  megabytes: { type: 'string', default: '1024' },
  entries: { type: 'string', default: '1000000' },
  dir: { type: 'string', default: tmpdir() },
  port: { type: 'string', default: '19700' },
  rate: { type: 'string', default: '' },
});

interface Status {
  readonly role: string;
  readonly applied: number;
  readonly leader: string | null;
  readonly state: number;
  readonly rss: number;
  readonly received: number;
  readonly sent: number;
  readonly installed: number;
  readonly elections: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mib = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(0)} MiB`;

class Node {
  readonly id: string;
  readonly events: string[] = [];
  rssMax = 0;
  private readonly root: string;
  private child: ChildProcess | null = null;
  private nextId = 1;
  private readonly waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();

  constructor(id: string, root: string) {
    this.id = id;
    this.root = root;
  }

  async start(): Promise<void> {
    const script = fileURLToPath(new URL('./snapshot-node.js', import.meta.url));
    const { megabytes, port, rate } = values;
    this.child = fork(script, [this.id, port, megabytes, join(this.root, this.id), rate], { stdio: 'inherit' });
    await new Promise<void>((resolve) => {
      this.child?.on('message', (said: { event?: string; id?: number; answer?: unknown; error?: string }) => {
        if (said.event === 'ready') resolve();
        if (said.event !== undefined) this.events.push(said.event);
        const waiter = this.waiting.get(said.id ?? 0);
        if (said.error === undefined) waiter?.resolve(said.answer);
        else waiter?.reject(new Error(said.error));
      });
    });
  }

  ask<T>(what: string, count = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      this.waiting.set(id, { resolve: (answer) => resolve(answer as T), reject });
      this.child?.send({ id, what, count });
    });
  }

  async status(): Promise<Status> {
    const status = await this.ask<Status>('status');
    this.rssMax = Math.max(this.rssMax, status.rss);
    return status;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }
}

async function transfer(root: string): Promise<void> {
  const nodes = ['n1', 'n2', 'n3'].map((id) => new Node(id, root));
  await Promise.all(nodes.map((node) => node.start()));
  const leader = await leaderOf(nodes);
  const behind = nodes.find((node) => node !== leader) as Node;
  await leader.ask('write', 100);
  await behind.kill('SIGKILL');
  await leader.ask('write', 100);
  const staying = nodes.filter((node) => node !== behind);
  await leader.ask('load');
  await sleep(1000);
  await leader.ask('p99');
  await sleep(normalMs);
  const normal = await leader.ask<Latency>('p99');
  tell('with nothing else going on', normal, normal);
  for (const node of staying) {
    const startMs = performance.now();
    await node.ask('snapshot');
    const seconds = (performance.now() - startMs) / 1000;
    console.log(`${node.id} takes a snapshot: ${seconds.toFixed(1)} s, ${rate(seconds)}`);
    tell(`while the ${node === leader ? 'leader' : 'follower'} takes it`, await leader.ask<Latency>('p99'), normal);
  }
  const before = await Promise.all(staying.map((node) => node.status()));
  for (const node of staying) node.rssMax = 0;
  await behind.start();
  const startMs = performance.now();
  const baseRss = (await behind.status()).rss;
  await leader.ask('p99');
  const half = Number(values.megabytes) << 19;
  let received = 0;
  while (received < half) {
    await sleep(20);
    received = (await behind.status()).received;
    await Promise.all(staying.map((node) => node.status()));
  }
  await behind.kill('SIGKILL');
  console.log(`the receiver is killed after ${mib(received)}`);
  await behind.start();
  let last = await behind.status();
  while (last.installed === 0) {
    await sleep(20);
    last = await behind.status();
    await Promise.all(staying.map((node) => node.status()));
  }
  const seconds = (performance.now() - startMs) / 1000;
  tell('while the leader sends it', await leader.ask<Latency>('p99'), normal);
  console.log(`it has it after ${seconds.toFixed(1)} s, ${rate(seconds)}, restart included`);
  console.log(`received before and after: ${mib(received)} + ${mib(last.received)}`);
  const after = await Promise.all(staying.map((node) => node.status()));
  const elections = after.reduce((sum, { elections: now }, at) => sum + now - (before[at] as Status).elections, 0);
  console.log(`elections meanwhile: ${elections + last.elections}`);
  const senderBase = (before[staying.indexOf(leader)] as Status).rss;
  console.log(
    `memory above before: sender ${mib(leader.rssMax - senderBase)}, receiver ${mib(behind.rssMax - baseRss)}`,
  );
  await leader.ask('quiet');
  let same = false;
  for (let attempt = 0; attempt < 200 && !same; attempt += 1) {
    await sleep(50);
    const states = await Promise.all(nodes.map((node) => node.status()));
    same = new Set(states.map(({ state, applied }) => `${state} ${applied}`)).size === 1;
  }
  console.log(`the states are ${same ? 'the same' : 'NOT THE SAME'}`);
  await Promise.all(nodes.map((node) => node.kill('SIGKILL')));
  if (!same || elections > 0) process.exitCode = 1;
}

/** Ratios within one run say more than the numbers: whatever else the machine does, it does to both. */
function tell(when: string, { writes, p50, p99 }: Latency, normal: Latency): void {
  const times = `${(p99 / normal.p99).toFixed(1)} times the normal`;
  console.log(`writes ${when}: ${writes}, median ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${times}`);
}

function rate(seconds: number): string {
  return `${(Number(values.megabytes) / seconds).toFixed(0)} MB/s`;
}

async function leaderOf(nodes: readonly Node[]): Promise<Node> {
  for (;;) {
    for (const node of nodes) if ((await node.status()).role === 'leader') return node;
    await sleep(20);
  }
}

class Counter implements StateMachine {
  count = 0;

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    this.count += entries.length;
    return entries.map(() => nothing);
  }

  query(): Uint8Array {
    return nothing;
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    yield new TextEncoder().encode(String(this.count));
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    let text = '';
    for await (const piece of image) text += new TextDecoder().decode(piece);
    this.count = Number(text);
  }
}

const nothing = new Uint8Array(0);

/** A cluster of one: nobody else is there to send what it has itself. */
async function restart(root: string): Promise<void> {
  const entries = Number(values.entries);
  const open = async (): Promise<{ host: RaftHost; counter: Counter }> => {
    const host = await RaftHost.open({
      id: 'n1',
      members: { n1: '' },
      dataDir: join(root, 'one'),
      snapshotEntries: 2e9,
    });
    const counter = new Counter();
    await host.createGroup({ group: 1, stateMachine: counter });
    return { host, counter };
  };
  const first = await open();
  await first.host.execute(1, new Uint8Array(64));
  await first.host.triggerSnapshot(1);
  const batch = 10_000;
  for (let done = 0; done < entries; done += batch) {
    await Promise.all(
      Array.from({ length: batch }, () => first.host.execute(1, new Uint8Array(64), { timeoutMs: 600_000 })),
    );
  }
  await first.host.close();
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  const second = await open();
  await second.host.readIndex(1);
  const ms = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const { count } = second.counter;
  console.log(
    `restart with ${count - 1} entries after the snapshot: ${(ms / 1000).toFixed(2)} s, ` +
      `${((user + system) / 1e6).toFixed(2)} s of processor time`,
  );
  await second.host.close();
  if (count < entries) process.exitCode = 1;
}

const root = mkdtempSync(join(values.dir, 'nori-snapshot-'));
try {
  await transfer(root);
  await restart(root);
} finally {
  rmSync(root, { recursive: true, force: true });
}
