import type { GroupId } from '../core/types.ts';
import type { Machine } from './machine.ts';
import type { ClientOperation } from './operation.ts';

export interface StalkerParts {
  readonly nowMs: () => number;
  /** Makes a call, or returns null when the machine runs no host. */
  readonly call: (machine: Machine, group: GroupId, kind: ClientOperation['kind']) => ClientOperation | null;
  readonly after: (delayMs: number, run: () => void) => void;
  readonly leader: (group: GroupId) => Machine | null;
}

interface Hunt {
  readonly former: Machine;
  readonly untilMs: number;
  /** The call whose answer is awaited, or null between two. */
  awaited: ClientOperation | null;
}

/** Longer than any lease or election timeout that simulations set. */
const huntMs = 3500;
const breathMs = 4;
const failedMs = 40;
const groupsMax = 2;

/**
 * The client that finds stale reads. Where leadership moves, it writes at the new leader, and when it has its answer it
 * reads at the former one, over and over until the former one can be sure of nothing any more. Ordinary clients are at
 * the right place at the right moment too seldom.
 */
export class Stalker {
  private readonly parts: StalkerParts;
  private readonly last: Map<GroupId, Machine> = new Map();
  private readonly hunts: Map<GroupId, Hunt> = new Map();

  constructor(parts: StalkerParts) {
    this.parts = parts;
  }

  /** This machine has come to lead the group. */
  elected(machine: Machine, group: GroupId): void {
    const former = this.last.get(group);
    this.last.set(group, machine);
    if (former === undefined || former === machine || group > groupsMax) return;
    const going = this.hunts.has(group);
    this.hunts.set(group, { former, untilMs: this.parts.nowMs() + huntMs, awaited: null });
    if (!going) this.next(group, 'write');
  }

  answered(operation: ClientOperation): void {
    const { group, kind, outcome, code } = operation;
    const hunt = this.hunts.get(group);
    if (hunt === undefined) return;
    // A hunt that began meanwhile goes on with the answer of the one before.
    hunt.awaited = null;
    if (kind === 'read' && code === 'NOT_LEADER') {
      // It knows: there is nothing stale to be had any more.
      this.hunts.delete(group);
      return;
    }
    const wrote = kind === 'write' && outcome === 'ok';
    this.parts.after(outcome === 'ok' ? breathMs : failedMs, () => this.next(group, wrote ? 'read' : 'write'));
  }

  private next(group: GroupId, kind: ClientOperation['kind']): void {
    const hunt = this.hunts.get(group);
    if (hunt === undefined || hunt.awaited !== null) return;
    if (this.parts.nowMs() > hunt.untilMs) {
      this.hunts.delete(group);
      return;
    }
    const machine = kind === 'read' ? hunt.former : this.parts.leader(group);
    hunt.awaited = machine === null ? null : this.parts.call(machine, group, kind);
    if (hunt.awaited === null) this.parts.after(failedMs, () => this.next(group, 'write'));
  }
}
