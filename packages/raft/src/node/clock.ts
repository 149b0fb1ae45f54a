import type { Clock, Timer } from '../ports/clock.ts';

/** setTimeout counts in a signed 32-bit number; a longer wait is taken in steps. */
const delayMsMax = 0x7fff_ffff;

class NodeTimer implements Timer {
  private readonly atMs: number;
  private readonly wake: () => void;
  private handle: NodeJS.Timeout;

  constructor(atMs: number, wake: () => void) {
    this.atMs = atMs;
    this.wake = wake;
    this.handle = this.arm();
  }

  cancel(): void {
    clearTimeout(this.handle);
  }

  private arm(): NodeJS.Timeout {
    const delayMs = Math.min(Math.max(0, Math.ceil(this.atMs - performance.now())), delayMsMax);
    return setTimeout(() => {
      // Node's timers count whole milliseconds and may fire a fraction of one early; the port says never.
      if (performance.now() < this.atMs) this.handle = this.arm();
      else this.wake();
    }, delayMs);
  }
}

/** The clocks and timers of this process. */
export function nodeClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    wakeAt: (atMs, wake) => new NodeTimer(atMs, wake),
    soon: (run) => {
      setImmediate(run);
    },
  };
}
