import { decodeHead, Generation, generationOf, generationStart, type Head, headKey } from './layout.ts';
import { LmdbStore } from './lmdb-store.ts';
import { openTree } from './open-tree.ts';
import { Patrol } from './patrol.ts';
import { type Tree, treeKeys } from './tree.ts';
import { TreeWriter, type TreeWriterOptions } from './tree-writer.ts';

export interface LmdbOptions extends TreeWriterOptions {
  /** A directory; made when it is missing. */
  readonly path: string;
  /** What was there is damaged, and is built anew. */
  readonly onDamaged?: (why: string) => void;
  /** How long what is there is looked at before it is served, in ms; the rest is looked at meanwhile. Default 250. */
  readonly checkMs?: number;
}

/** The state of a node on disk: one tree for all its groups. */
export class LmdbEnvironment {
  readonly tree: Tree;
  readonly #writer: TreeWriter;
  readonly #checked: ReadonlySet<number>;
  readonly #patrol = new Patrol();
  #closing: Promise<void> | null = null;

  constructor(options: LmdbOptions) {
    const { path, checkMs = 250, onDamaged = () => undefined } = options;
    const { tree, checked } = openTree(path, checkMs, onDamaged);
    this.tree = tree;
    this.#checked = checked;
    this.#writer = new TreeWriter(this.tree, options.path, options);
  }

  /** The store of a group, as it was when it was last written. Ask once for each group. */
  store(group: number): LmdbStore {
    const record = this.tree.getBinary(headKey(group));
    const kept = record === undefined ? null : decodeHead(record);
    const generations = this.#generationsOf(group);
    this.#writer.took(group, Math.max(kept?.generation ?? 0, ...generations));
    // A state of unknown position cannot be gone on from: the log, or a snapshot, gives it anew.
    const head: Head =
      kept !== null && kept.position !== null
        ? kept
        : {
            generation: this.#writer.freshGeneration(group).number,
            position: null,
            timeMs: 0,
            count: 0,
            digestLow: 0,
            digestHigh: 0,
          };
    for (const generation of generations)
      if (generation !== head.generation) this.#writer.abandon(new Generation(group, generation));
    const store = new LmdbStore(this.#writer, group, head, null);
    if (head.position !== null && !this.#checked.has(group)) this.#patrol.add(store);
    return store;
  }

  /** Resolves when everything the store holds now is durable. */
  written(store: LmdbStore): Promise<void> {
    return this.#writer.written(store);
  }

  /** Writes what is left, for as long as that succeeds, and lets go of the files. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#patrol.stop();
    await this.#writer.close();
    // lmdb would not notice a transaction of a tree that is gone, and neither would it survive one.
    for (const capture of this.#writer.captures) capture.cut();
    await this.tree.close();
  }

  /** The generations of a group that have keys, found by leaping from one to the next. */
  #generationsOf(group: number): number[] {
    const found: number[] = [];
    const end = generationStart(group, 0xffff_ffff);
    let next = 1;
    for (;;) {
      const [key] = treeKeys(this.tree, { start: generationStart(group, next), end, limit: 1 });
      if (key === undefined) return found;
      found.push(generationOf(key));
      next = generationOf(key) + 1;
    }
  }
}
