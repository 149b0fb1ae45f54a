import { createHash } from 'node:crypto';
import { applyRecovery, inspectSurvivor } from '../host/recover.ts';
import { planRecovery, type RecoveryPlan, refused, type SurvivorReport } from '../host/survivors.ts';
import { nodeClock } from './clock.ts';
import { NodeDisk } from './disk.ts';
import { NodeDirectoryLock } from './lock.ts';
import { nodeRandom } from './random.ts';

function ports(): Parameters<typeof inspectSurvivor>[1] {
  return { disk: new NodeDisk(), lock: new NodeDirectoryLock(), clock: nodeClock(), random: nodeRandom() };
}

/**
 * What the node of a data directory has, for `recoverSurvivors`. The node must not run.
 *
 * @throws NoriError DATA_DIR_LOCKED, DATA_DIR_EMPTY, DATA_DIR_UNUSABLE, WAL_DAMAGED, SNAPSHOT_DAMAGED, FORMAT_TOO_NEW.
 */
export function reportSurvivor(dataDir: string): Promise<SurvivorReport> {
  return inspectSurvivor(dataDir, ports());
}

/** What `recoverSurvivors` would do: the same on every machine, from the same reports. @throws NoriError RECOVERY_REFUSED. */
export function planOfSurvivors(reports: readonly SurvivorReport[]): RecoveryPlan & { readonly clusterId: string } {
  return { ...planRecovery(reports), clusterId: newClusterId(reports) };
}

/**
 * **May lose acknowledged commands.** Goes on with what the survivors of a cluster have that has lost its majority for
 * good, as another cluster: nodes of the old one are refused with WRONG_CLUSTER. Called for each survivor's directory
 * with the same reports, while none of them runs. Must not be used while the others may only be unreachable: they
 * would go on as the old cluster.
 *
 * @throws NoriError RECOVERY_REFUSED, and what `reportSurvivor` throws; then nothing was changed.
 */
export async function recoverSurvivors(options: {
  readonly dataDir: string;
  readonly reports: readonly SurvivorReport[];
  /** Called when the directory is known to be what was reported, before anything is changed. */
  readonly beforeMove?: () => void;
}): Promise<RecoveryPlan & { readonly clusterId: string }> {
  const { dataDir, reports, beforeMove } = options;
  const plan = planOfSurvivors(reports);
  const { nodeId } = await reportSurvivor(dataDir);
  const own = reports.find((report) => report.nodeId === nodeId);
  if (own === undefined) throw refused(`${dataDir} belongs to ${nodeId}, which none of the reports is about`);
  const clusterId = Uint8Array.from(Buffer.from(plan.clusterId, 'hex'));
  await applyRecovery(dataDir, plan, own, clusterId, ports(), beforeMove);
  return plan;
}

/** Another one for every set of reports: two recoveries that know nothing of each other must not meet. */
function newClusterId(reports: readonly SurvivorReport[]): string {
  const sorted = [...reports].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const told = sorted.map(({ clusterId, nodeId, diskId, groups }) => [
    clusterId,
    nodeId,
    diskId,
    groups.map(({ group, lastIndex, lastTerm, term }) => [group, lastIndex, lastTerm, term]),
  ]);
  return createHash('sha256')
    .update(JSON.stringify(['recovered', told]))
    .digest('hex')
    .slice(0, 32);
}
