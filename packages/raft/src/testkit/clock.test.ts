import { expect, test } from 'vitest';
import { Prng } from '../base/prng.ts';
import { MachineClock } from './clock.ts';
import type { Life } from './life.ts';
import { Timeline } from './timeline.ts';

class Watch {
  readonly timeline = new Timeline(new Prng(1), false);
  readonly clock = new MachineClock(this.timeline, { monotonicMs: 5000, wallMs: 1_700_000_000_000 });
  readonly life: Life = { machine: { id: 'n1', place: 0 }, over: false };
  readonly port = this.clock.boot(this.life);

  pass(forMs: number): void {
    const untilMs = this.timeline.nowMs + forMs;
    for (let event = this.timeline.next(untilMs); event !== null; event = this.timeline.next(untilMs)) event.run?.();
  }
}

test('a timer never wakes early on its own clock, whatever the drift does meanwhile', () => {
  const watch = new Watch();
  const woken: number[] = [];
  watch.clock.setDrift(0.02);
  watch.port.wakeAt(6000, () => woken.push(watch.port.nowMs()));
  watch.pass(500);
  watch.clock.setDrift(-0.02);
  watch.pass(450);
  expect(woken).toEqual([]);
  watch.pass(100);
  expect(woken).toHaveLength(1);
  expect(woken[0]).toBeGreaterThanOrEqual(6000);
  expect(woken[0]).toBeLessThan(6001);
});

test('drift lengthens durations, wall steps move only dates, and a suspended monotonic clock stands still', () => {
  const watch = new Watch();
  watch.clock.setDrift(0.01);
  watch.pass(1000);
  expect(watch.port.nowMs()).toBeCloseTo(6010, 6);
  watch.clock.stepWall(-3_600_000);
  expect(watch.port.nowMs()).toBeCloseTo(6010, 6);
  expect(watch.port.wallMs()).toBe(1_700_000_001_000 - 3_600_000);
  watch.clock.suspend();
  watch.pass(10_000);
  expect(watch.port.nowMs()).toBeCloseTo(6010, 6);
  watch.clock.resume();
  watch.pass(100);
  expect(watch.port.nowMs()).toBeCloseTo(6111, 6);
});

test('cancelled timers and those of a life that is over do not wake; soon keeps its order', () => {
  const watch = new Watch();
  const woken: string[] = [];
  const timer = watch.port.wakeAt(5010, () => woken.push('cancelled'));
  timer.cancel();
  for (const name of ['a', 'b', 'c']) watch.port.soon(() => woken.push(name));
  watch.pass(100);
  expect(woken).toEqual(['a', 'b', 'c']);
  watch.port.wakeAt(5200, () => woken.push('dead'));
  watch.life.over = true;
  watch.pass(1000);
  expect(woken).toEqual(['a', 'b', 'c']);
});
