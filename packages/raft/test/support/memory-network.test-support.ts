import type { Prng } from '../../src/base/prng.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Connection, ConnectionEvents, Listener, Network } from '../../src/ports/network.ts';

type Accept = (connection: Connection) => ConnectionEvents;

/** Byte streams between hosts of one process: split at random, late, cut, stalled or reset as a test asks. */
export class MemoryNetwork {
  latencyMs = 1;
  /** Bytes of a chunk, at most; small ones split every frame. */
  chunkBytesMax = 4096;
  /** The chance that a chunk is lost and its connection with it. */
  resetChance = 0;
  private readonly clock: Clock;
  private readonly prng: Prng;
  private readonly listeners = new Map<string, { host: string; accept: Accept }>();
  private readonly ends = new Set<End>();
  private readonly cuts = new Set<string>();
  private readonly refusals = new Set<string>();

  constructor(clock: Clock, prng: Prng) {
    this.clock = clock;
    this.prng = prng;
  }

  /** The network as one host sees it. */
  at(host: string): Network {
    return {
      listen: (address, accept) => this.listen(host, address, accept),
      connect: (address, events) => this.connect(host, address, events),
    };
  }

  /** Nothing passes between two hosts until `heal`; what was sent waits, as TCP would have it. */
  cut(left: string, right: string): void {
    this.cuts.add(`${left} ${right}`).add(`${right} ${left}`);
  }

  /** Their connections end, and new ones are refused until `heal`, though both are there: a firewall that says no. */
  refuse(left: string, right: string): void {
    this.refusals.add(`${left} ${right}`).add(`${right} ${left}`);
    for (const end of this.ends) if (end.host === left && end.other?.host === right) end.reset();
  }

  heal(): void {
    this.cuts.clear();
    this.refusals.clear();
    for (const end of this.ends) end.pump();
  }

  /** The host dies: its listeners are gone and its connections end. */
  kill(host: string): void {
    for (const [address, listener] of this.listeners) if (listener.host === host) this.listeners.delete(address);
    for (const end of this.ends) if (end.host === host) end.die();
  }

  /** The host does not read for as long as it is stalled. */
  stall(host: string, stalled: boolean): void {
    for (const end of this.ends) {
      if (end.host === host) end.stalled = stalled;
      else end.pump();
    }
    for (const end of this.ends) end.pump();
  }

  get openConnections(): number {
    return this.ends.size / 2;
  }

  later(run: () => void): void {
    this.clock.wakeAt(this.clock.nowMs() + this.latencyMs, run);
  }

  isCut(left: string, right: string): boolean {
    return this.cuts.has(`${left} ${right}`);
  }

  chunkBytes(): number {
    return this.prng.between(1, this.chunkBytesMax);
  }

  loses(): boolean {
    return this.resetChance > 0 && this.prng.fraction() < this.resetChance;
  }

  forget(end: End): void {
    this.ends.delete(end);
  }

  private listen(host: string, address: string, accept: Accept): Promise<Listener> {
    this.listeners.set(address, { host, accept });
    const close = (): Promise<void> => {
      this.listeners.delete(address);
      return Promise.resolve();
    };
    return Promise.resolve({ address, close });
  }

  private connect(host: string, address: string, events: ConnectionEvents & { onOpen(): void }): Connection {
    const near = new End(this, host, address);
    near.events = events;
    this.later(() => {
      if (near.closed) return;
      const listener = this.listeners.get(address);
      if (listener !== undefined && this.isCut(host, listener.host)) return;
      if (listener === undefined || this.refusals.has(`${host} ${listener.host}`)) {
        near.closed = true;
        events.onClose(new Error('ECONNREFUSED'), true);
        return;
      }
      const far = new End(this, listener.host, host);
      near.other = far;
      far.other = near;
      this.ends.add(near).add(far);
      far.events = listener.accept(far);
      events.onOpen();
    });
    return near;
  }
}

class End implements Connection {
  readonly host: string;
  readonly remote: string;
  events: ConnectionEvents | null = null;
  other: End | null = null;
  closed = false;
  stalled = false;
  queuedBytes = 0;
  private readonly network: MemoryNetwork;
  private readonly queue: Uint8Array[] = [];
  private ended = false;

  constructor(network: MemoryNetwork, host: string, remote: string) {
    this.network = network;
    this.host = host;
    this.remote = remote;
  }

  send(bytes: Uint8Array): void {
    if (this.closed) return;
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
    this.network.later(() => this.pump());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ended = true;
    this.network.later(() => {
      this.network.forget(this);
      this.events?.onClose(null, false);
      this.pump();
    });
  }

  /** The process is gone: no event here, and the other end reads what was on its way, then the end. */
  die(): void {
    this.closed = true;
    this.ended = true;
    this.events = null;
    this.network.forget(this);
    this.network.later(() => this.pump());
  }

  /** Hands over what is queued, in chunks whose memory does not last. */
  pump(): void {
    const { other } = this;
    if (other === null || this.network.isCut(this.host, other.host) || other.stalled) return;
    while (this.queuedBytes > 0 && !other.closed) {
      if (this.network.loses()) {
        this.reset();
        return;
      }
      const chunk = this.takeChunk(this.network.chunkBytes());
      other.events?.onData(chunk);
      chunk.fill(0xee);
    }
    if (this.ended && !other.closed) other.lose(null);
  }

  lose(error: Error | null): void {
    if (this.closed) return;
    this.closed = true;
    this.network.forget(this);
    this.events?.onClose(error, false);
  }

  reset(): void {
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.other?.lose(new Error('ECONNRESET'));
    this.lose(new Error('ECONNRESET'));
  }

  private takeChunk(bytesMax: number): Uint8Array {
    const first = this.queue[0] as Uint8Array;
    const chunk = first.slice(0, bytesMax);
    if (chunk.length === first.length) this.queue.shift();
    else this.queue[0] = first.subarray(chunk.length);
    this.queuedBytes -= chunk.length;
    return chunk;
  }
}
