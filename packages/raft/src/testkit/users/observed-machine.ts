import type { Index } from '../../core/types.ts';
import type { AppliedEntry, AppliedPosition, StateMachine } from '../../ports/state-machine.ts';

/** A user's state machine, and somebody who hears that log time went on without a command. */
export class ObservedMachine implements StateMachine {
  readonly inner: StateMachine;
  readonly advanceTime?: (timeMs: number) => void;
  readonly nextDeadlineMs?: () => number | null;
  readonly conflicts?: (query: Uint8Array, entries: readonly AppliedEntry[]) => boolean;
  private appliedIndex: Index = 0;

  constructor(inner: StateMachine, onTime: (afterIndex: Index, timeMs: number) => void) {
    this.inner = inner;
    if (inner.advanceTime !== undefined) {
      this.advanceTime = (timeMs) => {
        onTime(this.appliedIndex, timeMs);
        inner.advanceTime?.(timeMs);
      };
    }
    if (inner.nextDeadlineMs !== undefined) this.nextDeadlineMs = () => inner.nextDeadlineMs?.() ?? null;
    if (inner.conflicts !== undefined) this.conflicts = (query, entries) => inner.conflicts?.(query, entries) ?? true;
  }

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    this.appliedIndex = entries.at(-1)?.index ?? this.appliedIndex;
    return this.inner.apply(entries);
  }

  query(query: Uint8Array): Uint8Array {
    return this.inner.query(query);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.inner.snapshot();
  }

  restore(image: AsyncIterable<Uint8Array>, at?: AppliedPosition): Promise<void> {
    return this.inner.restore(image, at);
  }
}
