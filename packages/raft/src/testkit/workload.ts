import type { Prng } from '../base/prng.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { StateMachine } from '../ports/state-machine.ts';

export interface PlannedOperation {
  readonly kind: 'write' | 'read';
  readonly payload: Uint8Array;
}

/** What the state should say, told by somebody who only sees the log. Checks answers to reads exactly. */
export interface Model {
  /** A command was committed at `index`; called once for each, in order. */
  committed(index: Index, timeMs: number, command: Uint8Array): void;
  /** What is wrong with this answer of a state applied through `index`, or null. */
  judge(query: Uint8Array, index: Index, result: Uint8Array): string | null;
}

/** What clients do, and to what. */
export interface Workload {
  readonly name: string;
  stateMachine(node: string, group: GroupId): StateMachine;
  /** The next call of a client. `id` is unique in the run. */
  next(prng: Prng, id: number): PlannedOperation;
  /** One per group and run. */
  model?(): Model;
  /** Something that must hold of a state machine at any time, or what is wrong; asked now and then and at the end. */
  audit?(machine: StateMachine): string | null;
}
