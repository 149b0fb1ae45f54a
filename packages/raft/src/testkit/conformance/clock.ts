import type { Clock } from '../../ports/clock.ts';
import { LawBook, must, type Patience, type Suite, type Trial } from './suite.ts';

/** The clock that is judged; somebody moves it if it does not move by itself. */
export interface ClockSubject extends Trial {
  readonly clock: Clock;
}

interface ClockBench {
  readonly clock: Clock;
  readonly patience: Patience;
}

const book = new LawBook<ClockSubject, ClockBench>('Clock', ({ clock }, patience) => ({ clock, patience }));

book.law('nowMs never goes back', async ({ clock }) => {
  let before = clock.nowMs();
  for (let turn = 0; turn < 500; turn += 1) {
    const now = clock.nowMs();
    must(now >= before, `it went from ${before} back to ${now}`);
    before = now;
    if (turn % 10 === 0) await new Promise<void>((resolve) => clock.soon(resolve));
  }
});

book.law('nowMs and wallMs are numbers', async ({ clock }) => {
  must(Number.isFinite(clock.nowMs()), `nowMs is ${clock.nowMs()}`);
  must(Number.isFinite(clock.wallMs()) && clock.wallMs() >= 0, `wallMs is ${clock.wallMs()}`);
});

book.law('a wake-up is never early', async ({ clock }) => {
  for (let turn = 0; turn < 25; turn += 1) {
    const atMs = clock.nowMs() + turn / 7;
    const wokenMs = await new Promise<number>((resolve) => {
      clock.wakeAt(atMs, () => resolve(clock.nowMs()));
    });
    must(wokenMs >= atMs, `it came at ${wokenMs}, ${atMs - wokenMs} ms before its time`);
  }
});

book.law('a wake-up comes once, and after wakeAt returned', async ({ clock, patience }) => {
  let returned = false;
  let early = false;
  let wakes = 0;
  const wake = (): void => {
    wakes += 1;
    early ||= !returned;
  };
  // A time that has passed, one that is now, and one to come.
  for (const delayMs of [-1000, 0, 2]) clock.wakeAt(clock.nowMs() + delayMs, wake);
  returned = true;
  await patience.until(() => wakes >= 3, 'three wake-ups');
  await patience.quiet();
  must(!early, 'one came before wakeAt returned');
  must(wakes === 3, `three wake-ups came ${wakes} times`);
});

book.law('a cancelled wake-up never comes', async ({ clock, patience }) => {
  let wakes = 0;
  const wake = (): void => {
    wakes += 1;
  };
  const timers = [-5, 0, 1, 5].map((delayMs) => clock.wakeAt(clock.nowMs() + delayMs, wake));
  for (const timer of timers) timer.cancel();
  await patience.pause(10);
  await patience.quiet();
  must(wakes === 0, `${wakes} of 4 came`);
});

book.law('a wake-up may cancel another, itself, and one that is over', async ({ clock, patience }) => {
  const atMs = clock.nowMs() + 3;
  let wakes = 0;
  const timers = [0, 1].map((at) =>
    clock.wakeAt(atMs, () => {
      wakes += 1;
      timers[at]?.cancel();
      timers[1 - at]?.cancel();
    }),
  );
  await patience.until(() => wakes > 0, 'a wake-up');
  await patience.quiet();
  must(wakes === 1, 'both of two that cancel each other came');
  for (const timer of timers) timer.cancel();
});

book.law('a wake-up far away does not come now', async ({ clock, patience }) => {
  let wakes = 0;
  const farMs = [2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
  const timers = farMs.map((delayMs) =>
    clock.wakeAt(clock.nowMs() + delayMs, () => {
      wakes += 1;
    }),
  );
  await patience.quiet();
  for (const timer of timers) timer.cancel();
  must(wakes === 0, `${wakes} wake-ups that are weeks away came at once`);
});

book.law('soon comes after the current turn, once and in order', async ({ clock, patience }) => {
  const order: string[] = [];
  const finished = new Promise<void>((resolve) => {
    clock.soon(() => {
      order.push('first');
      clock.soon(() => {
        order.push('nested');
        resolve();
      });
    });
  });
  clock.soon(() => order.push('second'));
  clock.soon(() => order.push('third'));
  order.push('turn');
  await patience.within(finished, 'what was to run soon');
  await patience.quiet();
  must(order.join() === 'turn,first,second,third,nested', `the order was ${order.join(', ')}`);
});

/** What the host, the transport and the log rely on. */
export const clockSuite: Suite<ClockSubject> = { port: 'Clock', laws: book.laws };
