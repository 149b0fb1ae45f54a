import type { Index, Term } from '../core/types.ts';

/** A committed command, as every replica sees it, in the same order. */
export interface AppliedEntry {
  readonly index: Index;
  readonly term: Term;
  /** Log time, in ms since the Unix epoch: the only clock a state machine may look at. */
  readonly timeMs: number;
  readonly command: Uint8Array;
}

/**
 * What a group replicates. `apply` must be deterministic: the same entries give the same state and results on every
 * node, so it may not ask the clock, chance or the outside world. If it throws, the group halts on this node: a
 * replica that skipped a command would be a different state machine.
 */
export interface StateMachine {
  /** Applies a batch in order and answers each entry. The next batch, and every query, waits until it is complete. */
  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Answers from the state applied so far, without changing it. */
  query(query: Uint8Array): Uint8Array;
  /** A consistent image of the state as of the last applied entry; later applies do not change what is read from it. */
  snapshot(): AsyncIterable<Uint8Array>;
  /** Replaces the whole state by an image that `snapshot` gave. */
  restore(image: AsyncIterable<Uint8Array>): Promise<void>;
  /** Log time reached `timeMs` without a command: drop what expired. */
  advanceTime?(timeMs: number): void;
  /** The log time at which something next expires, or null. The leader then writes an entry that carries time. */
  nextDeadlineMs?(): number | null;
}
