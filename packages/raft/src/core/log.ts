import { assert } from '../base/assert.ts';
import type { Entry, Index, LogBase, Term } from './types.ts';

export const emptyBase: LogBase = { index: 0, term: 0, timeMs: 0 };

/** What an entry counts for in limits on bytes, beyond its payload. */
export const entryOverheadBytes = 32;

/** The replicated log, from the entry after its base to the last, and the marks on it. */
export class Log {
  /** Through here the entries are durable on this node. */
  persistedIndex: Index;
  /** Through here they are durable on a quorum, for ever. */
  commit: Index;
  /** Through here the state machine has them. */
  applied: Index;
  /** How often a suffix was truncated since start. */
  epoch = 0;
  /** What the entries count for in limits on bytes. */
  bytes = 0;
  private base: LogBase;
  private entries: Entry[];

  /** Takes over `entries`, which must follow `base` without a gap and are durable already. */
  constructor(base: LogBase, entries: Entry[]) {
    this.base = base;
    this.entries = entries;
    for (let at = 0; at < entries.length; at += 1) {
      const item = entries[at] as Entry;
      assert(item.index === base.index + 1 + at, 'the log starts without a gap');
      this.bytes += entryBytes(item);
    }
    this.persistedIndex = this.lastIndex;
    this.commit = base.index;
    this.applied = base.index;
  }

  /** At start: the state machine has the entries through `index` already. Only what is committed is ever applied. */
  resumeAt(index: Index): void {
    assert(index >= this.base.index && index <= this.lastIndex, 'what was applied is in the log');
    this.commit = Math.max(this.commit, index);
    this.applied = index;
  }

  get baseIndex(): Index {
    return this.base.index;
  }

  get lastIndex(): Index {
    return this.base.index + this.entries.length;
  }

  get lastTerm(): Term {
    const last = this.entries.at(-1);
    return last === undefined ? this.base.term : last.term;
  }

  /** Log time of the last entry, in ms. */
  get lastTimeMs(): number {
    const last = this.entries.at(-1);
    return last === undefined ? this.base.timeMs : last.timeMs;
  }

  /** The term of the entry at `index`; undefined when it is compacted or not there yet. */
  termAt(index: Index): Term | undefined {
    if (index === this.base.index) return this.base.term;
    return this.entries[index - this.base.index - 1]?.term;
  }

  /** Log time of the entry at `index`, or of the base, in ms. */
  timeMsAt(index: Index): number {
    return index === this.base.index ? this.base.timeMs : this.entryAt(index).timeMs;
  }

  entryAt(index: Index): Entry {
    const found = this.entries[index - this.base.index - 1];
    assert(found !== undefined, 'the log holds the entry');
    return found;
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'entries are appended without a gap');
    assert(entry.term >= this.lastTerm, 'terms never go down along the log');
    this.entries.push(entry);
    this.bytes += entryBytes(entry);
  }

  /** Drops the entry at `fromIndex` and all behind it. */
  truncateFrom(fromIndex: Index): void {
    assert(fromIndex > this.commit, 'a committed entry is never truncated');
    for (let index = fromIndex; index <= this.lastIndex; index += 1) this.bytes -= entryBytes(this.entryAt(index));
    this.entries.length = fromIndex - this.base.index - 1;
    this.epoch += 1;
    if (this.persistedIndex >= fromIndex) this.persistedIndex = fromIndex - 1;
  }

  /** The entries from `fromIndex` that fit `bytesMax`, at least one if there is one. */
  slice(fromIndex: Index, bytesMax: number): readonly Entry[] {
    const start = fromIndex - this.base.index - 1;
    assert(start >= 0, 'compacted entries are sent as a snapshot');
    let bytes = 0;
    let end = start;
    for (; end < this.entries.length; end += 1) {
      bytes += entryBytes(this.entries[end] as Entry);
      if (bytes > bytesMax && end > start) break;
    }
    return this.entries.slice(start, end);
  }

  /** The entries from `fromIndex` through `toIndex`. */
  range(fromIndex: Index, toIndex: Index): readonly Entry[] {
    assert(fromIndex > this.base.index && toIndex <= this.lastIndex, 'the log holds the range');
    return this.entries.slice(fromIndex - this.base.index - 1, toIndex - this.base.index);
  }

  /** Whether a log that ends in (index, term) has all that this one has (thesis 3.6.1). */
  isUpToDate(other: { readonly lastIndex: Index; readonly lastTerm: Term }): boolean {
    return other.lastTerm > this.lastTerm || (other.lastTerm === this.lastTerm && other.lastIndex >= this.lastIndex);
  }

  /**
   * The largest index at most `index` whose term is at most `term`: where another log that has `term` at `index` can
   * still match. Skips whole terms at once, where the paper steps back entry by entry (thesis 3.5, end).
   */
  lastIndexOfTermAtMost(index: Index, term: Term): Index {
    let low = this.base.index;
    let high = Math.min(index, this.lastIndex);
    // Terms never go down along the log, so halving finds the place.
    while (low < high) {
      const middle = low + ((high - low + 1) >> 1);
      if ((this.termAt(middle) as Term) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Drops the entries through `index`, which a snapshot covers. */
  compact(index: Index): void {
    assert(index <= this.applied, 'only applied entries are compacted');
    if (index <= this.base.index) return;
    const last = this.entryAt(index);
    for (let at = this.base.index + 1; at <= index; at += 1) this.bytes -= entryBytes(this.entryAt(at));
    this.entries = this.entries.slice(index - this.base.index);
    this.base = { index, term: last.term, timeMs: last.timeMs };
  }

  /**
   * Starts over behind a snapshot that this log does not lead up to (thesis figure 5.3, rule 7). Receipts of what was
   * written before say nothing about what follows.
   */
  restart(base: LogBase): void {
    assert(base.index > this.commit, 'what is committed here and in the snapshot is the same: nothing is given up');
    this.base = base;
    this.entries = [];
    this.bytes = 0;
    this.epoch += 1;
    this.persistedIndex = Math.min(this.persistedIndex, this.commit);
    this.commit = this.baseIndex;
    this.applied = this.baseIndex;
  }

  get logBase(): LogBase {
    return this.base;
  }

  /** The lowest index at which to compact so that at most so many entries and bytes stay, and never beyond `throughIndex`. */
  tailStart(throughIndex: Index, tail: { readonly entries: number; readonly bytes: number }): Index {
    let index = throughIndex;
    let bytes = 0;
    const lowest = Math.max(this.base.index, throughIndex - tail.entries);
    while (index > lowest) {
      bytes += entryBytes(this.entryAt(index));
      if (bytes > tail.bytes) break;
      index -= 1;
    }
    return index;
  }
}

function entryBytes(item: Entry): number {
  return item.payload.length + entryOverheadBytes;
}
