import { isJoint, isVoter } from '../core/configuration.ts';
import type { RaftState } from '../core/state.ts';
import type { GroupId, Index, Term } from '../core/types.ts';
import type { Checker, SimWorld } from './checker.ts';
import type { Machine } from './machine.ts';

/** What a replica was when last looked at, in the same life. */
interface Seen {
  readonly raft: RaftState;
  configurationIndex: Index;
  /** The term it leads, or 0. */
  leads: Term;
}

/** Tells what became of the members of groups, so that a campaign of changes can say what it has been through. */
export class MembershipSights implements Checker {
  readonly name = 'membership sights';
  /** By place of the machine, then by group: looked up after every event. */
  private readonly seen: (Seen | undefined)[][] = [];

  afterEvent(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft !== null) this.look(world, machine, group, raft);
    }
  }

  private look(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState): void {
    const known = (this.seen[machine.place] ??= []);
    const leads = raft.leader === null ? 0 : raft.term;
    const { configurationIndex } = raft;
    const before = known[group];
    if (before?.raft !== raft) {
      if (isJoint(raft.configuration)) world.saw('joint configuration recovered after a restart');
      known[group] = { raft, configurationIndex, leads };
      return;
    }
    if (leads !== before.leads) {
      before.leads = leads;
      if (leads > 0 && isJoint(raft.configuration)) world.saw('leader elected inside a joint configuration');
      if (leads > 0 && raft.configuration.planned !== undefined) world.saw('leader elected while learners caught up');
    }
    if (configurationIndex === before.configurationIndex) return;
    if (configurationIndex < before.configurationIndex) world.saw('configuration rolled back');
    before.configurationIndex = configurationIndex;
    if (leads > 0) tellLed(world, raft);
  }
}

function tellLed(world: SimWorld, raft: RaftState): void {
  const { configuration, id } = raft;
  if (isJoint(configuration)) {
    world.saw('joint configuration entered');
    return;
  }
  if (configuration.planned !== undefined) return;
  world.saw(`configuration of ${configuration.incoming.length} voters`);
  if (!isVoter(configuration, id)) world.saw('leader removed itself');
}
