import { Prng } from '../base/prng.ts';
import type { Random } from '../ports/random.ts';

/** The Random port from a seed. */
export function seededRandom(seed: number): Random {
  const prng = new Prng(seed);
  return {
    uint32: () => prng.uint32(),
    bytes: (length) => Uint8Array.from({ length }, () => prng.between(0, 255)),
  };
}

/** A stream of its own: what one part of the world draws does not change what another one gets. */
export function fork(prng: Prng): Prng {
  return new Prng(prng.uint32());
}

export function chance(prng: Prng, rate: number): boolean {
  return rate > 0 && prng.fraction() < rate;
}

/** A number in [min, max). */
export function spread(prng: Prng, min: number, max: number): number {
  return min + prng.fraction() * (max - min);
}

/** Mostly near `min`, seldom near `max`: the cube of a fraction, for delays and rates. */
export function skewed(prng: Prng, min: number, max: number): number {
  const part = prng.fraction();
  return min + part * part * part * (max - min);
}

export function pick<T>(prng: Prng, list: readonly T[]): T {
  return list[prng.between(0, list.length - 1)] as T;
}

export function shuffled<T>(prng: Prng, list: readonly T[]): T[] {
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = prng.between(0, at);
    [copy[at], copy[other]] = [copy[other] as T, copy[at] as T];
  }
  return copy;
}
