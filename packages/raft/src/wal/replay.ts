import { ByteReader } from '../codec/bytes.ts';
import {
  type Base,
  type GroupCheckpoint,
  noBase,
  noHardState,
  readRecord,
  RecordKind,
  type SegmentHead,
  type WalRecord,
} from '../codec/record.ts';
import { unreachable } from '../base/assert.ts';
import type { Entry, GroupId, HardState, Index } from '../core/types.ts';
import { type Block, BlockKind } from './block.ts';
import { damaged, raise, type Segment } from './segment.ts';

/** What the log holds of one group. */
export interface RecoveredGroup {
  readonly group: GroupId;
  readonly hardState: HardState;
  /** Contiguous from base.index + 1. */
  readonly entries: Entry[];
  readonly base: Base;
  readonly destroyed: boolean;
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
  wholeFrom: number;
}

/** Rebuilds every group from the records, block by block. */
export class Replay {
  private readonly groups = new Map<GroupId, GroupReplay>();
  private first = true;
  private path = '';
  private offset = 0;

  /** Takes in a block that is known to be whole and in its place. A head also says how its segment began. */
  block(bytes: Uint8Array, block: Block, segment: Segment): SegmentHead | null {
    this.path = segment.path;
    this.offset = block.start;
    const reader = new ByteReader(bytes, block.payloadStart, block.payloadEnd);
    let head: SegmentHead | null = null;
    while (reader.remaining > 0) {
      const record = this.read(reader);
      if (record.kind === RecordKind.segmentHead) head = record.head;
      else if (record.kind === RecordKind.groupCheckpoint) this.onCheckpoint(record.group, record.checkpoint);
      else this.onRecord(record, segment);
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
        wholeFrom: replay.wholeFrom,
      });
    }
    return recovered;
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
    if (this.first) {
      this.groups.set(id, { ...checkpoint, absentThrough: checkpoint.last, entries: [], wholeFrom: 0 });
      return;
    }
    // The segments before told the same story, or one of the two is not what was written.
    const group = this.groups.get(id);
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
  return { hardState: noHardState, base: noBase, absentThrough: 0, entries: [], destroyed: false, wholeFrom: 0 };
}

function lastOf(group: GroupReplay): Index {
  return group.absentThrough + group.entries.length;
}
