import type { Clock, Timer } from '../../src/ports/clock.ts';

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  private time = 0;
  private wallOffsetMs = 1_700_000_000_000;
  private timers: { atMs: number; wake: () => void }[] = [];

  nowMs(): number {
    return this.time;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.time;
  }

  /** The wall clock alone moves, as it seems to a machine that was suspended. */
  stepWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  wakeAt(atMs: number, wake: () => void): Timer {
    const timer = { atMs, wake };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }

  soon(run: () => void): void {
    queueMicrotask(run);
  }

  /** Moves on and wakes who is due, in order. */
  advance(byMs: number): void {
    const until = this.time + byMs;
    for (;;) {
      const due = this.timers.filter((timer) => timer.atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = Math.max(this.time, due.atMs);
      due.wake();
    }
    this.time = until;
  }
}
