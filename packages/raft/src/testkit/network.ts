import type { Prng } from '../base/prng.ts';
import type { Connection, ConnectionEvents, Listener, Network } from '../ports/network.ts';
import { NoriError } from '../base/errors.ts';
import type { Life } from './life.ts';
import { chance, skewed, spread } from './random.ts';
import { type Mangler, Stream, type Wires } from './stream.ts';
import { Kind, type Timeline } from './timeline.ts';

/** How the network behaves for now. */
export interface NetworkWeather {
  delayMsMin: number;
  delayMsMax: number;
  /** How often, and how much at most, a chunk is held up beyond that. */
  spikeRate: number;
  spikeMsMax: number;
  /** How often what is sent arrives in pieces. */
  splitRate: number;
  /** How often a connection is reset by a send: what was on its way may be lost. */
  resetRate: number;
  /** How often a connect is refused though somebody listens. */
  refuseRate: number;
}

export function calmNetwork(): NetworkWeather {
  return {
    delayMsMin: 0.1,
    delayMsMax: 0.6,
    spikeRate: 0,
    spikeMsMax: 0,
    splitRate: 0.05,
    resetRate: 0,
    refuseRate: 0,
  };
}

interface Listening {
  readonly life: Life;
  accept(connection: Connection): ConnectionEvents;
}

/** Who hears what is sent, for checkers. */
export type SendTap = (from: string, to: string, bytes: Uint8Array) => void;

/** Byte streams between machines, with everything TCP may do to them. */
export class SimNetwork implements Wires {
  weather: NetworkWeather = calmNetwork();
  mangler: Mangler | null = null;
  tap: SendTap | null = null;
  readonly timeline: Timeline;
  readonly prng: Prng;
  private readonly streams = new Set<Stream>();
  private readonly listeners = new Map<string, Listening>();
  /** Directed: 'a>b'. With how many faults hold it. */
  private readonly cuts = new Map<string, number>();
  private readonly poweredOff = new Set<string>();

  constructor(timeline: Timeline, prng: Prng) {
    this.timeline = timeline;
    this.prng = prng;
  }

  /** The Network port of one life. Addresses are 'machine:port'. */
  boot(life: Life): Network {
    return {
      listen: (address, accept) => this.listen(life, address, accept),
      connect: (address, events) => this.connect(life, address, events),
    };
  }

  /** Nothing travels from one machine to another until it is mended as often as it was cut. */
  cut(from: string, to: string): void {
    const link = `${from}>${to}`;
    this.cuts.set(link, (this.cuts.get(link) ?? 0) + 1);
  }

  mend(from: string, to: string): void {
    const link = `${from}>${to}`;
    const left = (this.cuts.get(link) ?? 0) - 1;
    if (left > 0) {
      this.cuts.set(link, left);
      return;
    }
    this.cuts.delete(link);
    // TCP sends again when its timer says so.
    const retryMs = spread(this.prng, 0, 400);
    for (const stream of this.streams) if (stream.from === from && stream.to === to) stream.thaw(retryMs);
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.size > 0 && this.cuts.has(`${from}>${to}`);
  }

  /** Ends every connection of a pair in the middle of what it carries. */
  reset(one: string, other: string): void {
    for (const stream of this.streams) {
      if (stream.from === one && stream.to === other) stream.reset();
    }
  }

  /** The kernel outlives the process and closes its connections; after a power cut nobody does. */
  processDied(machine: string, powered: boolean): void {
    for (const [address, { life }] of this.listeners) if (life.machine.id === machine) this.listeners.delete(address);
    for (const stream of this.streams) if (stream.from === machine) stream.die(powered);
    if (!powered) this.poweredOff.add(machine);
  }

  poweredOn(machine: string): void {
    if (!this.poweredOff.delete(machine)) return;
    for (const stream of this.streams) if (stream.to === machine) stream.thaw(spread(this.prng, 0, 1000));
  }

  isOff(machine: string): boolean {
    return this.poweredOff.has(machine);
  }

  delayMs(): number {
    const { weather, prng } = this;
    const delayMs = spread(prng, weather.delayMsMin, weather.delayMsMax);
    return chance(prng, weather.spikeRate) ? delayMs + skewed(prng, 0, weather.spikeMsMax) : delayMs;
  }

  forget(stream: Stream): void {
    this.streams.delete(stream);
  }

  private listen(life: Life, address: string, accept: Listening['accept']): Promise<Listener> {
    const { timeline } = this;
    timeline.promisesTouched = true;
    if (this.listeners.has(address)) {
      return Promise.reject(new NoriError('ADDRESS_IN_USE', { message: `${address} is taken` }));
    }
    const listening: Listening = { life, accept };
    this.listeners.set(address, listening);
    const close = (): Promise<void> => {
      timeline.promisesTouched = true;
      if (this.listeners.get(address) === listening) this.listeners.delete(address);
      return Promise.resolve();
    };
    return Promise.resolve({ address, close });
  }

  private connect(life: Life, address: string, events: ConnectionEvents & { onOpen(): void }): Connection {
    const { timeline } = this;
    const from = life.machine.id;
    const to = address.slice(0, address.lastIndexOf(':'));
    const near = new Stream(this, life, to);
    near.events = events;
    timeline.record(Kind.connection, life.machine.place, 1);
    const refused = chance(this.prng, this.weather.refuseRate);
    timeline.after(this.delayMs(), null, () => {
      if (near.closed || this.isCut(from, to) || this.isCut(to, from) || this.isOff(to)) return;
      const listening = this.listeners.get(address);
      if (listening === undefined || refused) {
        timeline.after(this.delayMs(), life, () => near.refuse());
        return;
      }
      // The kernel of the other side takes the connection; its process hears of it when it runs.
      const far = new Stream(this, listening.life, from);
      near.join(far);
      far.join(near);
      this.streams.add(near).add(far);
      timeline.inOrder(timeline.nowMs, listening.life, () => {
        timeline.record(Kind.connection, listening.life.machine.place, 2);
        far.events = listening.accept(far);
        far.release();
      });
      timeline.after(this.delayMs(), life, () => {
        if (near.closed) return;
        timeline.record(Kind.connection, life.machine.place, 3);
        events.onOpen();
      });
    });
    return near;
  }
}
