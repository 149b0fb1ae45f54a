import {
  type Configuration,
  type Entry,
  EntryKind,
  type GroupId,
  type Index,
  type NodeId,
  type Term,
} from '../../core/types.ts';
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
  /** The last one committed. */
  private configuration: Configuration | null = null;

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
    const before = this.entries[entry.index - 1]?.entry;
    requireThat(
      before === undefined || (before.timeMs <= entry.timeMs && before.term <= entry.term),
      'LogTime',
      () => `group ${this.group}: time or term goes back from ${entry.index - 1} to ${entry.index}`,
    );
    this.configured(entry);
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

  private configured({ index, configuration }: Entry): void {
    if (configuration === null) return;
    const before = this.configuration;
    requireThat(
      before === null || legalStep(before, configuration),
      'ConfigSafety',
      () => `group ${this.group}: the configuration of ${index} does not follow the one before it`,
    );
    this.configuration = configuration;
  }
}

/** Voters change only through a joint configuration, which is left forwards, or back to where it came from. */
function legalStep(from: Configuration, to: Configuration): boolean {
  if (from.outgoing.length > 0)
    return to.outgoing.length === 0 && (same(to.incoming, from.incoming) || same(to.incoming, from.outgoing));
  return same(to.outgoing.length > 0 ? to.outgoing : to.incoming, from.incoming);
}

function differences(one: readonly NodeId[], other: readonly NodeId[]): number {
  const missing = (from: readonly NodeId[], where: readonly NodeId[]): number =>
    from.filter((id) => !where.includes(id)).length;
  return missing(one, other) + missing(other, one);
}

function same(one: readonly NodeId[], other: readonly NodeId[]): boolean {
  return differences(one, other) === 0;
}

export function entryDigest(entry: Entry): number {
  const seed = entry.term * 64 + entry.kind + (entry.timeMs % 1e9);
  return digestOf(seed % Number.MAX_SAFE_INTEGER, entry.payload);
}
