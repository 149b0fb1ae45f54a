import { NoriError } from '../base/errors.ts';
import type { Index } from '../core/types.ts';
import type { AppliedEntry, AppliedPosition, StateMachine } from '../ports/state-machine.ts';
import { payloadOf } from './operation.ts';

export interface ApplyWatcher {
  /** A batch went in; `results` is null while it is still inside. */
  onApply(entries: readonly AppliedEntry[], results: readonly Uint8Array[]): void;
  /** The state begins to be replaced by a snapshot's. */
  onRestore(): void;
  onPromise(): void;
  /** The last moment to see what the host made of the group before it was told of the damage. */
  onRotten(): void;
  /** Runs it when the machine has spent as much time on a batch as it takes just now; null when it takes none. */
  later(): ((run: () => void) => void) | null;
}

/** A user's state machine with somebody looking on: takes the operation's number off each command. */
export class WatchedMachine implements StateMachine {
  readonly inner: StateMachine;
  /** The last command that was applied. */
  appliedIndex: Index = 0;
  readonly conflicts?: (query: Uint8Array, entries: readonly AppliedEntry[]) => boolean;
  /** It finds its state damaged when it next looks at it. */
  rotten = false;
  readonly reset?: () => Promise<void>;
  private readonly watcher: ApplyWatcher;

  constructor(inner: StateMachine, watcher: ApplyWatcher) {
    this.inner = inner;
    this.watcher = watcher;
    if (inner.reset !== undefined) {
      this.reset = () => {
        this.watcher.onRestore();
        this.appliedIndex = 0;
        this.rotten = false;
        return inner.reset?.() ?? Promise.resolve();
      };
    }
    if (inner.conflicts !== undefined) {
      this.conflicts = (query, entries) => {
        this.look();
        return inner.conflicts?.(query, entries.map(withoutNumber)) ?? true;
      };
    }
  }

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const later = this.watcher.later();
    if (later === null) return this.applyNow(entries);
    this.watcher.onPromise();
    return new Promise((resolve) => {
      later(() => {
        this.watcher.onPromise();
        resolve(this.applyNow(entries));
      });
    });
  }

  private applyNow(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    this.look();
    const results = this.inner.apply(entries.map(withoutNumber));
    if (isReady(results)) return this.applied(entries, results);
    this.watcher.onPromise();
    return results.then((ready) => this.applied(entries, ready));
  }

  query(query: Uint8Array): Uint8Array {
    this.look();
    return this.inner.query(query);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    this.look();
    return this.inner.snapshot();
  }

  async restore(image: AsyncIterable<Uint8Array>, at?: AppliedPosition): Promise<void> {
    this.watcher.onRestore();
    await this.inner.restore(image, at);
    this.rotten = false;
  }

  hasRoom(): boolean {
    return this.inner.hasRoom?.() ?? true;
  }

  advanceTime(timeMs: number): void {
    this.look();
    this.inner.advanceTime?.(timeMs);
  }

  nextDeadlineMs(): number | null {
    this.look();
    return this.inner.nextDeadlineMs?.() ?? null;
  }

  private look(): void {
    if (!this.rotten) return;
    this.watcher.onRotten();
    throw new NoriError('STATE_DAMAGED', { message: 'the state of this machine was damaged' });
  }

  private applied(entries: readonly AppliedEntry[], results: readonly Uint8Array[]): readonly Uint8Array[] {
    this.watcher.onApply(entries, results);
    this.appliedIndex = entries.at(-1)?.index ?? this.appliedIndex;
    return results;
  }
}

function withoutNumber(entry: AppliedEntry): AppliedEntry {
  // An entry without a command carries only time.
  return entry.command.length === 0 ? entry : { ...entry, command: payloadOf(entry.command) };
}

function isReady(results: readonly Uint8Array[] | Promise<readonly Uint8Array[]>): results is readonly Uint8Array[] {
  return Array.isArray(results);
}
