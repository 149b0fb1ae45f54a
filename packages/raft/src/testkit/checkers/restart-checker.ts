import type { RaftState } from '../../core/state.ts';
import type { GroupId, Index } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import type { DurableGroup, DurableViews } from './durable-view.ts';

/** What a machine's disk held for good when it went down, it still knows when it comes back. */
export class RestartChecker implements Checker {
  readonly name = 'restarts';
  private readonly views: DurableViews;
  /** By machine and group: what was durable when it went down last. */
  private readonly left: Map<string, DurableGroup> = new Map();

  constructor(views: DurableViews) {
    this.views = views;
  }

  onDown(world: SimWorld, machine: Machine): void {
    const view = this.views.of(machine);
    for (const group of world.groups) {
      if (view.groups.has(group)) this.left.set(`${machine.id}/${group}`, view.group(group).copy());
    }
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    if (this.left.size === 0) return;
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft === null) continue;
      const key = `${machine.id}/${group}`;
      const left = this.left.get(key);
      if (left === undefined) continue;
      this.left.delete(key);
      if (!machine.wiped) this.back(machine, group, raft, left);
    }
  }

  private back(machine: Machine, group: GroupId, raft: RaftState, left: DurableGroup): void {
    const who = `${machine.id}, group ${group}`;
    requireThat(
      raft.term >= left.term,
      'TermMonotone',
      () => `${who}: comes back in term ${raft.term}, its disk had term ${left.term}`,
    );
    requireThat(
      raft.term > left.term || left.votedFor === null || raft.votedFor === left.votedFor,
      'VoteOnce',
      () => `${who}: comes back with a vote for ${raft.votedFor} in term ${left.term}, its disk had ${left.votedFor}`,
    );
    // A write under way may have made it, and put entries of a later term in the place of others.
    const { log } = raft;
    const parted = firstDifference(raft, left);
    requireThat(
      parted > left.lastIndex || (log.termAt(parted) ?? 0) > (left.termAt(parted) ?? 0),
      'NothingLost',
      () =>
        `${who}: comes back with a log through ${log.lastIndex}, its disk had (${parted}, term ${left.termAt(parted)})`,
    );
  }
}

function firstDifference({ log }: RaftState, left: DurableGroup): Index {
  let index = Math.max(log.baseIndex, left.baseIndex) + 1;
  while (index <= left.lastIndex && log.termAt(index) === left.termAt(index)) index += 1;
  return index;
}
