import type { Random } from '../ports/random.ts';

/** How long to wait before dialing again: doubled each time, with jitter so that nodes do not dial in step. */
export class Backoff {
  private readonly msMin: number;
  private readonly msMax: number;
  private readonly random: Random;
  private ceilingMs: number;

  constructor(msMin: number, msMax: number, random: Random) {
    this.msMin = msMin;
    this.msMax = msMax;
    this.random = random;
    this.ceilingMs = msMin;
  }

  /** Between half of the ceiling and the ceiling, which doubles for the next time. */
  nextMs(): number {
    const delayMs = this.ceilingMs * (0.5 + this.random.uint32() / 0x2_0000_0000);
    this.ceilingMs = Math.min(this.ceilingMs * 2, this.msMax);
    return delayMs;
  }

  /** The peer answered and refused: asking again soon would change nothing. */
  slowDown(): void {
    this.ceilingMs = this.msMax;
  }

  reset(): void {
    this.ceilingMs = this.msMin;
  }
}
