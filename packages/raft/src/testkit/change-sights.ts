import { isJoint, isVoter } from '../core/configuration.ts';
import type { RaftState } from '../core/state.ts';
import type { Configuration, GroupId, NodeId } from '../core/types.ts';
import type { SimWorld } from './checker.ts';

/** Sees how far changes of members come, and under whom. */
export class ChangeSights {
  /** By group: a joint configuration is committed, and whether its leader changed since. */
  private readonly joint: Map<GroupId, { leaderChanged: boolean }> = new Map();

  /** A configuration is committed, and seen to be for the first time; by its leader, if it is one who sees it. */
  committed(world: SimWorld, group: GroupId, configuration: Configuration, leader: NodeId | null): void {
    const before = this.joint.get(group);
    if (isJoint(configuration)) {
      if (before === undefined) world.saw('joint configuration entered');
      this.joint.set(group, before ?? { leaderChanged: false });
      return;
    }
    this.joint.delete(group);
    if (before === undefined) return;
    world.saw('joint configuration left');
    if (before.leaderChanged) world.saw('joint configuration left under another leader');
    if (leader !== null && !isVoter(configuration, leader)) world.saw('leader removed itself');
  }

  elected(group: GroupId, { configuration }: RaftState): void {
    const joint = this.joint.get(group);
    if (joint !== undefined && isJoint(configuration)) joint.leaderChanged = true;
  }
}
