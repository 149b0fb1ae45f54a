import type { Transaction } from 'lmdb';
import type { Entry } from '../entry.ts';
import type { Capture } from '../store.ts';
import { changeOf, type Layer, newestChanges } from './layer.ts';
import { type Generation } from './layout.ts';
import { Tally } from './tally.ts';
import { after, entryOf, reading, type Tree } from './tree.ts';
import type { TreeReader } from './tree-writer.ts';

/** How much is read from the tree at a time. A cursor that stays open between turns would be in the way of others. */
const pageBytes = 64 * 1024;

/** The keys as of one moment: the layers of then, over what a read transaction saw then. */
export class LmdbCapture implements Capture, TreeReader {
  readonly count: number;
  readonly timeMs: number;
  readonly digest: string;
  readonly #tree: Tree;
  readonly #generation: Generation;
  readonly #open: Set<TreeReader>;
  #cut = false;
  #layers: readonly Layer[];
  #transaction: Transaction | null;

  constructor(
    store: { readonly count: number; readonly timeMs: number; readonly digest: string },
    tree: Tree,
    generation: Generation,
    layers: readonly Layer[],
    open: Set<TreeReader>,
  ) {
    this.count = store.count;
    this.timeMs = store.timeMs;
    this.digest = store.digest;
    this.#tree = tree;
    this.#generation = generation;
    this.#layers = layers;
    this.#transaction = tree.useReadTransaction();
    this.#open = open;
    open.add(this);
  }

  /** @throws NoriError STATE_DAMAGED, at the latest when all are read and it is not all there should be. */
  *entries(): Generator<Entry, void, void> {
    const tally = new Tally();
    for (const entry of this.#all()) {
      tally.add(entry);
      yield entry;
    }
    if (this.#cut) throw new Error('the tree was closed while it was read');
    if (this.#transaction === null) return;
    tally.requireAll(this.count, this.digest);
  }

  *#all(): Generator<Entry, void, void> {
    for (const { entry } of newestChanges(this.#layers)) if (entry !== null) yield entry;
    let start: Buffer | null = this.#generation.place(0, 0);
    while (start !== null && this.#transaction !== null) {
      const page: Entry[] = [];
      start = this.#readPage(this.#transaction, start, page);
      yield* page;
    }
  }

  /** The tree is about to be closed, and whoever still reads, say for a slow client, learns of it. */
  cut(): void {
    this.#cut = this.#transaction !== null;
    this.close();
  }

  close(): void {
    this.#open.delete(this);
    this.#transaction?.done();
    this.#transaction = null;
    this.#layers = [];
  }

  /** Answers where to go on, or null. */
  #readPage(transaction: Transaction, start: Buffer, page: Entry[]): Buffer | null {
    let bytes = 0;
    const range = { start, end: this.#generation.keysEnd, transaction };
    return reading(() => {
      for (const { key: treeKey, value: record } of this.#tree.getRange(range)) {
        const entry = entryOf(treeKey, record);
        bytes += record.length;
        if (changeOf(this.#layers, entry.slot, entry.key) === undefined) page.push(entry);
        if (bytes >= pageBytes) return after(treeKey);
      }
      return null;
    });
  }
}
