import {
  type Entry,
  type GroupId,
  type HardState,
  type Index,
  isNodeId,
  type NodeId,
  type Term,
} from '../core/types.ts';
import { type ByteReader, type ByteWriter, malformed } from './bytes.ts';
import { readEntry, readId, writeEntry } from './entry.ts';

// What a WAL block carries (docs/disk-format.md). One record:
//   kind u8 · group u32 (0 for records of the whole log) · length u32 · body
export const RecordKind = {
  entries: 1,
  hardState: 2,
  groupCreated: 3,
  groupDestroyed: 4,
  base: 5,
  segmentHead: 6,
  groupCheckpoint: 7,
  quarantine: 8,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Kind, group and length. */
export const recordHeaderBytes = 9;

/** How far a group is whose log or snapshot was damaged on this node. The numbers are the disk's. */
export const QuarantineStage = {
  /** What it acknowledged is lost, and the group may still count on it. */
  lost: 1,
  /** The same, and it has asked to vote no more, or is about to. */
  asking: 2,
  /** The group counts on it no more: it takes part as one that never voted, and learns. */
  refilling: 3,
} as const;
export type QuarantineStage = (typeof QuarantineStage)[keyof typeof QuarantineStage];

/** Why a group takes no part on this node, or not yet as it did. */
export interface Quarantine {
  readonly stage: QuarantineStage;
  /** It voted before, and is to vote again. Known from `asking` on. */
  readonly voter: boolean;
  /** While it is refilled: by the configuration of this index it had no vote; only a later one may say otherwise. */
  readonly since: Index;
  readonly reason: string;
}

/** The entry a log was compacted through: everything up to it lives in a snapshot. */
export interface Base {
  readonly index: Index;
  readonly term: Term;
  readonly timeMs: number;
}

/** All that a later segment needs to know of a group when the earlier ones are gone, but for its live entries. */
export interface GroupCheckpoint {
  readonly destroyed: boolean;
  /** Where its log ended when the segment began. */
  readonly last: Index;
  readonly base: Base;
  readonly hardState: HardState;
  readonly quarantine: Quarantine | null;
}

export interface SegmentHead {
  /** How much of the file was allocated when the segment began: a shorter file lost something. */
  readonly sizeBytes: number;
  /** Where the blocks of the segment before it end: bytes behind that are dead. */
  readonly previousEnd: number;
}

export type WalRecord =
  | { readonly kind: typeof RecordKind.entries; readonly group: GroupId; readonly entries: Entry[] }
  | { readonly kind: typeof RecordKind.hardState; readonly group: GroupId; readonly hardState: HardState }
  | { readonly kind: typeof RecordKind.groupCreated; readonly group: GroupId }
  | { readonly kind: typeof RecordKind.groupDestroyed; readonly group: GroupId }
  | { readonly kind: typeof RecordKind.base; readonly group: GroupId; readonly base: Base; readonly reset: boolean }
  | { readonly kind: typeof RecordKind.segmentHead; readonly group: GroupId; readonly head: SegmentHead }
  | { readonly kind: typeof RecordKind.groupCheckpoint; readonly group: GroupId; readonly checkpoint: GroupCheckpoint }
  | { readonly kind: typeof RecordKind.quarantine; readonly group: GroupId; readonly quarantine: Quarantine | null };

export const noBase: Base = { index: 0, term: 0, timeMs: 0 };
export const noHardState: HardState = { term: 0, votedFor: null, promises: [] };

/** Writes entries[from..] as one record until `bytesMax` of the writer is reached, at least one; says where it stopped. */
export function writeEntriesRecord(
  writer: ByteWriter,
  group: GroupId,
  entries: readonly Entry[],
  limits: { readonly from: number; readonly bytesMax: number },
): number {
  const lengthAt = beginRecord(writer, RecordKind.entries, group);
  writer.u53((entries[limits.from] as Entry).index);
  const countAt = writer.skip(4);
  let at = limits.from;
  do {
    writeEntry(writer, entries[at] as Entry);
    at += 1;
  } while (at < entries.length && writer.length < limits.bytesMax);
  writer.u32At(countAt, at - limits.from);
  endRecord(writer, lengthAt);
  return at;
}

export function writeHardStateRecord(writer: ByteWriter, group: GroupId, hardState: HardState): void {
  const lengthAt = beginRecord(writer, RecordKind.hardState, group);
  writeHardState(writer, hardState);
  endRecord(writer, lengthAt);
}

export function writeGroupRecord(
  writer: ByteWriter,
  group: GroupId,
  kind: typeof RecordKind.groupCreated | typeof RecordKind.groupDestroyed,
): void {
  endRecord(writer, beginRecord(writer, kind, group));
}

/** `reset` says that the log ends at its base: entries behind it were another history. */
export function writeBaseRecord(writer: ByteWriter, group: GroupId, base: Base, reset: boolean): void {
  const lengthAt = beginRecord(writer, RecordKind.base, group);
  writer.u8(reset ? 1 : 0);
  writeBase(writer, base);
  endRecord(writer, lengthAt);
}

export function writeSegmentHeadRecord(writer: ByteWriter, head: SegmentHead): void {
  const lengthAt = beginRecord(writer, RecordKind.segmentHead, 0);
  writer.u53(head.sizeBytes);
  writer.u53(head.previousEnd);
  endRecord(writer, lengthAt);
}

/** Null ends it. With the stage `lost` the log of the group is empty from here on. */
export function writeQuarantineRecord(writer: ByteWriter, group: GroupId, quarantine: Quarantine | null): void {
  const lengthAt = beginRecord(writer, RecordKind.quarantine, group);
  writeQuarantine(writer, quarantine);
  endRecord(writer, lengthAt);
}

const GroupStatus = { alive: 0, destroyed: 1, quarantined: 2 } as const;

export function writeCheckpointRecord(writer: ByteWriter, group: GroupId, checkpoint: GroupCheckpoint): void {
  const lengthAt = beginRecord(writer, RecordKind.groupCheckpoint, group);
  const { destroyed, quarantine } = checkpoint;
  const alive = quarantine === null ? GroupStatus.alive : GroupStatus.quarantined;
  writer.u8(destroyed ? GroupStatus.destroyed : alive);
  writer.u53(checkpoint.last);
  writeBase(writer, checkpoint.base);
  writeHardState(writer, checkpoint.hardState);
  if (!destroyed && quarantine !== null) writeQuarantine(writer, quarantine);
  endRecord(writer, lengthAt);
}

/** @throws NoriError WIRE_MALFORMED when the bytes are no record of this version. Payloads are views on the reader's bytes. */
export function readRecord(reader: ByteReader): WalRecord {
  const kind = reader.u8();
  const group = reader.u32();
  const length = reader.u32();
  const end = reader.position + length;
  const record = readBody(reader, kind, group);
  if (reader.position !== end) throw malformed('a record does not fill its length');
  return record;
}

function readBody(reader: ByteReader, kind: number, group: GroupId): WalRecord {
  switch (kind) {
    case RecordKind.entries: {
      const first = reader.u53();
      const count = reader.u32();
      const entries: Entry[] = [];
      for (let at = 0; at < count; at += 1) entries.push(readEntry(reader, first + at));
      return { kind, group, entries };
    }
    case RecordKind.hardState:
      return { kind, group, hardState: readHardState(reader) };
    case RecordKind.groupCreated:
    case RecordKind.groupDestroyed:
      return { kind, group };
    case RecordKind.base: {
      const reset = reader.flag();
      return { kind, group, reset, base: readBase(reader) };
    }
    case RecordKind.segmentHead: {
      const sizeBytes = reader.u53();
      return { kind, group, head: { sizeBytes, previousEnd: reader.u53() } };
    }
    case RecordKind.groupCheckpoint: {
      const status = reader.u8();
      if (status > GroupStatus.quarantined) throw malformed('a group is in a state that nobody knows');
      const last = reader.u53();
      const base = readBase(reader);
      const hardState = readHardState(reader);
      const destroyed = status === GroupStatus.destroyed;
      const quarantine = status === GroupStatus.quarantined ? readQuarantine(reader) : null;
      return { kind, group, checkpoint: { destroyed, last, base, hardState, quarantine } };
    }
    case RecordKind.quarantine:
      return { kind, group, quarantine: readQuarantine(reader) };
    default:
      throw malformed(`a record is of the unknown kind ${kind}`);
  }
}

function beginRecord(writer: ByteWriter, kind: RecordKind, group: GroupId): number {
  writer.u8(kind);
  writer.u32(group);
  return writer.skip(4);
}

function endRecord(writer: ByteWriter, lengthAt: number): void {
  writer.u32At(lengthAt, writer.length - lengthAt - 4);
}

function writeBase(writer: ByteWriter, base: Base): void {
  writer.u53(base.index);
  writer.u53(base.term);
  writer.u53(base.timeMs);
}

function readBase(reader: ByteReader): Base {
  const index = reader.u53();
  const term = reader.u53();
  return { index, term, timeMs: reader.u53() };
}

function writeQuarantine(writer: ByteWriter, quarantine: Quarantine | null): void {
  writer.u8(quarantine?.stage ?? 0);
  writer.u8(quarantine?.voter === true ? 1 : 0);
  writer.u53(quarantine?.since ?? 0);
  writer.text(quarantine?.reason ?? '');
}

function readQuarantine(reader: ByteReader): Quarantine | null {
  const stage = reader.u8();
  const voter = reader.flag();
  const since = reader.u53();
  const reason = reader.text();
  if (stage === 0) return null;
  if (stage > QuarantineStage.refilling) throw malformed('a quarantine is in a stage that nobody knows');
  return { stage: stage as QuarantineStage, voter, since, reason };
}

// Promises have been part of the format from its first day: a node must not forget one over an upgrade.
function writeHardState(writer: ByteWriter, hardState: HardState): void {
  writer.u53(hardState.term);
  writer.text(hardState.votedFor ?? '');
  writer.u16(hardState.promises.length);
  for (const promise of hardState.promises) {
    writer.u53(promise.term);
    writer.text(promise.holder);
    writer.u53(promise.incarnation);
    writer.u32(promise.lineage);
    writer.f64(promise.durationMs);
  }
}

function readHardState(reader: ByteReader): HardState {
  const term = reader.u53();
  const votedFor = readVote(reader);
  const promises: HardState['promises'][number][] = [];
  for (let left = reader.u16(); left > 0; left -= 1) {
    const promiseTerm = reader.u53();
    const holder = readId(reader);
    const incarnation = reader.u53();
    const lineage = reader.u32();
    promises.push({ term: promiseTerm, holder, incarnation, lineage, durationMs: reader.f64() });
  }
  return { term, votedFor, promises };
}

function readVote(reader: ByteReader): NodeId | null {
  const text = reader.text();
  if (text === '') return null;
  if (!isNodeId(text)) throw malformed('a vote names no node');
  return text;
}
