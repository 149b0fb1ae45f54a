import { randomFillSync } from 'node:crypto';
import type { Random } from '../ports/random.ts';

/** Chance of the operating system. */
export function nodeRandom(): Random {
  const word = new Uint32Array(1);
  return {
    uint32: () => {
      randomFillSync(word);
      return word[0] as number;
    },
    bytes: (length) => randomFillSync(new Uint8Array(length)),
  };
}
