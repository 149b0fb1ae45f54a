import { statfs } from 'node:fs/promises';
import { constants } from 'node:os';
import { Generation, generationStart, headKey } from './layout.ts';
import { type Tree, treeKeys } from './tree.ts';

export interface TreeWriterOptions {
  /** The disk refused for good: nothing that was written since the last success is certain to be there. Told once. */
  readonly onFailed?: (error: unknown) => void;
  /** How long changes gather before they are written, in ms. Default 100. */
  readonly gatherMs?: number;
  /** So many bytes of changes are written at once, without gathering longer. Default 4 MiB. */
  readonly gatherBytesMax?: number;
  /** With more than this in memory, applying waits for the disk. Default 16 MiB: a transaction costs three times its bytes in memory. */
  readonly pendingBytesMax?: number;
}

const retryMs = 2000;
/** With less room than this on the volume, a write that came to nothing is taken for want of room. */
const roomBytesMin = 8 << 20;
/** So much of the volume is left alone: a node must be able to write a vote, and its identity when it starts. */
const reserveBytes = 1 << 20;
/** Keys of given-up generations that are deleted in one transaction. */
const sweepKeys = 2000;

/** lmdb's own word for it: its address space is used up. */
const mapFull = -30_792;

export function isMapFull(error: unknown): boolean {
  return ((error ?? {}) as { readonly code?: unknown }).code === mapFull;
}

const delay = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));
const nextTurn = (): Promise<void> => new Promise((wake) => setImmediate(wake));

/** A store that has changes for the tree. */
export interface ChangedStore {
  /** Bytes in memory that wait to be written, roughly. */
  readonly pendingBytes: number;
  /** What the writer has counted of them. */
  countedBytes: number;
  /**
   * Puts everything that is not certainly in the tree into the batch that is open there. The function it answers is to
   * be called when that is durable; until then all of it may be asked for again.
   */
  writeChanges(): () => void;
}

export interface TreeReader {
  /** The tree is about to be closed. */
  cut(): void;
}

/** Writes what the stores of all groups have gathered to the tree they share, with one wait for the disk. */
export class TreeWriter {
  readonly tree: Tree;
  /** Those who read the tree in a transaction of their own. */
  readonly captures: Set<TreeReader> = new Set();
  readonly #directory: string;
  readonly #options: Required<TreeWriterOptions>;
  readonly #changed = new Set<ChangedStore>();
  readonly #generations = new Map<number, number>();
  #abandoned: Generation[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #cycle: Promise<void> | null = null;
  #failure: Error | null = null;
  #full = false;
  #closed = false;

