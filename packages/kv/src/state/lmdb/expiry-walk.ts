import { expireMsOf, type Generation, slotOfKey } from './layout.ts';
import { after, storedKey, type Tree, treeKeys } from './tree.ts';

const pageKeys = 64;

export interface StoredExpiry {
  readonly key: string;
  readonly slot: number;
  readonly expireMs: number;
}

/** The keys of a tree that expire, the soonest first, without those that have changed since they were written there. */
export class ExpiryWalk {
  readonly #tree: Tree;
  readonly #generation: Generation;
  #page: readonly StoredExpiry[] = [];
  #at = 0;
  #from: Buffer | null;
  #current: StoredExpiry | null = null;

  constructor(tree: Tree, generation: Generation) {
    this.#tree = tree;
    this.#generation = generation;
    this.#from = generation.expiriesStart;
  }

  /** The tree has changed. */
  restart(): void {
    this.#page = [];
    this.#at = 0;
    this.#from = this.#generation.expiriesStart;
    this.#current = null;
  }

  /** What has changed stays changed until the tree does, so it is passed for good. */
  next(isUnchanged: (slot: number, key: string) => boolean): StoredExpiry | null {
    for (;;) {
      if (this.#current !== null && isUnchanged(this.#current.slot, this.#current.key)) return this.#current;
      this.#current = this.#take();
      if (this.#current === null) return null;
    }
  }

  #take(): StoredExpiry | null {
    if (this.#at >= this.#page.length) {
      if (this.#from === null) return null;
      const expiries = treeKeys(this.#tree, { start: this.#from, end: this.#generation.expiriesEnd, limit: pageKeys });
      const last = expiries.at(-1);
      this.#from = last === undefined || expiries.length < pageKeys ? null : after(last);
      // At once, while the tree is as it was when it listed them.
      this.#page = expiries.map((expiry) => {
        const treeKey = this.#generation.keyOfExpiry(expiry);
        return { key: storedKey(this.#tree, treeKey), slot: slotOfKey(treeKey), expireMs: expireMsOf(expiry) };
      });
      this.#at = 0;
    }
    const taken = this.#page[this.#at] ?? null;
    this.#at += 1;
    return taken;
  }
}
