import { NoriError } from '../base/errors.ts';
import { replicasOf } from '../core/configuration.ts';
import type { HardState, Index, SnapshotPoint, Term } from '../core/types.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import { onDisk, snapshotDamaged } from '../snapshot/file-calls.ts';
import type { SnapshotReader } from '../snapshot/reader.ts';
import type { SnapshotStore } from '../snapshot/store.ts';
import type { RecoveredGroup, Wal } from '../wal/wal.ts';
import { resumeIndex } from './resume.ts';

/** Where a group goes on. */
export interface StartOfGroup extends RecoveredGroup {
  readonly snapshot: SnapshotPoint | null;
  /** What its state machine holds. */
  readonly applied: Index;
}

/**
 * The state of a group is its newest snapshot and the log behind it. A crash may have come between the snapshot and
 * the record that tells the log of it: then the log is behind the snapshot, or of another history, and starts over.
 */
export async function recoverState(
  store: SnapshotStore,
  start: RecoveredGroup,
  stateMachine: StateMachine,
  wal: Wal,
): Promise<StartOfGroup> {
  const inDoubt = await onDisk('the snapshots cannot be listed', store.stateInDoubt());
  if (inDoubt) await doWithout(store, start, stateMachine);
  const reader = await onDisk('the newest snapshot cannot be opened', store.open());
  if (reader === null) {
    if (start.base.index > 0) {
      throw snapshotDamaged(store.directory, 0, `the log of group ${start.group} begins behind one that is missing`);
    }
    const applied = resumeIndex(start, stateMachine.durablePosition?.() ?? null);
    return { ...start, snapshot: null, applied };
  }
  try {
    return await goOn(reader, start, stateMachine, wal);
  } finally {
    await onDisk('the newest snapshot cannot be closed', reader.close());
  }
}

/**
 * A crash came while an image from outside took the place of the state: what the state machine keeps itself may be the old
 * state, the new one or neither, all at one position. The newest snapshot and the log are one of the two, and whole.
 */
async function doWithout(store: SnapshotStore, { group }: RecoveredGroup, stateMachine: StateMachine): Promise<void> {
  if (stateMachine.reset === undefined) {
    const message = `the state of group ${group} was being replaced, and its state machine has no reset`;
    throw new NoriError('STATE_FOREIGN', { message });
  }
  await stateMachine.reset();
  await onDisk('the state machine cannot be trusted again', store.trustState());
}

async function goOn(
  reader: SnapshotReader,
  start: RecoveredGroup,
  stateMachine: StateMachine,
  wal: Wal,
): Promise<StartOfGroup> {
  const { header, path } = reader;
  const { point } = header;
  if (header.group !== start.group || point.index < start.base.index) {
    throw snapshotDamaged(path, 0, 'it is not the one the log goes on from');
  }
  const leadsUp = termAt(start, point.index) === point.term;
  const position = stateMachine.durablePosition?.() ?? null;
  // A state of its own that the log goes on from saves reading the snapshot.
  if (leadsUp && position !== null && position.index >= start.base.index) {
    return endedAt(point, { ...start, snapshot: point, applied: resumeIndex(start, position) }, wal);
  }
  await stateMachine.restore(reader.image(), { index: point.index, term: point.term });
  if (leadsUp) return endedAt(point, { ...start, snapshot: point, applied: point.index }, wal);
  const base = { index: point.index, term: point.term, timeMs: point.timeMs };
  wal.reset(start.group, base);
  // Others were faster than this disk: the state holds what they committed in a term it never heard of.
  const hardState = start.hardState.term < point.term ? inTerm(point.term, start.hardState) : start.hardState;
  if (hardState !== start.hardState) wal.setHardState(start.group, hardState);
  await wal.flushed();
  return { ...start, base, entries: [], hardState, snapshot: point, applied: point.index };
}

/**
 * The snapshot of a group of one may be what took the place of its state, which its log does not lead to: a crash came
 * before the log was given up in front of it. Nobody who joins later may get it from there.
 */
async function endedAt(point: SnapshotPoint, start: StartOfGroup, wal: Wal): Promise<StartOfGroup> {
  const { base, entries, applied, group } = start;
  if (replicasOf(point.configuration).length > 1 || point.index <= base.index || applied < point.index) return start;
  const { index, term, timeMs } = point;
  wal.compact(group, { index, term, timeMs });
  await wal.flushed();
  return { ...start, base: { index, term, timeMs }, entries: entries.slice(index - base.index) };
}

/** No vote in a term that is new: one that was ever sent was durable first. */
function inTerm(term: Term, { promises }: HardState): HardState {
  return { term, votedFor: null, promises };
}

function termAt({ base, entries }: RecoveredGroup, index: number): number | undefined {
  return index === base.index ? base.term : entries[index - base.index - 1]?.term;
}
