import { readFileSync } from 'node:fs';
import {
  decodeReport,
  type GroupRecovery,
  NoriError,
  planOfSurvivors,
  type RecoveryPlan,
  recoverSurvivors,
  reportSurvivor,
  type SurvivorReport,
} from 'nori-raft';
import { ConfigError } from '../config/config-error.ts';
import { moveToCluster } from '../server/joining.ts';
import { readShardCount } from '../server/shard-count.ts';

export interface RecoverOptions {
  readonly dataDir: string;
  /** True: this node is the only survivor. Absent: only report. */
  readonly survivors?: readonly string[] | true;
  readonly acceptLoss?: boolean;
}

/**
 * Offline. Without `--survivors` prints what the node has, as JSON; with the reports of all survivors says what would
 * become of every shard, and does it with `--accept-loss`.
 */
export async function runRecover({ dataDir, survivors, acceptLoss = false }: RecoverOptions): Promise<void> {
  if (acceptLoss && survivors === undefined) {
    throw new ConfigError(
      '--accept-loss needs --survivors: the reports of all survivors, or none when this is the only one',
    );
  }
  const own = await reportOf(dataDir);
  if (survivors === undefined) {
    process.stdout.write(`${JSON.stringify(own)}\n`);
    return;
  }
  const reports = survivors === true ? [own] : survivors.map((path) => readReport(path));
  if (!reports.some(({ nodeId }) => nodeId === own.nodeId)) {
    throw new Error(`${dataDir} belongs to ${own.nodeId}, which none of the reports is about; nothing was changed`);
  }
  const { groups, lost, clusterId } = planOfSurvivors(reports);
  const lines = [warning(reports), ...groups.map((group) => sentence(group)), ...lost.map((shard) => obituary(shard))];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!acceptLoss) {
    process.stdout.write('Nothing was changed. Add --accept-loss to do it.\n');
    return;
  }
  const shards = readShardCount(dataDir) ?? groups.length;
  // First: a crash in between leaves a node that does not start, until the same command has been given again.
  const beforeMove = (): void => moveToCluster(dataDir, { clusterId, shards, members: addressesOf(groups) });
  await recoverSurvivors({ dataDir, reports, beforeMove });
  process.stdout.write(
    `${own.nodeId} belongs to cluster ${clusterId} now. Do the same on the other survivors, with the same reports, then start them all.\n`,
  );
}

async function reportOf(dataDir: string): Promise<SurvivorReport> {
  try {
    return await reportSurvivor(dataDir);
  } catch (error) {
    // Whoever mistyped a path here does not want to found a cluster there.
    if (error instanceof NoriError && error.code === 'DATA_DIR_EMPTY')
      throw new Error(`${error.message}; give the --data-dir that the node was started with`, { cause: error });
    throw error;
  }
}

function readReport(path: string): SurvivorReport {
  try {
    return decodeReport(readFileSync(path, 'utf8'));
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `${path}: ${message}; give the files that nori-kv recover --data-dir DIR printed, nothing was changed`,
      {
        cause: error,
      },
    );
  }
}

function warning(reports: readonly SurvivorReport[]): string {
  const names = reports.map(({ nodeId }) => nodeId).join(', ');
  return `DATA MAY BE LOST. The survivors (${names}) go on as another cluster with what they have. Make sure that no other node of the old one ever serves again: it would not know.`;
}

/** A shard in words, with what may be missing from it. */
function sentence({ group, from, lastIndex, lastTerm, committedIndex, gone, whole }: GroupRecovery): string {
  const what = `shard ${group - 1}: goes on with the log of ${from}, through entry ${lastIndex} of term ${lastTerm}.`;
  if (whole) return `${what} Nothing is lost: its survivors are a majority.`;
  const since = committedIndex === 0 ? '' : ` behind entry ${committedIndex}`;
  const pending =
    lastIndex > committedIndex
      ? ` Which of its entries${since} were acknowledged nobody can tell any more: all of them count from now on, also any whose clients were told that they failed.`
      : '';
  return `${what} What was acknowledged by ${gone.join(', ')} without it is lost.${pending}`;
}

function obituary({ group, quarantinedOn }: RecoveryPlan['lost'][number]): string {
  const why =
    quarantinedOn.length === 0 ? 'no survivor has anything of it' : `it is damaged on ${quarantinedOn.join(', ')}`;
  return `shard ${group - 1}: ALL OF IT IS LOST, for ${why}. It does not go on: a backup can be restored into a new cluster.`;
}

function addressesOf(groups: readonly GroupRecovery[]): Record<string, string> {
  return Object.fromEntries(
    groups.flatMap(({ configuration }) => configuration.members.map(({ id, address }) => [id, address])),
  );
}
