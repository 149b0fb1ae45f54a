import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Ring } from './ring.ts';

test('a ring is a queue, however it wraps and grows', () => {
  const action = fc.oneof(fc.constant('shift' as const), fc.constant('clear' as const), fc.nat());
  const often = fc.array(fc.oneof({ weight: 10, arbitrary: fc.nat() }, { weight: 6, arbitrary: action }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(often, fc.integer({ min: 1, max: 5 }), (actions, capacity) => {
      const ring = new Ring<number>(capacity);
      let queue: number[] = [];
      for (const act of actions) {
        let taken: readonly (number | undefined)[] = [];
        if (act === 'shift') taken = [ring.shift(), queue.shift()];
        else if (act === 'clear') {
          ring.clear();
          queue = [];
        } else {
          ring.push(act);
          queue.push(act);
        }
        expect(taken[0]).toBe(taken[1]);
        expect(ring.length).toBe(queue.length);
        expect(ring.peek()).toBe(queue[0]);
        expect(queue.map((_, at) => ring.at(at))).toEqual(queue);
      }
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('a place outside the ring is an error of ours', () => {
  const ring = new Ring<string>();
  ring.push('x');
  expect(() => ring.at(1)).toThrow(/ring index/);
  expect(() => ring.at(-1)).toThrow(/ring index/);
});
