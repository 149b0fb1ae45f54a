import { isQuorum } from '../../core/quorum.ts';
import type { RaftState } from '../../core/state.ts';
import { type Configuration, type GroupId, type Index, type NodeId, Role, type Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import type { DurableViews } from './durable-view.ts';

/** A replica as it was when last looked at. */
interface Before {
  readonly raft: RaftState;
  commit: Index;
  /** The term it leads, 0 for none, -1 before the first look. */
  ledIn: Term;
  /** What it goes by: a change takes its next step right after the commit it waited for. */
  configuration: Configuration;
}

/**
 * A leader commits what a majority of disks hold, of both halves while joint, and counts only entries of its own term.
 * What it adopts from its voters as it takes office was committed before; and everybody else takes for committed, from
 * its first moment on, only what a leader has.
 */
export class CommitChecker implements Checker {
  readonly name = 'commits';
  private readonly views: DurableViews;
  /** By place of the machine, then by group: looked up after every event. */
  private readonly before: (Before | undefined)[][] = [];
  /** The highest commit index ever seen in a group. */
  private readonly highest: Map<GroupId, Index> = new Map();

  constructor(views: DurableViews) {
    this.views = views;
  }

  onDown(_world: SimWorld, machine: Machine): void {
    this.before[machine.place] = [];
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    const { groups } = world;
    const known = (this.before[machine.place] ??= []);
    for (let at = 0; at < groups.length; at += 1) {
      const group = groups[at] as GroupId;
      const raft = machine.raft(group);
      if (raft === null) continue;
      const { commit } = raft.log;
      const ledIn = raft.role === Role.leader ? raft.term : 0;
      let before = known[group];
      if (before?.raft !== raft) {
        before = { raft, commit: raft.log.baseIndex, ledIn: -1, configuration: raft.configuration };
        known[group] = before;
      }
      const { configuration: inForce, commit: commitBefore, ledIn: ledBefore } = before;
      before.configuration = raft.configuration;
      if (commit === commitBefore && ledIn === ledBefore) continue;
      before.commit = commit;
      before.ledIn = ledIn;
      const highest = this.highest.get(group) ?? 0;
      const adopts = ledIn > 0 && ledIn !== ledBefore && raft.log.termAt(commit) !== raft.term;
      if (adopts) {
        requireThat(
          commit <= highest,
          'CommitQuorum',
          () => `${machine.id} begins with ${commit}, which nobody committed`,
        );
        if (ledBefore >= 0 && commit > commitBefore) world.saw('commit adopted from a voter');
      } else if (ledIn > 0 && (commit !== commitBefore || ledBefore < 0)) {
        this.advanced(world, machine, group, { raft, inForce });
      } else if (ledIn === 0 && ledBefore <= 0) {
        requireThat(
          commit <= highest,
          'CommitQuorum',
          () => `${machine.id} takes ${commit} of group ${group} for committed, and no leader has said so`,
        );
      }
      if (commit > highest) this.highest.set(group, commit);
    }
  }

  private advanced(
    world: SimWorld,
    machine: Machine,
    group: GroupId,
    { raft, inForce }: { readonly raft: RaftState; readonly inForce: Configuration },
  ): void {
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
    requireThat(
      [inForce, raft.configuration].some((configuration) => isQuorum(configuration, holds)),
      'CommitQuorum',
      () => {
        const { incoming, outgoing } = raft.configuration;
        const on = [...incoming, ...outgoing].filter(holds).join(' ');
        return `${machine.id} commits (${commit}, term ${term}) of group ${group}, of ${incoming.join(' ')} and ${outgoing.join(' ')} on the disks of ${on}`;
      },
    );
  }
}
