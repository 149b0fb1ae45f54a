import { type AppliedEntry, RaftHost, type StateMachine } from 'nori-raft';

// One node of bench/src/reads-inside.ts, in a process of its own. The one that leads is told to read, and reads itself:
// so many readers, each awaiting its read before it makes the next.

const [, , id = '', port = '', dataDir = ''] = process.argv;
const base = Number(port);
const members = Object.fromEntries(['n1', 'n2', 'n3'].map((node, at) => [node, `127.0.0.1:${base + at}`]));
const keys = 1_000;
const valueBytes = 128;
/** A reader lets the event loop turn so often, as one does whose reads come from sockets or timers. */
const readsInARow = 16;

/** Commands are keys, each of which then has a value. */
class Values implements StateMachine {
  private readonly values = new Map<string, Uint8Array>();

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    return entries.map(({ command }) => {
      this.values.set(nameOf(command), new Uint8Array(valueBytes));
      return command;
    });
  }

  query(key: Uint8Array): Uint8Array {
    const value = this.values.get(nameOf(key));
    if (value === undefined) throw new Error('no such key');
    return value;
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    for (const name of this.values.keys()) yield Promise.resolve(Buffer.from(name));
  }

  restore(): Promise<void> {
    return Promise.reject(new Error('not needed here'));
  }
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

const host = await RaftHost.open({ id, members, listen: members[id] as string, dataDir, bootstrap: true });
await host.createGroup({ group: 1, stateMachine: new Values() });

export interface Order {
  readonly consistency: 'lease' | 'linearizable';
  readonly readers: number;
  readonly seconds: number;
}

export interface Result {
  readonly perSecond: number;
  readonly reads: number;
  readonly cpuUsPerRead: number;
  readonly framesPerRead: number;
  readonly syncsPerRead: number;
  /** How reads were proved: none may be by another way than was asked for. */
  readonly byLease: number;
}

async function read({ consistency, readers, seconds }: Order): Promise<Result> {
  const counters = (): readonly [number, number] => {
    const { transport, wal } = host.status();
    return [transport['framesSent'] ?? Number.NaN, wal['syncs'] ?? Number.NaN];
  };
  const before = counters();
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const untilMs = startMs + seconds * 1000;
  let reads = 0;
  let byLease = 0;
  const reader = async (first: number): Promise<void> => {
    for (let at = first; performance.now() < untilMs; at += 1) {
      const { via } = await host.read(1, Buffer.from(`key:${at % keys}`), { consistency });
      reads += 1;
      if (via === 'lease') byLease += 1;
      if (at % readsInARow === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: readers }, (_, at) => reader(at * 7)));
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const [frames, syncs] = counters();
  return {
    perSecond: (reads * 1000) / elapsedMs,
    reads,
    cpuUsPerRead: (user + system) / reads,
    framesPerRead: (frames - before[0]) / reads,
    syncsPerRead: (syncs - before[1]) / reads,
    byLease,
  };
}

async function fill(): Promise<void> {
  await Promise.all(Array.from({ length: keys }, (_, at) => host.execute(1, Buffer.from(`key:${at}`))));
}

process.on('message', (order: Order | 'fill' | 'leads') => {
  const answer = order === 'leads' ? Promise.resolve(host.isLeader(1)) : order === 'fill' ? fill() : read(order);
  answer.then(
    (result) => process.send?.({ result: result ?? null }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => void host.close({ handover: false }).then(() => process.exit(0)));
process.send?.({ result: 'ready' });
