import type { ByteWriter } from '../codec/bytes.ts';
import {
  type Base,
  noBase,
  noHardState,
  type Quarantine,
  QuarantineStage,
  writeCheckpointRecord,
} from '../codec/record.ts';
import type { GroupId, HardState, Index } from '../core/types.ts';
import type { RecoveredGroup } from './replay.ts';
import { raise, type Segment } from './segment.ts';

/**
 * What the log knows of one group, at three moments: as staged, as written (what the checkpoint of a new segment must
 * say, for staged records come behind it) and as durable (what may be given up).
 */
export interface GroupLog {
  readonly id: GroupId;
  stagedLast: Index;
  stagedBase: Index;
  stagedDestroyed: boolean;
  /** Whether its creation has been written. */
  written: boolean;
  last: Index;
  base: Base;
  hardState: HardState;
  destroyed: boolean;
  quarantine: Quarantine | null;
  durableBase: Index;
  durableDestroyed: boolean;
  /** All its entries are in this segment or later ones: a run that begins at the base replaces all before it. */
  wholeFrom: number;
}

/** A change that takes hold when its block is written. Fields that do not change are null. */
export interface Effect {
  readonly group: GroupLog;
  readonly last: Index | null;
  /** The first index of a run of entries. */
  readonly first: Index | null;
  readonly base: Base | null;
  readonly hardState: HardState | null;
  readonly destroyed: boolean;
  /** Undefined: does not change. Null: ends. */
  readonly quarantine: Quarantine | null | undefined;
}

export function newGroupLog(id: GroupId): GroupLog {
  return {
    id,
    stagedLast: 0,
    stagedBase: 0,
    stagedDestroyed: false,
    written: false,
    last: 0,
    base: noBase,
    hardState: noHardState,
    destroyed: false,
    quarantine: null,
    durableBase: 0,
    durableDestroyed: false,
    wholeFrom: 0,
  };
}

export function recoveredGroupLog(recovered: RecoveredGroup): GroupLog {
  const last = recovered.base.index + recovered.entries.length;
  return {
    id: recovered.group,
    stagedLast: last,
    stagedBase: recovered.base.index,
    stagedDestroyed: recovered.destroyed,
    written: true,
    last,
    base: recovered.base,
    hardState: recovered.hardState,
    destroyed: recovered.destroyed,
    quarantine: recovered.quarantine,
    durableBase: recovered.base.index,
    durableDestroyed: recovered.destroyed,
    wholeFrom: recovered.wholeFrom,
  };
}

export function applyWritten(effect: Effect, segment: Segment): void {
  const { group } = effect;
  group.written = true;
  if (effect.last !== null) {
    group.last = effect.last;
    raise(segment.live, group.id, effect.last);
  }
  if (effect.hardState !== null) group.hardState = effect.hardState;
  if (effect.base !== null) {
    group.base = effect.base;
    group.last = Math.max(group.last, effect.base.index);
  }
  if (effect.destroyed) group.destroyed = true;
  if (effect.quarantine !== undefined) group.quarantine = effect.quarantine;
  if (effect.quarantine?.stage === QuarantineStage.lost) group.base = noBase;
}

export function applyDurable(effect: Effect, segment: Segment): void {
  const { group, first } = effect;
  if (first !== null && first <= group.durableBase + 1) group.wholeFrom = segment.sequence;
  if (effect.base !== null) effect.group.durableBase = effect.base.index;
  if (effect.destroyed) effect.group.durableDestroyed = true;
  if (effect.quarantine?.stage !== QuarantineStage.lost) return;
  // Nobody asks for what came before any more.
  group.durableBase = 0;
  group.wholeFrom = segment.sequence;
}

export function writeCheckpoint(writer: ByteWriter, group: GroupLog): void {
  writeCheckpointRecord(writer, group.id, group);
}

/** Whether nobody needs the entries of the segment any more. Forgets what it finds dead, so asking again is cheap. */
export function isDead(segment: Segment, groups: ReadonlyMap<GroupId, GroupLog>): boolean {
  for (const [id, last] of segment.live) {
    const group = groups.get(id);
    if (group !== undefined && isHeld(group, segment, last)) return false;
    segment.live.delete(id);
  }
  return true;
}

function isHeld(group: GroupLog, segment: Segment, last: Index): boolean {
  return !group.durableDestroyed && group.durableBase < last && group.wholeFrom <= segment.sequence;
}

/** The groups whose entries keep the segment. */
export function holdersOf(segment: Segment, groups: ReadonlyMap<GroupId, GroupLog>): GroupId[] {
  const holders: GroupId[] = [];
  for (const [id, last] of segment.live) {
    const group = groups.get(id);
    if (group !== undefined && isHeld(group, segment, last)) holders.push(id);
  }
  return holders;
}
