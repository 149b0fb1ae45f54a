import type { RaftState } from '../../core/state.ts';
import type { GroupId, Index, Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import type { DurableGroup, DurableViews } from './durable-view.ts';

/** What its disk told a core was durable. */
interface Vouched {
  readonly term: Term;
  readonly index: Index;
  readonly indexTerm: Term;
}

/**
 * What a machine's disk held for good when it went down, it still knows when it comes back; and what its disk said it
 * held, it still knows or does not come back at all: damage is found, never mended by forgetting. Nor does it come back
 * with more than is whole on its disk.
 */
export class RestartChecker implements Checker {
  readonly name = 'restarts';
  private readonly views: DurableViews;
  /** By machine and group: what was durable when it went down last. */
  private readonly left: Map<string, DurableGroup> = new Map();

  private readonly vouched: Map<string, Vouched> = new Map();

  constructor(views: DurableViews) {
    this.views = views;
  }

  onDown(world: SimWorld, machine: Machine): void {
    const view = this.views.of(machine);
    for (const group of world.groups) {
      if (view.groups.has(group)) this.left.set(`${machine.id}/${group}`, view.group(group).copy());
      const raft = machine.raft(group);
      if (raft !== null) this.vouched.set(`${machine.id}/${group}`, vouchedFor(raft));
    }
  }

  /** Damage was found, and the group is silent here until it is refilled: nothing is expected of it any more. */
  onForgot(_world: SimWorld, machine: Machine, group: GroupId): void {
    this.left.delete(`${machine.id}/${group}`);
    this.vouched.delete(`${machine.id}/${group}`);
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    if (this.left.size === 0 && this.vouched.size === 0) return;
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft === null) continue;
      const key = `${machine.id}/${group}`;
      const left = this.left.get(key);
      const vouched = this.vouched.get(key);
      this.left.delete(key);
      this.vouched.delete(key);
      if (machine.wiped) continue;
      if (left !== undefined) this.back(machine, group, raft, left);
      if (vouched !== undefined) this.kept(machine, group, raft, vouched);
      if (!machine.harmed) this.whole(machine, group, raft);
    }
  }

  /** What is not whole on the disk is in no log: recovery ends only when all that it believes is there for good. */
  private whole(machine: Machine, group: GroupId, raft: RaftState): void {
    const { term, index, indexTerm } = vouchedFor(raft);
    const durable = this.views.of(machine).group(group);
    const who = `${machine.id}, group ${group}`;
    requireThat(
      term <= durable.term,
      'RecoverySound',
      () => `${who}: comes back in term ${term}, no whole block of its disk knows a term after ${durable.term}`,
    );
    requireThat(
      index <= raft.log.baseIndex || durable.holds(index, indexTerm),
      'RecoverySound',
      () => `${who}: comes back with (${index}, term ${indexTerm}), which no whole block of its disk holds`,
    );
  }

  private kept(machine: Machine, group: GroupId, { term, log }: RaftState, vouched: Vouched): void {
    const { index, indexTerm } = vouched;
    const who = `${machine.id}, group ${group}`;
    requireThat(
      term >= vouched.term,
      'NothingLost',
      () => `${who}: comes back in term ${term}, it was told that term ${vouched.term} is durable`,
    );
    requireThat(
      index <= log.baseIndex || (log.lastIndex >= index && log.termAt(index) === indexTerm) || log.lastTerm > indexTerm,
      'NothingLost',
      () => `${who}: comes back with a log through ${log.lastIndex}, it was told that ${index} is durable`,
    );
  }

  private back(machine: Machine, group: GroupId, raft: RaftState, left: DurableGroup): void {
    const who = `${machine.id}, group ${group}`;
    requireThat(
      raft.term >= left.term,
      'TermMonotone',
      () => `${who}: comes back in term ${raft.term}, its disk had term ${left.term}`,
    );
    // A spoiled disk shows less than recovery can right; and a group that lost its log on it begins anew with a vote for
    // the leader of the term it begins in, whatever it had (docs/adr/0012).
    requireThat(
      machine.harmed || raft.term > left.term || left.votedFor === null || raft.votedFor === left.votedFor,
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

function vouchedFor({ term, hardStateDurable, log }: RaftState): Vouched {
  const index = log.persistedIndex;
  return { term: hardStateDurable ? term : 0, index, indexTerm: log.termAt(index) ?? 0 };
}

function firstDifference({ log }: RaftState, left: DurableGroup): Index {
  let index = Math.max(log.baseIndex, left.baseIndex) + 1;
  while (index <= left.lastIndex && log.termAt(index) === left.termAt(index)) index += 1;
  return index;
}
