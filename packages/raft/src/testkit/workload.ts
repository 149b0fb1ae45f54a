import type { Prng } from '../base/prng.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import type * as linearizability from './linearizability/model.ts';

export interface PlannedOperation {
  readonly kind: 'write' | 'read';
  readonly payload: Uint8Array;
}

/** What the state should say, told by somebody who only sees the log. Checks answers to reads exactly. */
export interface Model {
  /** Set when the state machine has `conflicts`: then a read may be answered from before entries it has nothing to do with. */
  readonly limbo?: boolean;
  /** A command was committed at `index`; called once for each, in order. */
  committed(index: Index, timeMs: number, command: Uint8Array): void;
  /** Log time reached `timeMs` by an entry at `index` that carries nothing else. */
  passed?(index: Index, timeMs: number): void;
  /** What is wrong with this answer of a state applied through `index`, or null. */
  judge(query: Uint8Array, index: Index, result: Uint8Array): string | null;
}

/**
 * The object that clients believe they talk to, as the linearizability checker takes it. It knows nothing of logs and
 * indexes: what it finds, a client could have found.
 */
export type SequentialModel = linearizability.Model<unknown, PlannedOperation, Uint8Array>;

/** A call in the words of docs/history-format.md. */
export interface RecordedCall {
  readonly command: readonly string[];
  /** Null when there is no answer. */
  readonly result: string | number | null;
}

/** What clients do, and to what. */
export interface Workload {
  readonly name: string;
  stateMachine(node: string, group: GroupId): StateMachine;
  /** The next call of a client. `id` is unique in the run. */
  next(prng: Prng, id: number): PlannedOperation;
  /** One per group and run. */
  model?(): Model;
  /** Every group is one. Histories of clients are judged by it when a run ends. */
  readonly sequential?: SequentialModel;
  /** The call for human eyes. */
  text?(call: PlannedOperation): string;
  /** The answer for human eyes. */
  answerText?(call: PlannedOperation, result: Uint8Array): string;
  /** The call as a file of histories has it, or null when there are no words for it; `result` is null when the client never saw one. */
  recorded?(call: PlannedOperation, group: GroupId, result: Uint8Array | null): RecordedCall | null;
  /** Something that must hold of a state machine at any time, or what is wrong; asked now and then and at the end. */
  audit?(machine: StateMachine): string | null;
}
