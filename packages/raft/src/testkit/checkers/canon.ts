import { type Entry, EntryKind, type GroupId, type Index, type Term } from '../../core/types.ts';
import { digestOf } from '../hash.ts';
import { operationIdOf } from '../operation.ts';
import { requireThat } from '../violation.ts';

export interface CanonEntry {
  readonly index: Index;
  readonly term: Term;
  readonly digest: number;
  /** The client's operation, or 0 when it is none. */
  readonly operation: number;
  readonly entry: Entry;
  /** The term in which it was first seen committed. */
  readonly committedIn: Term;
  readonly committedMs: number;
}

/** The one history of a group: what was first seen committed at each index, for ever. */
export class Canon {
  readonly group: GroupId;
  /** Called once for each index, in order. */
  readonly onCommitted: ((committed: CanonEntry) => void)[] = [];
  /** Index 0 is not used. */
  private readonly entries: (CanonEntry | null)[] = [null];

  constructor(group: GroupId) {
    this.group = group;
  }

  get lastIndex(): Index {
    return this.entries.length - 1;
  }

  at(index: Index): CanonEntry | null {
    return this.entries[index] ?? null;
  }

  /** A node takes this entry for committed. */
  committed(entry: Entry, node: string, term: Term, nowMs: number): void {
    const known = this.entries[entry.index];
    const digest = entryDigest(entry);
    if (known != null) {
      requireThat(
        known.term === entry.term && known.digest === digest,
        'CanonicalCommit',
        () =>
          `group ${this.group}: ${node} committed (${entry.index}, term ${entry.term}) where (term ${known.term}) was committed before`,
      );
      return;
    }
    requireThat(
      entry.index === this.entries.length,
      'CanonicalCommit',
      () => `group ${this.group}: ${node} committed ${entry.index} before ${this.entries.length}`,
    );
    const operation = entry.kind === EntryKind.command ? operationIdOf(entry.payload) : 0;
    const committed = {
      index: entry.index,
      term: entry.term,
      digest,
      operation,
      entry,
      committedIn: term,
      committedMs: nowMs,
    };
    this.entries.push(committed);
    for (const hear of this.onCommitted) hear(committed);
  }
}

export function entryDigest(entry: Entry): number {
  const seed = entry.term * 64 + entry.kind + (entry.timeMs % 1e9);
  return digestOf(seed % Number.MAX_SAFE_INTEGER, entry.payload);
}
