import { ByteReader } from '../codec/bytes.ts';
import {
  type Base,
  type GroupCheckpoint,
  noBase,
  noHardState,
  type Quarantine,
  QuarantineStage,
  readRecord,
  RecordKind,
  type SegmentHead,
  type WalRecord,
} from '../codec/record.ts';
import { unreachable } from '../base/assert.ts';
import type { Entry, GroupId, HardState, Index } from '../core/types.ts';
import { type Block, BlockKind } from './block.ts';
import type { Wreck } from './contents.ts';
import { damaged, raise, type Segment } from './segment.ts';

/** What the log holds of one group. */
export interface RecoveredGroup {
  readonly group: GroupId;
  readonly hardState: HardState;
  /** Contiguous from base.index + 1. */
  readonly entries: Entry[];
  readonly base: Base;
  readonly destroyed: boolean;
  /** The group takes no part on this node, or not yet as it did. */
  readonly quarantine: Quarantine | null;
  /** The segment from which on all its entries are. */
  readonly wholeFrom: number;
}

interface GroupReplay {
  hardState: HardState;
  base: Base;
  /** Entries up to here were in segments that are gone; `entries` begins behind it. */
  absentThrough: Index;
  entries: Entry[];
  destroyed: boolean;
  quarantine: Quarantine | null;
  /** A part of what was written of it is damaged: nothing but the highest term of it is believed. */
  hurt: boolean;
  wholeFrom: number;
}

/** Rebuilds every group from the records, block by block. */
export class Replay {
  private readonly groups = new Map<GroupId, GroupReplay>();
  private first = true;
  private path = '';
  private offset = 0;

  /** Takes in what is left of a block. */
  wreck(bytes: Uint8Array, wreck: Wreck, place: { readonly segment: Segment; readonly offset: number }): void {
    this.path = place.segment.path;
    this.offset = place.offset;
    for (const group of wreck.hurt) if (group !== 0) this.hurt(group, `${this.path}, offset ${this.offset}`);
    for (const { start, end } of wreck.intact) this.take(this.read(new ByteReader(bytes, start, end)), place.segment);
  }

  private hurt(id: GroupId, where: string): void {
    const group = this.groups.get(id) ?? newGroup();
    this.groups.set(id, group);
    if (group.hurt || group.destroyed) return;
    group.hurt = true;
    group.entries = [];
    group.base = noBase;
    group.absentThrough = 0;
    const voter = group.quarantine?.voter ?? false;
    group.quarantine = { stage: QuarantineStage.lost, voter, since: 0, reason: `its log is damaged: ${where}` };
  }

  /** Takes in a block that is known to be whole and in its place. A head also says how its segment began. */
  block(bytes: Uint8Array, block: Block, segment: Segment): SegmentHead | null {
    this.path = segment.path;
    this.offset = block.start;
    const reader = new ByteReader(bytes, block.payloadStart, block.payloadEnd);
    let head: SegmentHead | null = null;
    while (reader.remaining > 0) {
      const record = this.read(reader);
      head = this.take(record, segment) ?? head;
    }
    if (block.kind === BlockKind.head) {
      if (head === null) throw this.damage('a segment begins without a head');
      this.first = false;
    }
    return head;
  }

  /** @throws NoriError WAL_DAMAGED when entries that are still needed were in a segment that is not there. */
  finish(): Map<GroupId, RecoveredGroup> {
    const recovered = new Map<GroupId, RecoveredGroup>();
    for (const [group, replay] of this.groups) {
      if (replay.base.index < replay.absentThrough && !replay.destroyed) {
        throw this.damage(`entries ${replay.base.index + 1} to ${replay.absentThrough} of group ${group} are missing`);
      }
      const dead = replay.destroyed ? 0 : replay.base.index - replay.absentThrough;
      recovered.set(group, {
        group,
        hardState: replay.hardState,
        entries: dead === 0 ? replay.entries : replay.entries.slice(dead),
        base: replay.base,
        destroyed: replay.destroyed,
        quarantine: replay.quarantine,
        wholeFrom: replay.wholeFrom,
      });
    }
    return recovered;
  }

  private take(record: WalRecord, segment: Segment): SegmentHead | null {
    if (record.kind === RecordKind.segmentHead) return record.head;
    if (record.kind === RecordKind.groupCheckpoint) this.onCheckpoint(record.group, record.checkpoint);
    else this.onRecord(record, segment);
    return null;
  }

