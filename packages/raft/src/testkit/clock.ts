import type { Clock, Timer } from '../ports/clock.ts';
import type { Life } from './life.ts';
import type { Timeline } from './timeline.ts';

/** How far the world asks clocks to run fast or slow: DESIGN's maxClockDrift as simulations set it. */
export const maxClockDrift = 0.02;
/** What a turn costs before it begins: input that is ready within it is handled together. */
const soonMs = 0.02;

/** The clocks of one machine: an offset of their own, a rate that changes, a wall clock that may jump. */
export class MachineClock {
  private readonly timeline: Timeline;
  /** Local time `localMs` was true time `trueMs`; since then it runs at `rate`. */
  private localMs: number;
  private trueMs = 0;
  private rate = 1;
  /** Wall time at true time 0. */
  private wallBaseMs: number;
  private soonAtMs = 0;
  /** The monotonic clock stands still while a machine is suspended; the wall clock does not. */
  private stoppedAtMs: number | null = null;
  /** Local time at which it last stood still; -Infinity when it never did. */
  stoodStillMs: number = Number.NEGATIVE_INFINITY;

  constructor(timeline: Timeline, start: { readonly monotonicMs: number; readonly wallMs: number }) {
    this.timeline = timeline;
    this.localMs = start.monotonicMs;
    this.wallBaseMs = start.wallMs;
  }

  nowMs(): number {
    const { nowMs } = this.timeline;
    return this.stoppedAtMs ?? this.localMs + (nowMs - this.trueMs) * this.rate;
  }

  wallMs(): number {
    return Math.floor(this.wallBaseMs + this.timeline.nowMs);
  }

  /** From now on local durations are `1 + drift` times the true ones. */
  setDrift(drift: number): void {
    this.rebase();
    this.rate = 1 + drift;
  }

  stepWall(byMs: number): void {
    this.wallBaseMs += byMs;
  }

  suspend(): void {
    this.stoppedAtMs ??= this.nowMs();
    this.stoodStillMs = this.stoppedAtMs;
  }

  resume(): void {
    if (this.stoppedAtMs === null) return;
    this.localMs = this.stoppedAtMs;
    this.trueMs = this.timeline.nowMs;
    this.stoppedAtMs = null;
  }

  /** The Clock port of one life on this machine. */
  boot(life: Life): Clock {
    return {
      nowMs: () => this.nowMs(),
      wallMs: () => this.wallMs(),
      wakeAt: (atMs, wake) => new SimTimer(this, this.timeline, life, atMs, wake),
      soon: (run) => {
        this.soonAtMs = Math.max(this.soonAtMs, this.timeline.nowMs + soonMs);
        this.timeline.inOrder(this.soonAtMs, life, run);
      },
    };
  }

  /** When local time will be `localMs`, if nothing changes until then. */
  trueAt(localMs: number): number {
    return this.timeline.nowMs + Math.max(0, localMs - this.nowMs()) / this.rate;
  }

  private rebase(): void {
    if (this.stoppedAtMs !== null) return;
    this.localMs = this.nowMs();
    this.trueMs = this.timeline.nowMs;
  }
}

class SimTimer implements Timer {
  private event: { run: (() => void) | null };

  constructor(clock: MachineClock, timeline: Timeline, life: Life, atMs: number, wake: () => void) {
    const arm = (): { run: (() => void) | null } =>
      timeline.at(clock.trueAt(atMs) + 1e-6, life, () => {
        // The clock may have slowed down since: the port says never early.
        if (clock.nowMs() < atMs) this.event = arm();
        else wake();
      });
    this.event = arm();
  }

  cancel(): void {
    this.event.run = null;
  }
}
