import type { Clock } from '../../ports/clock.ts';

/** The timers every JavaScript runtime has, for judging ports that live in real time. */
export function hostClock(): Clock {
  const { performance } = globalThis;
  return {
    nowMs: () => performance.now(),
    wallMs: () => performance.timeOrigin + performance.now(),
    wakeAt: (atMs, wake) => {
      const handle = setTimeout(wake, Math.max(0, Math.ceil(atMs - performance.now())));
      return { cancel: () => clearTimeout(handle) };
    },
    soon: (run) => {
      setTimeout(run, 0);
    },
  };
}
