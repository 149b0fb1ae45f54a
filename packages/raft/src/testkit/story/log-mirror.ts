import type { RaftState } from '../../core/state.ts';
import { type Entry, EntryKind, type Index, type Term } from '../../core/types.ts';
import { operationIdOf } from '../operation.ts';

/** Entries that a log has no more. */
export interface Dropped {
  readonly from: Index;
  readonly to: Index;
  readonly terms: readonly Term[];
  /** The calls of clients among them. */
  readonly calls: readonly number[];
}

/** A node's log as it was when last looked at, kept beyond the end of its process. */
export class LogMirror {
  private raft: RaftState | null = null;
  private base: Index = 0;
  private entries: Entry[] = [];

  /** Takes over the log as it is now; what is gone since the last look, or null. */
  look(raft: RaftState): Dropped | null {
    const { log } = raft;
    const rebooted = raft !== this.raft;
    const { entries, base } = this;
    let same = Math.max(0, Math.min(entries.length, log.lastIndex - base));
    if (base !== log.baseIndex) same = 0;
    while (same > 0 && !isSame(entries[same - 1] as Entry, log.entryAt(base + same), rebooted)) same -= 1;
    const gone = entries.slice(same).filter(({ index }) => index > log.baseIndex);
    const kept = rebooted ? [] : entries.slice(0, same);
    for (let index = log.baseIndex + kept.length + 1; index <= log.lastIndex; index += 1) kept.push(log.entryAt(index));
    this.raft = raft;
    this.base = log.baseIndex;
    this.entries = kept;
    return base === log.baseIndex && gone.length > 0 ? dropped(gone) : null;
  }

  /** Whether the call is in this log at that index. */
  holds(call: number, index: Index): boolean {
    const entry = this.entries[index - this.base - 1];
    return index <= this.base || (entry !== undefined && callOf(entry) === call);
  }

  changed(raft: RaftState): boolean {
    const { log } = raft;
    const last = this.entries.at(-1);
    if (raft !== this.raft || log.baseIndex !== this.base) return true;
    if (log.lastIndex !== this.base + this.entries.length) return true;
    return last !== undefined && log.entryAt(last.index) !== last;
  }
}

/** The call of a client that an entry carries, or 0. */
export function callOf(entry: Entry): number {
  return entry.kind === EntryKind.command ? operationIdOf(entry.payload) : 0;
}

/** Within a process an entry is one object; from the disk comes another that says the same. */
function isSame(before: Entry, now: Entry, rebooted: boolean): boolean {
  return before === now || (rebooted && before.term === now.term && callOf(before) === callOf(now));
}

function dropped(gone: readonly Entry[]): Dropped {
  const calls = gone.map(callOf).filter((call) => call !== 0);
  const { index: from } = gone[0] as Entry;
  return { from, to: from + gone.length - 1, terms: [...new Set(gone.map(({ term }) => term))], calls };
}
