import type { Index, Term } from '../core/types.ts';

/** A committed command, as every replica sees it, in the same order. */
export interface AppliedEntry {
  readonly index: Index;
  readonly term: Term;
  /** Log time, in ms since the Unix epoch: the only clock a state machine may look at. */
  readonly timeMs: number;
  readonly command: Uint8Array;
}

/** A place in the log. The term tells it from the same index of another log. */
export interface AppliedPosition {
  readonly index: Index;
  readonly term: Term;
}

/**
 * What a group replicates. `apply` must be deterministic: the same entries give the same state and results on every
 * node, so it may not ask the clock, chance or the outside world. If it throws, the group halts on this node: a
 * replica that skipped a command would be a different state machine.
 *
 * A state machine that finds what it keeps to be damaged (a checksum that does not fit) throws a NoriError with the code
 * STATE_DAMAGED, from whatever method it is found in, and goes on doing so until `reset` or `restore`. The others then give
 * this node the state anew, as with a damaged log (docs/adr/0012-quarantine.md); where they cannot do without it
 * meanwhile, the group halts here.
 */
export interface StateMachine {
  /** Applies a batch in order and answers each entry. The next batch, and every query, waits until it is complete. */
  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Answers from the state applied so far, without changing it. */
  query(query: Uint8Array): Uint8Array;
  /**
   * May the answer to `query` depend on whether `entries` are applied? A leader whose term is young does not know yet
   * which of its uncommitted entries an earlier leader committed; it may answer what does not depend on them.
   * `entries` follow the state applied so far, oldest first; those that only carry time have an empty
   * command. When it says false, the answer must be the same before any prefix of them is applied and after: look at
   * what each command may write, whether or not its condition holds, and at what its time may expire. When in doubt
   * say true: the read then waits or fails retryably. Synchronous, changes nothing, and is called just before `query`
   * on the same state. The array is never changed, and the same one is passed for as long as they are in doubt, so
   * what was found out about it may be kept. Without this method any entry that holds a command or time conflicts.
   */
  conflicts?(query: Uint8Array, entries: readonly AppliedEntry[]): boolean;
  /** A consistent image of the state as of the last applied entry; later applies do not change what is read from it. */
  snapshot(): AsyncIterable<Uint8Array>;
  /**
   * Replaces the whole state by an image that `snapshot` gave. `at` is the last entry the image covers: a state machine
   * that keeps its own position (`durablePosition`) takes it for its own, in the same step as the state, and resolves when
   * that is durable.
   */
  restore(image: AsyncIterable<Uint8Array>, at?: AppliedPosition): Promise<void>;
  /**
   * For state machines that keep their state on disk themselves: the position through which the state is there after a
   * power cut at this moment, or null when that is nothing. It must be stored in the same transaction as what the
   * entries through it changed. When the group is taken up, the host asks and goes on with the entry after it, so at that
   * moment the state must hold exactly the commands through it; later it asks before it gives up entries of the log, of
   * which those after this position are still needed. Without this method the state is built from the newest snapshot
   * and the log at each start.
   */
  durablePosition?(): AppliedPosition | null;
  /**
   * False: its own store has no room for more. From then on a leader refuses new commands with DISK_FULL before they reach
   * the log, until it says true again; those that are in the log are applied, or wait for room, as ever. Asked for every
   * command, so it should only look at a flag.
   */
  hasRoom?(): boolean;
  /**
   * Forgets everything: from then on it is as if it had just been made, and of a state of its own on disk nothing is
   * left that a start would find. Resolves when that is durable. Called when this node's log or snapshot of the group was
   * damaged, so that the state cannot be gone on from, and at a start after a crash that came while an image from outside
   * was installed (`installSnapshot`, which a state machine with `durablePosition` and without this refuses); nothing is applied or asked meanwhile, and the other nodes give it
   * anew. A state machine with `durablePosition` and without this method stays in quarantine.
   */
  reset?(): Promise<void>;
  /** Log time reached `timeMs` without a command: drop what expired. */
  advanceTime?(timeMs: number): void;
  /** The log time at which something next expires, or null. The leader then writes an entry that carries time. */
  nextDeadlineMs?(): number | null;
}
