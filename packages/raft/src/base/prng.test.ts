import { expect, test } from 'vitest';
import { Prng } from './prng.ts';

const draw = (seed: number, count: number): number[] => {
  const prng = new Prng(seed);
  return Array.from({ length: count }, () => prng.uint32());
};

test('one seed gives one stream, on every machine', () => {
  expect(draw(42, 100)).toEqual(draw(42, 100));
  expect(draw(42, 3)).toEqual([660444221, 3652823732, 77672526]);
});

test('near seeds give unlike streams', () => {
  const all = new Set(Array.from({ length: 100 }, (_, seed) => draw(seed, 10)).flat());
  expect(all.size).toBe(1_000);
});

test('a draw between two numbers gives each of them, and nothing outside', () => {
  const prng = new Prng(7);
  const counts = new Map<number, number>();
  for (let i = 0; i < 6_000; i += 1) {
    const drawn = prng.between(3, 8);
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  expect([...counts.keys()].sort((one, other) => one - other)).toEqual([3, 4, 5, 6, 7, 8]);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  expect(prng.between(5, 5)).toBe(5);
});

test('a fraction is at least 0 and below 1', () => {
  const prng = new Prng(9);
  for (let i = 0; i < 1_000; i += 1) {
    const fraction = prng.fraction();
    expect(fraction >= 0 && fraction < 1).toBe(true);
  }
});
