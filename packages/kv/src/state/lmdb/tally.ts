import type { Entry } from '../entry.ts';
import { hexDigest, storeDamaged } from '../store.ts';

/** Counts what a tree holds, to compare it with what was written there: a key that is gone shows in nothing else. */
export class Tally {
  #count = 0;
  #low = 0;
  #high = 0;

  add({ hashLow, hashHigh }: Entry): void {
    this.#count += 1;
    this.#low = (this.#low + hashLow) | 0;
    this.#high = (this.#high + hashHigh) | 0;
  }

  /** @throws NoriError STATE_DAMAGED. */
  requireAll(count: number, digest: string): void {
    if (this.#count !== count || hexDigest(this.#low, this.#high) !== digest)
      throw storeDamaged(`the tree holds ${this.#count} keys, not the ${count} that were written`);
  }
}