  constructor(tree: Tree, directory: string, options: TreeWriterOptions) {
    this.tree = tree;
    this.#directory = directory;
    this.#options = {
      onFailed: () => undefined,
      gatherMs: 100,
      gatherBytesMax: 4 << 20,
      pendingBytesMax: 16 << 20,
      ...options,
    };
  }

  /** Generations of a group up to `number` are taken. */
  took(group: number, number: number): void {
    this.#generations.set(group, number);
  }

  freshGeneration(group: number): Generation {
    const number = (this.#generations.get(group) ?? 0) + 1;
    this.#generations.set(group, number);
    return new Generation(group, number);
  }

  /** Nobody reads or writes this generation any more: its keys are deleted in the background. */
  abandon(generation: Generation): void {
    this.#abandoned.push(generation);
    this.#schedule();
  }

  /** What the head of a group names is not to be gone on from. Not awaited: a start that finds it all the same looks at it first. */
  forgetHead(group: number): void {
    this.tree.remove(headKey(group)).catch((error: unknown) => void causeOf(error));
  }

  /** The store has something to write. */
  changed(store: ChangedStore): void {
    this.recount(store);
    this.#changed.add(store);
    this.#schedule();
  }

  /** The store's layers have become more or fewer. */
  recount(store: ChangedStore): void {
    const bytes = store.pendingBytes;
    this.#pendingBytes += bytes - store.countedBytes;
    store.countedBytes = bytes;
  }

  forget(store: ChangedStore): void {
    this.#changed.delete(store);
    this.#pendingBytes -= store.countedBytes;
    store.countedBytes = 0;
  }

  /** The last attempt met a full volume; it is tried again every two seconds. */
  get full(): boolean {
    return this.#full;
  }

  /** Null: there is room in memory. A promise: there will be. */
  room(): Promise<void> | null {
    if (this.#failure !== null) throw this.#failure;
    return this.#pendingBytes <= this.#options.pendingBytesMax ? null : this.#untilRoom();
  }

  /** Resolves when everything the store holds now is durable. */
  async written(store: ChangedStore): Promise<void> {
    this.changed(store);
    do {
      this.#begin();
      await this.#cycle;
      if (this.#failure !== null) throw this.#failure;
    } while (this.#changed.has(store));
  }

  /** Writes what is left, for as long as that succeeds. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    do {
      this.#begin();
      await this.#cycle;
    } while (this.#changed.size > 0 && this.#failure === null);
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #untilRoom(): Promise<void> {
    while (this.#pendingBytes > this.#options.pendingBytesMax) {
      this.#begin();
      await this.#cycle;
      if (this.#failure !== null) throw this.#failure;
    }
  }

  #schedule(): void {
    if (this.#cycle !== null || this.#closed || this.#failure !== null) return;
    if (this.#pendingBytes >= this.#options.gatherBytesMax) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), this.#options.gatherMs);
  }

  #begin(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#failure !== null) return;
    this.#cycle ??= this.#run().finally(() => {
      this.#cycle = null;
      if (this.#changed.size > 0 || this.#abandoned.length > 0) this.#schedule();
    });
  }

  /** One cycle: what has changed is written and made durable, and a part of what nobody needs is deleted. */
  async #run(): Promise<void> {
    if (!this.#closed && !(await this.#volumeHasRoom())) return this.#waitForRoom();
    const stores = [...this.#changed];
    this.#changed.clear();
    try {
      const durable: (() => void)[] = [];
      const commits: Promise<unknown>[] = [];
      for (const store of stores) {
        // A batch each: it is one transaction, and other work gets its turn in between.
        const commit = this.tree.batch(() => void durable.push(store.writeChanges()));
        // Looked at when all of them are there; until then it must not count as unhandled, nor what it carries.
        commit.catch((error: unknown) => void causeOf(error));
        commits.push(commit);
        await nextTurn();
      }
      commits.push(this.#sweep());
      await Promise.all(commits);
      await this.tree.flushed;
      this.#full = false;
      for (const done of durable) done();
    } catch (error) {
      // Nothing is lost: the layers are still there, and the log is.
      for (const store of stores) this.#changed.add(store);
      const cause = await causeOf(error);
      if (!this.#closed && (await isFull(cause, this.#directory))) await this.#waitForRoom();
      else this.#fail(cause);
    }
  }

  /** Copied pages take about as much as what is written. The rest is for votes and the like: the log's, not the store's. */
  async #volumeHasRoom(): Promise<boolean> {
    return (await freeBytes(this.#directory)) > 2 * this.#pendingBytes + reserveBytes;
  }

  async #waitForRoom(): Promise<void> {
    this.#full = true;
    await delay(retryMs);
  }

  #sweep(): Promise<unknown> {
    const [generation] = this.#abandoned;
    if (generation === undefined) return Promise.resolve();
    const { group, number } = generation;
    const range = { start: generationStart(group, number), end: generationStart(group, number + 1) };
    const keys = treeKeys(this.tree, { ...range, limit: sweepKeys });
    if (keys.length < sweepKeys) this.#abandoned = this.#abandoned.filter((other) => other !== generation);
    return this.tree.batch(() => {
      for (const key of keys) void this.tree.remove(key);
    });
  }

  #fail(cause: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = new Error('the store of the state machines could not be written', { cause });
    this.#options.onFailed(cause);
  }
}

/** A failed commit says only that it failed; why is in a promise that rejects. */
async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = (error ?? {}) as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return error;
  return commitError.catch((cause: unknown) => cause);
}

/** Whether a commit failed for want of space, which may come back. A write that was cut short is reported as EIO. */
async function isFull(cause: unknown, directory: string): Promise<boolean> {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  if (code === constants.errno.ENOSPC || code === constants.errno.EDQUOT || isMapFull(cause)) return true;
  if (code !== constants.errno.EIO) return false;
  return (await freeBytes(directory)) < roomBytesMin;
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
