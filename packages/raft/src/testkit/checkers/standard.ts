import type { GroupId } from '../../core/types.ts';
import type { Checker } from '../checker.ts';
import { MembershipSights } from '../membership-sights.ts';
import type { Model, Workload } from '../workload.ts';
import { ApplyChecker } from './apply-checker.ts';
import { BoundsChecker } from './bounds-checker.ts';
import { Canon } from './canon.ts';
import { ClientChecker } from './client-checker.ts';
import { CommitChecker } from './commit-checker.ts';
import { DurabilityChecker } from './durability-checker.ts';
import { DurableViews } from './durable-view.ts';
import { LeaseChecker } from './lease-checker.ts';
import { LogChecker } from './log-checker.ts';
import { RestartChecker } from './restart-checker.ts';
import { WireChecker } from './wire-checker.ts';

/** How often queues are measured, in simulated time. */
const boundsEveryMs = 100;

export interface StandardCheckers {
  readonly checkers: readonly Checker[];
  readonly canons: ReadonlyMap<GroupId, Canon>;
}

/** All checkers there are, over one canonical history per group. */
export function standardCheckers(options: {
  readonly groups: number;
  readonly workload: Workload;
  /** Judges the disks at an acknowledgement at most so often, in simulated time: each time all logs are read. */
  readonly durabilityEveryMs: number;
}): StandardCheckers {
  const canons = new Map<GroupId, Canon>();
  const models = new Map<GroupId, Model>();
  for (let group = 1; group <= options.groups; group += 1) {
    canons.set(group, new Canon(group));
    const model = options.workload.model?.();
    if (model !== undefined) models.set(group, model);
  }
  const views = new DurableViews();
  const leases = new LeaseChecker();
  const checkers = [
    new LogChecker(canons),
    new WireChecker(views, leases),
    leases,
    new MembershipSights(),
    new CommitChecker(views),
    new RestartChecker(views),
    new BoundsChecker(boundsEveryMs),
    new ApplyChecker(canons),
    new ClientChecker(canons, models),
    new DurabilityChecker(canons, options.durabilityEveryMs),
  ];
  return { checkers, canons };
}
