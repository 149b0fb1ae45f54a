import type { Prng } from '../base/prng.ts';
import { EventQueue, type SimEvent } from './event-queue.ts';
import { HistoryHash } from './hash.ts';
import type { Life } from './life.ts';

/** What kind of thing goes into the history. The numbers are part of every hash. */
export const Kind = {
  start: 1,
  end: 2,
  send: 3,
  deliver: 4,
  connection: 5,
  disk: 6,
  note: 7,
  client: 8,
  fault: 9,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface TraceLine {
  readonly atMs: number;
  readonly node: string;
  readonly what: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Simulated time, what is still to happen in it, and the record of what did. */
export class Timeline {
  /** True time, which no node sees. */
  nowMs = 0;
  readonly hash: HistoryHash = new HistoryHash();
  /** Lines for people, when somebody wants them. */
  readonly trace: TraceLine[] | null;
  /** Runs something as an event of a life, now: or later, if its machine stands still, or never, if it is over. */
  dispatch: (life: Life, run: () => void) => void = (_life, run) => run();
  /** A promise may have been resolved: what awaits it must run before time goes on. */
  promisesTouched = false;
  private readonly queue = new EventQueue();
  private readonly prng: Prng;

  constructor(prng: Prng, traced: boolean) {
    this.prng = prng;
    this.trace = traced ? [] : null;
  }

  at(atMs: number, life: Life | null, run: () => void): SimEvent {
    return this.queue.add(Math.max(atMs, this.nowMs), this.prng.uint32(), life, run);
  }

  after(delayMs: number, life: Life | null, run: () => void): SimEvent {
    return this.queue.add(this.nowMs + delayMs, this.prng.uint32(), life, run);
  }

  /** In the order of asking, whatever else happens at that moment. */
  inOrder(atMs: number, life: Life | null, run: () => void): SimEvent {
    return this.queue.add(atMs, 0, life, run);
  }

  /** The next event through `untilMs`, with time set to it; null when there is none. */
  next(untilMs: number): SimEvent | null {
    for (;;) {
      const event = this.queue.peek();
      if (event === undefined || event.atMs > untilMs) {
        this.nowMs = untilMs;
        return null;
      }
      this.queue.take();
      if (event.run === null || event.life?.over === true) continue;
      this.nowMs = event.atMs;
      return event;
    }
  }

  /** Takes something into the history. */
  record(kind: Kind, place: number, what: number): void {
    this.hash.word((kind << 24) ^ (place << 16) ^ what);
    this.hash.number(this.nowMs);
  }

  tell(node: string, what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    this.trace?.push({ atMs: this.nowMs, node, what, detail });
  }
}
