import { NoriError } from '../base/errors.ts';
import { type Configuration, EntryKind, entry, type GroupId, type HardState, type LogBase } from '../core/types.ts';
import { SnapshotStore } from '../snapshot/store.ts';
import { DataDirectory, walDirectory, withIdleDirectory } from '../wal/data-directory.ts';
import { finishMending, openLog } from '../wal/mending.ts';
import { recover } from '../wal/recovery.ts';
import type { RecoveredGroup, Wal } from '../wal/wal.ts';
import { hex } from './admission.ts';
import type { Ports } from './options.ts';
import {
  type GroupRecovery,
  type RecoveryPlan,
  refused,
  type SurvivorGroup,
  type SurvivorReport,
} from './survivors.ts';

export type OfflinePorts = Pick<Ports, 'disk' | 'lock' | 'clock' | 'random'>;

/** Where a group's log ends, and who is in it. */
interface LogEnd extends LogBase {
  readonly configuration: Configuration;
  readonly committedIndex: number;
  /** A snapshot that the log does not lead up to: what the log holds is from before it. */
  readonly logIsBehind: boolean;
}

/** Says what the node of a directory has, and changes nothing. @throws NoriError DATA_DIR_LOCKED and others of `open`. */
export function inspectSurvivor(directory: string, ports: OfflinePorts): Promise<SurvivorReport> {
  const { disk, lock } = ports;
  return withIdleDirectory({ disk, lock, directory }, async ({ clusterId, nodeId, diskId }) => {
    await finishMending(disk, walDirectory(directory));
    const { groups } = await recover(disk, walDirectory(directory), { salvage: false });
    const found: SurvivorGroup[] = [];
    const quarantined: GroupId[] = [];
    for (const group of groups.values()) {
      // What is in quarantine has forgotten what it vouched for: it is none of what survived.
      if (group.destroyed) continue;
      if (group.quarantine !== null) {
        quarantined.push(group.group);
        continue;
      }
      const { index, term, configuration, committedIndex } = await endOf(group, directory, ports);
      found.push({
        group: group.group,
        lastIndex: index,
        lastTerm: term,
        term: Math.max(term, group.hardState.term),
        committedIndex,
        configuration,
      });
    }
    return { format: 1, nodeId, clusterId: hex(clusterId), diskId: hex(diskId), groups: found, quarantined };
  });
}

/**
 * Does this node's part of a plan: moves the node to the new cluster, then writes the new configuration behind the logs
 * that go on here. In this order a crash in between leaves a node that can do nothing, and not one that leads alone in
 * the cluster of the others; the same plan can be carried out again.
 *
 * @param beforeMove Called when the directory is known to be what was reported, before anything is changed.
 * @throws NoriError RECOVERY_REFUSED when it is not; nothing is changed then.
 */
export async function applyRecovery(
  directory: string,
  plan: RecoveryPlan,
  own: SurvivorReport,
  clusterId: Uint8Array,
  ports: OfflinePorts,
  beforeMove: () => void = () => undefined,
): Promise<void> {
  const { disk, lock, clock, random } = ports;
  const identity = await withIdleDirectory({ disk, lock, directory }, (found) => Promise.resolve(found));
  if (hex(identity.diskId) !== own.diskId || ![own.clusterId, hex(clusterId)].includes(hex(identity.clusterId))) {
    throw refused(`${directory} is not the directory that was reported for ${own.nodeId}`);
  }
  const { nodeId } = identity;
  const opened = await DataDirectory.open({ ...identity, disk, lock, random, directory, bootstrap: false });
  try {
    const log = { disk, clock, random, directory: walDirectory(directory) };
    const { wal, groups } = await openLog(log, { quarantine: false });
    try {
      const steps = plan.groups.filter(({ from }) => from === nodeId);
      const writes: (() => void)[] = [];
      for (const told of own.groups) {
        const group = groups.get(told.group);
        if (group === undefined) throw refused(`${directory} has no group ${told.group}`);
        const step = steps.find((one) => one.group === told.group);
        const end = await endOf(group, directory, ports);
        if (step !== undefined && end.index === step.lastIndex + 1 && end.term === step.term) continue; // done before
        assertAsTold(told, end);
        if (step !== undefined) writes.push(() => goOnAlone(wal, group, step, end));
      }
      beforeMove();
      await opened.moveTo(clusterId, new Set(plan.survivors));
      for (const write of writes) write();
      await wal.flushed();
    } finally {
      await wal.close();
    }
  } finally {
    await opened.close();
  }
}

/** A survivor that was started since may have acknowledged what no other knows. */
function assertAsTold({ group, lastIndex, lastTerm }: SurvivorGroup, { index, term }: LogEnd): void {
  if (index === lastIndex && term === lastTerm) return;
  throw refused(
    `group ${group} ends at entry ${index} of term ${term}, and the report says ${lastIndex} of ${lastTerm}: make all reports anew`,
  );
}

function goOnAlone(wal: Wal, group: RecoveredGroup, step: GroupRecovery, end: LogEnd): void {
  const { lastIndex, term, configuration } = step;
  const hardState: HardState = { ...group.hardState, term, votedFor: null };
  if (end.logIsBehind) wal.reset(group.group, { index: end.index, term: end.term, timeMs: end.timeMs });
  wal.setHardState(group.group, hardState);
  const kind = EntryKind.configuration;
  wal.append(group.group, [entry({ index: lastIndex + 1, term, kind, timeMs: end.timeMs, configuration })]);
}

/** As `recoverState` finds it at a start. */
async function endOf(group: RecoveredGroup, directory: string, { disk }: OfflinePorts): Promise<LogEnd> {
  const { base, entries } = group;
  const store = new SnapshotStore(disk, `${directory}/snapshots`, group.group);
  const reader = await store.open();
  await reader?.close();
  const point = reader?.header.point ?? null;
  if (point === null && base.index > 0) {
    throw new NoriError('SNAPSHOT_DAMAGED', {
      message: `the log of group ${group.group} begins behind a snapshot that is missing`,
    });
  }
  const nobody = { incoming: [], outgoing: [], learners: [], learnersNext: [], members: [] };
  const before = point?.configuration ?? nobody;
  const committedIndex = Math.max(point?.index ?? 0, base.index);
  const termThere =
    point === null || point.index === base.index ? base.term : entries[point.index - base.index - 1]?.term;
  if (point !== null && termThere !== point.term) {
    return { ...point, configuration: before, committedIndex, logIsBehind: true };
  }
  const { index, term, timeMs } = entries.at(-1) ?? base;
  const newest = entries.findLast((item) => item.kind === EntryKind.configuration && item.index > committedIndex);
  return { index, term, timeMs, configuration: newest?.configuration ?? before, committedIndex, logIsBehind: false };
}
