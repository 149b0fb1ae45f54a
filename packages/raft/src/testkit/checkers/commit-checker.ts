import type { RaftState } from '../../core/state.ts';
import { type GroupId, type Index, type NodeId, Role } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import type { DurableViews } from './durable-view.ts';

/** A leader commits what a majority of disks hold, of both halves while joint, and counts only entries of its own term. */
export class CommitChecker implements Checker {
  readonly name = 'commits';
  private readonly views: DurableViews;
  private readonly before: Map<RaftState, Index> = new Map();

  constructor(views: DurableViews) {
    this.views = views;
  }

  onDown(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft !== null) this.before.delete(raft);
    }
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    const { groups } = world;
    for (let at = 0; at < groups.length; at += 1) {
      const group = groups[at] as GroupId;
      const raft = machine.raft(group);
      if (raft === null) continue;
      const { commit } = raft.log;
      const before = this.before.get(raft) ?? raft.log.baseIndex;
      if (commit === before) continue;
      this.before.set(raft, commit);
      if (raft.role === Role.leader) this.advanced(world, machine, group, raft);
    }
  }

  private advanced(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState): void {
    const { commit } = raft.log;
    const term = raft.log.termAt(commit) ?? 0;
    requireThat(
      term === raft.term,
      'CommitQuorum',
      () =>
        `${machine.id}, leader of term ${raft.term} of group ${group}, commits ${commit} of term ${term} by counting`,
    );
    const holds = (id: NodeId): boolean => {
      const holder = world.machineOf(id);
      // What a spoiled disk held when it acknowledged, nobody can tell any more.
      if (holder === undefined || holder.harmed) return true;
      return this.views.holds(holder, group, (durable) => durable.holds(commit, term));
    };
    const { incoming, outgoing } = raft.configuration;
    for (const half of [incoming, outgoing]) {
      const holders = half.filter(holds).length;
      requireThat(
        half.length === 0 || holders * 2 > half.length,
        'CommitQuorum',
        () =>
          `${machine.id} commits (${commit}, term ${term}) of group ${group}, on ${holders} of ${half.length} disks`,
      );
    }
  }
}
