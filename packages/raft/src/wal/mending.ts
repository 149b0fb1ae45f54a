import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import { ByteReader, ByteWriter } from '../codec/bytes.ts';
import { QuarantineStage } from '../codec/record.ts';
import type { GroupId } from '../core/types.ts';
import type { Disk } from '../ports/disk.ts';
import { syncOf, writeOf } from './disk-promises.ts';
import { recover } from './recovery.ts';
import type { RecoveredGroup } from './replay.ts';
import { codeOf, diskFailed, isSegmentName, segmentSequence } from './segment.ts';
import { Wal, type WalOptions } from './wal.ts';

// A damaged log is not patched. What is whole in it is written anew, beside it, and takes its place when it is durable;
// the damaged files are kept for whoever wants to look at them.
//   DIR/wal-mending/            the new log, being written
//   DIR/wal-mending/complete    from here on it is the log; holds the number of its first segment
//   DIR/wal-damaged/            the segments it took the place of

const completeName = 'complete';

export interface OpenedLog {
  readonly wal: Wal;
  readonly groups: Map<GroupId, RecoveredGroup>;
  /** Why a log was written anew, empty when it was whole. */
  readonly damage: readonly NoriError[];
}

/**
 * Opens the log. With `quarantine`, damage that can be pinned on groups costs only those: they are marked `lost`, and
 * the log is written anew without them. Otherwise, or where it might be anybody's, it is refused.
 *
 * @throws NoriError WAL_DAMAGED | FORMAT_TOO_NEW | DISK_FULL | DISK_FAILED
 */
export async function openLog(
  options: WalOptions,
  { quarantine }: { readonly quarantine: boolean },
): Promise<OpenedLog> {
  const { disk, directory } = options;
  try {
    await finishMending(disk, directory);
    return { ...(await Wal.open(options)), damage: [] };
  } catch (error) {
    if (!quarantine || !(error instanceof NoriError) || error.code !== 'WAL_DAMAGED') throw asNoriError(error);
  }
  try {
    const { groups, nextSegment, damage } = await recover(disk, directory, { salvage: true });
    await writeAnew(options, groups, nextSegment);
    await finishMending(disk, directory);
    return { ...(await Wal.open(options)), damage };
  } catch (error) {
    throw asNoriError(error);
  }
}

async function writeAnew(
  options: WalOptions,
  groups: ReadonlyMap<GroupId, RecoveredGroup>,
  firstSegment: number,
): Promise<void> {
  const { disk, directory } = options;
  const mending = mendingDirectory(directory);
  await clear(disk, mending);
  const { wal } = await Wal.open({ ...options, directory: mending, firstSegment });
  try {
    for (const group of groups.values()) {
      copyGroup(wal, group);
      await flushedOrFull(wal);
    }
    await wal.close();
  } catch (error) {
    await wal.abandon();
    throw error;
  }
  const marker = new ByteWriter(8);
  marker.u53(firstSegment);
  const fresh = `${mending}/${completeName}.tmp`;
  const file = await disk.open(fresh, { create: true });
  const written = await writeOf(file, marker.take(), 0);
  assert(written === 8, 'the mark is written whole');
  await syncOf(file);
  await file.close();
  await disk.rename(fresh, `${mending}/${completeName}`);
  await disk.syncDirectory(mending);
}

/** A log that waits for room would wait for ever. */
function flushedOrFull(wal: Wal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const noRoom = (): void =>
      reject(
        new NoriError('DISK_FULL', {
          message: 'the log is damaged, and there is no room to write what is whole of it anew',
          remedy: 'make room on the volume and start again; nothing was changed',
        }),
      );
    if (wal.full) return noRoom();
    wal.onRoom = noRoom;
    wal.flush((error) => (error === null ? resolve() : reject(error)));
  });
}

function copyGroup(wal: Wal, group: RecoveredGroup): void {
  wal.createGroup(group.group);
  if (group.hardState.term > 0) wal.setHardState(group.group, group.hardState);
  if (group.quarantine?.stage === QuarantineStage.lost) wal.setQuarantine(group.group, group.quarantine);
  else {
    if (group.base.index > 0) wal.reset(group.group, group.base);
    wal.append(group.group, group.entries);
    if (group.quarantine !== null) wal.setQuarantine(group.group, group.quarantine);
  }
  if (group.destroyed) wal.destroyGroup(group.group);
}

/** Puts a log that was written anew in its place; may be interrupted anywhere, and goes on at the next start. */
export async function finishMending(disk: Disk, directory: string): Promise<void> {
  const mending = mendingDirectory(directory);
  const names = await disk.list(mending);
  if (names.length === 0) return;
  if (!names.includes(completeName)) {
    await clear(disk, mending);
    return;
  }
  const firstSegment = await readMark(disk, `${mending}/${completeName}`);
  const away = `${parentOf(directory)}/wal-damaged`;
  await disk.makeDirectory(away);
  await disk.syncDirectory(parentOf(directory));
  // First in, then out: there is always a log to be found.
  for (const name of names) if (isSegmentName(name)) await disk.rename(`${mending}/${name}`, `${directory}/${name}`);
  await disk.syncDirectory(directory);
  for (const name of await disk.list(directory)) {
    const sequence = segmentSequence(name);
    if (sequence !== null && sequence < firstSegment) await disk.rename(`${directory}/${name}`, `${away}/${name}`);
  }
  await disk.syncDirectory(away);
  await disk.syncDirectory(directory);
  await clear(disk, mending);
}

async function readMark(disk: Disk, path: string): Promise<number> {
  const file = await disk.open(path, { create: false });
  try {
    return new ByteReader(await file.read(0, 8)).u53();
  } finally {
    await file.close();
  }
}

/** The mark goes first: without it the rest is nothing. */
async function clear(disk: Disk, mending: string): Promise<void> {
  const names = await disk.list(mending);
  if (names.includes(completeName)) {
    await disk.remove(`${mending}/${completeName}`);
    await disk.syncDirectory(mending);
  }
  for (const name of names) if (name !== completeName) await removeIfThere(disk, `${mending}/${name}`);
}

async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function mendingDirectory(directory: string): string {
  return `${parentOf(directory)}/wal-mending`;
}

function parentOf(directory: string): string {
  return directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
}

function asNoriError(error: unknown): NoriError {
  return error instanceof NoriError ? error : diskFailed('the log cannot be opened', error);
}
