import type { Connection, ConnectionEvents } from '../ports/network.ts';
import type { Life } from './life.ts';
import type { Prng } from '../base/prng.ts';
import { chance } from './random.ts';
import { Kind, type Timeline } from './timeline.ts';

/** What the kernels of both sides hold before a sender's bytes count as queued. */
const socketBufferBytes = 128 * 1024;
/** The bytes in which hosts shake hands, which awaits promises. */
const handshakeBytes = 4096;

/** Changes what a host sends before it travels: see mangler.ts. */
export interface Mangler {
  mangle(from: string, to: string, bytes: Uint8Array): Uint8Array | null;
}

/** The network between the machines. */
export interface Wires {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly weather: { readonly splitRate: number; readonly resetRate: number };
  readonly mangler: Mangler | null;
  readonly tap: ((from: string, to: string, bytes: Uint8Array) => void) | null;
  delayMs(): number;
  isCut(from: string, to: string): boolean;
  isOff(machine: string): boolean;
  forget(stream: Stream): void;
}

type Parcel = Uint8Array | 'end' | 'reset';

/** One end of a connection, and the direction that leads from it to the other. */
export class Stream implements Connection {
  readonly remote: string;
  readonly from: string;
  readonly to: string;
  events: ConnectionEvents | null = null;
  closed = false;
  private readonly network: Wires;
  private readonly life: Life;
  private other: Stream | null = null;
  /** On their way, or held up by a cut, in order. */
  private readonly parcels: Parcel[] = [];
  private sentBytes = 0;
  private takenBytes = 0;
  private receivedBytes = 0;
  private arrivesAtMs = 0;
  /** A parcel came to a cut: nothing overtakes it. */
  private frozen = false;
  /** Arrived before the process that is to get it accepted the connection. */
  private early: Parcel[] | null = [];

  constructor(network: Wires, life: Life, to: string) {
    this.network = network;
    this.life = life;
    this.from = life.machine.id;
    this.to = to;
    this.remote = to;
  }

  get queuedBytes(): number {
    return Math.max(0, this.sentBytes - this.takenBytes - socketBufferBytes);
  }

  join(other: Stream): void {
    this.other = other;
  }

  /** The listener has taken the connection: what arrived before comes now. */
  release(): void {
    const early = this.early ?? [];
    this.early = null;
    for (const parcel of early) this.arrive(parcel);
  }

  send(bytes: Uint8Array): void {
    const { network } = this;
    if (this.closed || this.other === null || bytes.length === 0) return;
    network.tap?.(this.from, this.to, bytes);
    const { timeline, prng, weather, mangler } = network;
    timeline.record(Kind.send, this.life.machine.place, this.other.life.machine.place);
    timeline.hash.bytes(bytes);
    timeline.tell(this.from, 'send', { to: this.to, bytes: bytes.length });
    const left = mangler === null ? bytes : mangler.mangle(this.from, this.to, bytes);
    if (left === null) return;
    let start = 0;
    for (let pieces = chance(prng, weather.splitRate) ? prng.between(2, 5) : 1; pieces > 1; pieces -= 1) {
      const end = prng.between(start, left.length);
      if (end > start) this.ship(left.subarray(start, end));
      start = end;
    }
    if (start < left.length) this.ship(start === 0 ? left : left.subarray(start));
    if (chance(prng, weather.resetRate)) this.reset();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { timeline } = this.network;
    timeline.after(0, this.life, () => this.events?.onClose(null, false));
    if (this.other !== null) this.ship('end');
    else this.network.forget(this);
  }

  refuse(): void {
    if (this.closed) return;
    this.closed = true;
    this.events?.onClose(new Error('ECONNREFUSED'), true);
  }

  /** The process is gone. With power, the kernel says so; without, nobody ever answers again. */
  die(powered: boolean): void {
    const told = this.closed;
    this.closed = true;
    this.events = null;
    this.early = null;
    if (powered && !told) this.ship('end');
    else if (!powered) {
      this.parcels.length = 0;
      this.network.forget(this);
    }
  }

  /** Cut off in the middle: what had not arrived is lost, on this side at once, on the other when it hears. */
  reset(): void {
    if (this.closed) return;
    this.closed = true;
    this.parcels.length = 0;
    this.network.timeline.after(0, this.life, () => this.events?.onClose(new Error('ECONNRESET'), false));
    this.ship('reset');
  }

  /** The way is free again. */
  thaw(delayMs: number): void {
    if (!this.frozen) return;
    this.frozen = false;
    const { timeline } = this.network;
    this.arrivesAtMs = timeline.nowMs + delayMs;
    for (let count = this.parcels.length; count > 0; count -= 1) timeline.at(this.arrivesAtMs, null, this.travel);
  }

  private ship(parcel: Parcel): void {
    this.parcels.push(parcel);
    if (parcel !== 'end' && parcel !== 'reset') this.sentBytes += parcel.length;
    if (this.frozen) return;
    const { timeline } = this.network;
    this.arrivesAtMs = Math.max(this.arrivesAtMs, timeline.nowMs + this.network.delayMs());
    timeline.at(this.arrivesAtMs, null, this.travel);
  }

  /** The oldest parcel reaches the other kernel, unless a cut stops it there. */
  private readonly travel = (): void => {
    const { network, other } = this;
    if (this.frozen || this.parcels.length === 0 || other === null) return;
    if (network.isCut(this.from, this.to) || network.isOff(this.to)) {
      this.frozen = true;
      return;
    }
    const parcel = this.parcels.shift() as Parcel;
    if (other.life.over) {
      other.closed = true;
      this.answerReset(parcel);
    } else network.timeline.dispatch(other.life, () => other.take(parcel, this));
    if (parcel === 'end' || parcel === 'reset') network.forget(this);
  };

  /** Nobody is there any more who would read: the kernel says so. */
  private answerReset(parcel: Parcel): void {
    if (this.closed || parcel === 'end' || parcel === 'reset') return;
    this.network.timeline.after(this.network.delayMs(), this.life, () => this.lose(new Error('ECONNRESET')));
  }

  private take(parcel: Parcel, sender: Stream): void {
    if (parcel !== 'end' && parcel !== 'reset') sender.takenBytes += parcel.length;
    if (this.early !== null && this.events === null) this.early.push(parcel);
    else this.arrive(parcel);
  }

  private arrive(parcel: Parcel): void {
    if (this.closed) return;
    const { timeline } = this.network;
    if (parcel === 'end') return this.lose(null);
    if (parcel === 'reset') return this.lose(new Error('ECONNRESET'));
    timeline.record(Kind.deliver, this.life.machine.place, parcel.length);
    if (this.receivedBytes < handshakeBytes) timeline.promisesTouched = true;
    this.receivedBytes += parcel.length;
    this.events?.onData(parcel);
    // It belonged to the receiver only until it returned.
    parcel.fill(0xee);
  }

  private lose(error: Error | null): void {
    if (this.closed) return;
    this.closed = true;
    this.parcels.length = 0;
    this.network.timeline.record(Kind.connection, this.life.machine.place, error === null ? 4 : 5);
    this.network.forget(this);
    this.events?.onClose(error, false);
  }
}
