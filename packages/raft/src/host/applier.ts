import type { Entry, Index, Term } from '../core/types.ts';
import { EntryKind } from '../core/types.ts';
import { entryOverheadBytes, type Log } from '../core/log.ts';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';

export interface ApplierEvents {
  /** Everything through `index` is in the state machine. */
  onApplied(index: Index): void;
  onResult(index: Index, term: Term, result: Uint8Array): void;
}

/**
 * Feeds committed entries to the state machine, in order, one batch at a time. A batch may complete later; until then
 * no other batch and no query runs.
 */
export class Applier {
  /** A batch is inside the state machine. */
  busy = false;
  private readonly log: Log;
  private readonly stateMachine: StateMachine;
  private readonly events: ApplierEvents;
  private readonly bytesMax: number;
  /** What the batch inside will have applied through. */
  private batch: readonly AppliedEntry[] = [];
  private batchEnd: Index = 0;

  constructor(log: Log, stateMachine: StateMachine, bytesMax: number, events: ApplierEvents) {
    this.log = log;
    this.stateMachine = stateMachine;
    this.bytesMax = bytesMax;
    this.events = events;
  }

  /** Whether committed entries wait and nothing holds them back. */
  get ready(): boolean {
    return !this.busy && this.log.applied < this.through;
  }

  /**
   * A store of the state machine's own must never be ahead of this node's log: what is committed elsewhere may be on its
   * way to the disk here, and after a crash the state would be of entries that the log knows nothing of.
   */
  private get through(): Index {
    const { commit, persistedIndex } = this.log;
    return this.stateMachine.durablePosition === undefined ? commit : Math.min(commit, persistedIndex);
  }

  /** Applies one batch. Returns false when it has not completed yet; `whenDone` is called when it has. */
  applyBatch(whenDone: (error: unknown) => void): boolean {
    this.takeBatch();
    if (this.batch.length === 0) {
      this.complete([]);
      return true;
    }
    this.busy = true;
    const results = this.begin();
    if (isReady(results)) {
      this.busy = false;
      this.complete(results);
      return true;
    }
    results.then(
      (ready) => {
        this.busy = false;
        try {
          this.complete(ready);
          whenDone(null);
        } catch (error) {
          whenDone(error);
        }
      },
      (error: unknown) => {
        this.busy = false;
        whenDone(error ?? new Error('apply rejected'));
      },
    );
    return false;
  }

  private begin(): ReturnType<StateMachine['apply']> {
    try {
      return this.stateMachine.apply(this.batch);
    } catch (error) {
      this.busy = false;
      throw error;
    }
  }

  /** Collects the next commands, up to the byte limit or the next entry that only carries time. */
  private takeBatch(): void {
    const { log, through } = this;
    const batch: AppliedEntry[] = [];
    let bytes = 0;
    let index = log.applied;
    while (index < through && bytes < this.bytesMax) {
      const next = log.entryAt(index + 1);
      if (next.kind === EntryKind.clock) {
        if (batch.length > 0) break;
        this.stateMachine.advanceTime?.(next.timeMs);
      } else if (next.kind === EntryKind.command) {
        batch.push(toApplied(next));
        bytes += next.payload.length + entryOverheadBytes;
      }
      index += 1;
    }
    this.batch = batch;
    this.batchEnd = index;
  }

  private complete(results: readonly Uint8Array[]): void {
    const { batch } = this;
    if (results.length !== batch.length) {
      throw new TypeError(`apply answered ${results.length} results for ${batch.length} commands`);
    }
    this.batch = [];
    this.events.onApplied(this.batchEnd);
    for (let at = 0; at < batch.length; at += 1) {
      const { index, term } = batch[at] as AppliedEntry;
      this.events.onResult(index, term, results[at] as Uint8Array);
    }
  }
}

export function toApplied(entry: Entry): AppliedEntry {
  return { index: entry.index, term: entry.term, timeMs: entry.timeMs, command: entry.payload };
}

function isReady(results: readonly Uint8Array[] | Promise<readonly Uint8Array[]>): results is readonly Uint8Array[] {
  return Array.isArray(results);
}
