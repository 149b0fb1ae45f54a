import type { LeaseDoubtInput } from '../core/input.ts';

/** Wall and monotonic clock are read one after the other: so much they may differ for that, and for steps too small to matter. */
const jumpMsMax = 25;
/** A host looks at its groups at least this often. */
const turnEveryMsMax = 50;

/**
 * A lease is counted on the monotonic clock, which on Linux stands still while a machine is suspended: whoever wakes up
 * believes that no time has passed. The wall clock knows better, and is only asked whether both went on alike.
 */
export class TimeGuard {
  private readonly stallMs: number;
  private offsetMs: number;
  private turnMs: number;

  /** `stallMs`: for longer the event loop must not stand still. */
  constructor(start: { readonly nowMs: number; readonly wallMs: number; readonly stallMs: number }) {
    this.stallMs = start.stallMs + turnEveryMsMax;
    this.offsetMs = start.wallMs - start.nowMs;
    this.turnMs = start.nowMs;
  }

  /** How long the host has not looked at its groups. */
  sinceTurnMs(nowMs: number): number {
    return nowMs - this.turnMs;
  }

  turned(nowMs: number): void {
    this.turnMs = nowMs;
  }

  /** Why a lease counted up to now is not to be trusted, or null. Told once. */
  check(nowMs: number, wallMs: number): LeaseDoubtInput['cause'] | null {
    const offsetMs = wallMs - nowMs;
    const jumped = Math.abs(offsetMs - this.offsetMs) > jumpMsMax;
    this.offsetMs = offsetMs;
    if (jumped) return 'clockJump';
    if (this.sinceTurnMs(nowMs) <= this.stallMs) return null;
    this.turnMs = nowMs;
    return 'loopStall';
  }
}