  private read(reader: ByteReader): WalRecord {
    try {
      return readRecord(reader);
    } catch (cause) {
      throw this.damage('a block whose checksum holds carries a record that makes no sense', cause);
    }
  }

  private onRecord(
    record: Exclude<WalRecord, { kind: typeof RecordKind.segmentHead | typeof RecordKind.groupCheckpoint }>,
    segment: Segment,
  ): void {
    if (this.groups.get(record.group)?.hurt === true) return this.onHurtRecord(record);
    if (record.kind === RecordKind.groupCreated) {
      if (this.groups.has(record.group)) throw this.damage(`group ${record.group} is created twice`);
      this.groups.set(record.group, newGroup());
      return;
    }
    const group = this.groups.get(record.group);
    if (group === undefined || group.destroyed) throw this.damage(`group ${record.group} is not alive here`);
    switch (record.kind) {
      case RecordKind.entries:
        this.onEntries(group, record.entries, record.group);
        if ((record.entries[0]?.index ?? 0) <= group.base.index + 1) group.wholeFrom = segment.sequence;
        raise(segment.live, record.group, lastOf(group));
        return;
      case RecordKind.hardState:
        group.hardState = record.hardState;
        return;
      case RecordKind.groupDestroyed:
        group.destroyed = true;
        group.entries = [];
        return;
      case RecordKind.quarantine:
        group.quarantine = record.quarantine;
        if (record.quarantine?.stage !== QuarantineStage.lost) return;
        group.entries = [];
        group.base = noBase;
        group.absentThrough = 0;
        group.wholeFrom = segment.sequence;
        return;
      case RecordKind.base:
        group.base = record.base;
        if (record.reset || record.base.index >= lastOf(group)) {
          group.entries = [];
          group.absentThrough = record.base.index;
        }
        return;
      default:
        unreachable(record);
    }
  }

  /** A term that was written is never gone back behind, and who was destroyed stays so. The rest has lost its ground. */
  private onHurtRecord(record: WalRecord): void {
    const group = this.groups.get(record.group) as GroupReplay;
    if (record.kind === RecordKind.hardState) raiseTerm(group, record.hardState);
    else if (record.kind === RecordKind.groupDestroyed) {
      group.destroyed = true;
      group.quarantine = null;
      group.hurt = false;
    }
  }

  private onEntries(group: GroupReplay, entries: Entry[], id: GroupId): void {
    const first = entries[0];
    if (first === undefined) throw this.damage('a run of no entries');
    if (first.index > lastOf(group) + 1) throw this.damage(`entries of group ${id} before ${first.index} are missing`);
    if (first.index <= group.absentThrough) {
      group.absentThrough = first.index - 1;
      group.entries = entries;
      return;
    }
    group.entries.length = first.index - 1 - group.absentThrough;
    for (const entry of entries) group.entries.push(entry);
  }

  private onCheckpoint(id: GroupId, checkpoint: GroupCheckpoint): void {
    const group = this.groups.get(id);
    if (group?.hurt === true) {
      raiseTerm(group, checkpoint.hardState);
      if (checkpoint.destroyed) this.onHurtRecord({ kind: RecordKind.groupDestroyed, group: id });
      return;
    }
    if (this.first) {
      this.groups.set(id, { ...checkpoint, hurt: false, absentThrough: checkpoint.last, entries: [], wholeFrom: 0 });
      return;
    }
    // The segments before told the same story, or one of the two is not what was written.
    const same =
      group !== undefined &&
      group.destroyed === checkpoint.destroyed &&
      (group.destroyed || lastOf(group) === checkpoint.last) &&
      group.base.index === checkpoint.base.index &&
      group.hardState.term === checkpoint.hardState.term &&
      group.hardState.votedFor === checkpoint.hardState.votedFor;
    if (!same) throw this.damage(`the checkpoint of group ${id} contradicts the segments before it`);
  }

  private damage(what: string, cause?: unknown): Error {
    return damaged(this.path, this.offset, what, cause);
  }
}

function newGroup(): GroupReplay {
  return {
    hardState: noHardState,
    base: noBase,
    absentThrough: 0,
    entries: [],
    destroyed: false,
    quarantine: null,
    hurt: false,
    wholeFrom: 0,
  };
}

function lastOf(group: GroupReplay): Index {
  return group.absentThrough + group.entries.length;
}

function raiseTerm(group: GroupReplay, hardState: HardState): void {
  if (hardState.term > group.hardState.term) group.hardState = hardState;
}
