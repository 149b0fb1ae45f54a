import { type AppliedEntry, type Meter, Metric, RaftHost, type StateMachine, type VizEvent } from 'nori-raft';

// One node of bench/src/snapshot.ts, in a process of its own: what it takes of memory is then its own.

const [, , id = '', port = '', megabytes = '', dataDir = '', rate = ''] = process.argv;
const base = Number(port);
const members = Object.fromEntries(['n1', 'n2', 'n3'].map((node, at) => [node, `127.0.0.1:${base + at}`]));
const pieceBytes = 64 * 1024;

/** A state of so many bytes that takes no memory: its image is made up as it is read, and checked as it is restored. */
class MadeUpState implements StateMachine {
  applied = 0;

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    this.applied += entries.length;
    return entries.map(() => new Uint8Array(0));
  }

  query(): Uint8Array {
    const answer = new Uint8Array(8);
    new DataView(answer.buffer).setFloat64(0, this.applied);
    return answer;
  }

  snapshot(): AsyncIterable<Uint8Array> {
    const { applied } = this;
    return pieces((Number(megabytes) << 20) / pieceBytes, applied);
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    let at = 0;
    for await (const piece of image) {
      if (at === 0) this.applied = new DataView(piece.buffer, piece.byteOffset).getUint32(4, true);
      at += piece.length;
    }
    if (at !== Number(megabytes) << 20) throw new Error(`the image has ${at} bytes`);
  }
}

// oxlint-disable-next-line typescript/require-await
async function* pieces(count: number, applied: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < count; at += 1) {
    const piece = new Uint8Array(pieceBytes).fill(at & 0xff);
    const view = new DataView(piece.buffer);
    view.setUint32(0, at, true);
    view.setUint32(4, applied, true);
    yield piece;
  }
}

const counts = { received: 0, sent: 0, installed: 0, elections: 0 };
const meter: Meter = {
  count: (name, _group, by) => {
    if (name === Metric.snapshotBytes) counts.received += by;
    else if (name === Metric.snapshotSentBytes) counts.sent += by;
    else if (name === Metric.snapshotsInstalled) counts.installed += by;
    else if (name === Metric.elections) counts.elections += by;
  },
  gauge: () => undefined,
  observe: () => undefined,
};
const state = new MadeUpState();
const host = await RaftHost.open({
  id,
  members,
  dataDir,
  meter,
  observer: { onEvent: (event: VizEvent) => process.send?.({ event: event.event.type }) },
  snapshotTailEntries: 0,
  ...(rate === '' ? {} : { snapshotBytesPerSecond: Number(rate) << 20 }),
});
await host.createGroup({ group: 1, stateMachine: state });

process.on('message', (order: { readonly id: number; readonly what: string; readonly count?: number }) => {
  void carryOut(order.what, order.count ?? 0).then(
    (answer) => process.send?.({ id: order.id, answer }),
    (error: unknown) => process.send?.({ id: order.id, error: String(error) }),
  );
});

const writers = 8;
const pauseMs = 5;
let latenciesMs: number[] = [];
const load = { on: false };

/** A light load, so that what it waits for is not itself. */
async function write(): Promise<void> {
  while (load.on) {
    const startMs = performance.now();
    await host.execute(1, new Uint8Array(100), { timeoutMs: 60_000 });
    latenciesMs.push(performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function carryOut(what: string, count: number): Promise<unknown> {
  switch (what) {
    case 'status': {
      const { role, applied, leader } = host.groupStatus(1);
      return { role, applied, leader, state: state.applied, rss: process.memoryUsage.rss(), ...counts };
    }
    case 'write':
      for (let at = 0; at < count; at += 1) await host.execute(1, new Uint8Array(100));
      return null;
    case 'load':
      load.on = true;
      for (let at = 0; at < writers; at += 1) void write();
      return null;
    case 'quiet':
      load.on = false;
      return null;
    case 'p99': {
      // Of the writes since it was last asked for.
      const sorted = latenciesMs.sort((left, right) => left - right);
      latenciesMs = [];
      return {
        writes: sorted.length,
        p50: sorted[sorted.length >> 1] ?? 0,
        p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      };
    }
    case 'snapshot':
      return host.triggerSnapshot(1);
    default:
      throw new Error(`no such order: ${what}`);
  }
}

process.send?.({ event: 'ready' });
