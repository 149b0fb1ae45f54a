import type { GroupId } from '../core/types.ts';
import type { AppliedEntry } from '../ports/state-machine.ts';
import type { Machine } from './machine.ts';
import type { ClientOperation } from './operation.ts';
import type { Timeline } from './timeline.ts';
import type { Violation } from './violation.ts';
import type { Workload } from './workload.ts';

/** The world as checkers see it. */
export interface SimWorld {
  /** True time, which no node sees. */
  readonly nowMs: number;
  readonly timeline: Timeline;
  readonly machines: readonly Machine[];
  readonly groups: readonly GroupId[];
  readonly workload: Workload;
  /** Every call of a client so far. */
  readonly operations: readonly ClientOperation[];
  machineOf(id: string): Machine | undefined;
  /** The machine that leads the group in the newest term, or null. */
  leader(group: GroupId): Machine | null;
  /** Something happened that a campaign must have seen. */
  saw(sight: string): void;
  /** `inspect` of all checkers is called before time goes on. */
  wantInspection(): void;
}

/** What the world's own parts need beyond that. */
export interface WorldParts extends SimWorld {
  readonly checkers: readonly Checker[];
  /** Runs what may break a promise, wherever it is called from: the first broken one ends the run. */
  check(act: () => void): void;
  fail(violation: Violation): void;
  /** Lets the checkers look at a machine in the middle of an event, before something is judged by what they know. */
  look(machine: Machine): void;
}

/**
 * Looks on and throws a Violation when a promise is broken. It sees true time, every disk and every node; the nodes see
 * neither. Everything is called synchronously, in the order in which it happens.
 */
export interface Checker {
  readonly name: string;
  /** Something happened on this machine: `machine.raft(group)` is its core as it is now. Called after every event. */
  afterEvent?(world: SimWorld, machine: Machine): void;
  /** The host is open and has all its groups. */
  onUp?(world: SimWorld, machine: Machine): void;
  /** The process is gone. Called before a power cut takes what was not synced. */
  onDown?(world: SimWorld, machine: Machine): void;
  onApply?(
    world: SimWorld,
    machine: Machine,
    batch: {
      readonly group: GroupId;
      readonly entries: readonly AppliedEntry[];
      readonly results: readonly Uint8Array[];
    },
  ): void;
  /** A replica's state begins to be replaced by a snapshot. */
  onRestore?(world: SimWorld, machine: Machine, group: GroupId): void;
  /** A replica whose log was damaged gave up all it knew of the group. */
  onForgot?(world: SimWorld, machine: Machine, group: GroupId): void;
  onInvoke?(world: SimWorld, operation: ClientOperation): void;
  /** A write was acknowledged. */
  onAck?(world: SimWorld, operation: ClientOperation): void;
  onRead?(world: SimWorld, operation: ClientOperation): void;
  /** A write or read ended without success; `operation.outcome` says how much is known. */
  onFailed?(world: SimWorld, operation: ClientOperation): void;
  /** Bytes leave a host: whole frames, before anything happens to them on the way. */
  onSend?(world: SimWorld, from: Machine, to: string, bytes: Uint8Array): void;
  /** Between two events, with simulated time standing still: for what needs promises. Null when there is nothing to do. */
  inspect?(world: SimWorld): Promise<void> | null;
  /** The run is over. */
  finish?(world: SimWorld): void;
}
