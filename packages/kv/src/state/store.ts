import { type AppliedPosition, NoriError } from 'nori-raft';
import type { Entry } from './entry.ts';
import type { ScanPage } from './scan.ts';
import type { Value } from './value.ts';

/** Where a key is, or would be. */
export interface Place {
  readonly key: string;
  readonly slot: number;
  readonly entry: Entry | undefined;
}

/** The keys as they were at one moment. */
export interface Capture {
  readonly count: number;
  readonly timeMs: number;
  readonly digest: string;
  /**
   * Every key, in no order, read as the caller goes on. One that is overwritten meanwhile may come twice, the same both
   * times.
   */
  entries(): Iterable<Entry>;
  /** Nothing is kept for it any more. May be called more than once. */
  close(): void;
}

/** The keys of one shard, in memory or on disk. Everything but `applied` and `adopt` is synchronous. */
export interface Store {
  /** Log time reached, in ms. */
  readonly timeMs: number;
  readonly count: number;
  /** 16 hex digits: the same for the same keys, values and expiry times, however they came about and wherever they are. */
  readonly digest: string;
  /** When the next key expires, in ms of log time, or null. */
  readonly nextDeadlineMs: number | null;
  find(key: Buffer): Entry | undefined;
  locate(key: Buffer): Place;
  /** Stores a value. A time that log time has already reached deletes the key instead. */
  write(place: Place, value: Value, expireMs: number): void;
  remove(entry: Entry): void;
  /** Log time never goes back; what expires by it is gone before anything else sees it. */
  advanceTime(timeMs: number): void;
  clear(): void;
  /** One page of all keys, `count` of them or a few more (see scan.ts for the cursor). */
  scan(cursor: number, count: number): ScanPage;
  keys(): Iterable<string>;
  /** Any key, by a chance in [0, 1) that the caller brings. */
  randomKey(random: () => number): string | undefined;
  countInSlot(slot: number): number;
  keysInSlot(slot: number, countMax: number): string[];
  /** What is written afterwards does not show in it, and goes on as fast as ever. */
  capture(): Capture;
  /** Every command through `at` is in. A promise: the next one has to wait for it. */
  applied(at: AppliedPosition): Promise<void> | null;
  /** While a store is being filled: resolves when there is room for more. */
  relief(): Promise<void>;
  /** See StateMachine.hasRoom. */
  readonly hasRoom: boolean;
  /** See StateMachine.durablePosition. */
  readonly durablePosition: AppliedPosition | null;
  /** An empty store that is to take this one's place. Until it is adopted, this one is the shard's. */
  successor(): Store;
  /**
   * The store is filled and takes over, in one step that a crash does not split. Without `at` a store on disk does not
   * outlive the process.
   */
  adopt(at: AppliedPosition | null): Promise<void>;
  /** The store is given up: it was not filled after all, or another took over. */
  discard(): void;
  /** What it has on disk turned out not to be what was written there, or null. Nothing may be answered from it then. */
  readonly damage: NoriError | null;
  /** From here on it is damaged, and after a restart it is not gone on from. */
  condemn(damage: NoriError): void;
}

/** What the methods of a store throw when they come upon something that is not as it was written. */
export function storeDamaged(what: string, cause?: unknown): NoriError {
  return new NoriError('STATE_DAMAGED', { message: `the stored keys are damaged: ${what}`, cause });
}

export function isStoreDamaged(error: unknown): error is NoriError {
  return error instanceof NoriError && error.code === 'STATE_DAMAGED';
}

export function hexDigest(low: number, high: number): string {
  const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
  return `${hex(high)}${hex(low)}`;
}
