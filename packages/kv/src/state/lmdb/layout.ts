import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { AppliedPosition } from 'nori-raft';
import { Entry, isIntact, keyOrder } from '../entry.ts';
import { copyInto, toValue, type Value } from '../value.ts';

/**
 * The one tree of a node, for all its groups. Keys are big-endian, so that they sort:
 *
 *   group u32 | 0 u32 | 0                                          what the group has come to (see Head)
 *   group u32 | generation u32 | 1 | expiry f64 | slot .. name     a key that expires; the value says nothing
 *   group u32 | generation u32 | 2 | slot u16 | order u32 | name   a key, in the order of a scan
 *
 * `name` is 0 and the key, or, for a key longer than a tree's key may be, 1 and its SHA-256. The value of a key is
 * `expiry f64 | hashes i32 i32 | length of key u32 | key, if it is a long one | value`, little-endian. A generation holds
 * everything between two flushes or restores: what replaces a whole state is written beside it, and the head decides.
 * The hashes are of key, value and expiry, and a head ends in a checksum of itself: a tree has none of its own.
 */
const formatVersion = 2;
const Kind = { head: 0, expiry: 1, key: 2 } as const;
const prefixBytes = 9;
const placeBytes = 6;
/** The tree takes keys of up to 1978 bytes; an expiry's is 24 bytes longer than its key. */
const plainNameBytesMax = 1024;
const recordHeaderBytes = 20;
const headBytes = 48;
const headChecksumBytes = 4;

/** What a group has come to. Stored with every change, in the same transaction. */
export interface Head {
  readonly generation: number;
  /** Null: the state came from outside the log, and does not outlive the process. */
  readonly position: AppliedPosition | null;
  readonly timeMs: number;
  readonly count: number;
  readonly digestLow: number;
  readonly digestHigh: number;
}

export class StoreFormatError extends Error {
  override readonly name = 'StoreFormatError';
}

function prefix(bytes: number, group: number, generation: number, kind: number): Buffer {
  const key = Buffer.allocUnsafe(prefixBytes + bytes);
  key.writeUInt32BE(group, 0);
  key.writeUInt32BE(generation, 4);
  key[8] = kind;
  return key;
}

export function headKey(group: number): Buffer {
  return prefix(0, group, 0, Kind.head);
}

export function encodeHead(head: Head): Buffer {
  const record = Buffer.alloc(headBytes + headChecksumBytes);
  record.writeUInt32LE(formatVersion, 0);
  record.writeUInt32LE(head.generation, 4);
  record.writeDoubleLE(head.position?.index ?? 0, 8);
  record.writeDoubleLE(head.position?.term ?? 0, 16);
  record.writeDoubleLE(head.timeMs, 24);
  record.writeDoubleLE(head.count, 32);
  record.writeInt32LE(head.digestLow, 40);
  record.writeInt32LE(head.digestHigh, 44);
  record.writeUInt32LE(crc32(record.subarray(0, headBytes)), headBytes);
  return record;
}

/**
 * Null: it is not what was written, or was written before heads had checksums.
 *
 * @throws StoreFormatError.
 */
export function decodeHead(record: Buffer): Head | null {
  const checksumAt = record.length - headChecksumBytes;
  if (checksumAt < 4 || record.readUInt32LE(checksumAt) !== crc32(record.subarray(0, checksumAt))) return null;
  const version = record.readUInt32LE(0);
  if (version !== formatVersion)
    throw new StoreFormatError(`store format ${version} is not supported, only ${formatVersion} is`);
  const index = record.readDoubleLE(8);
  return {
    generation: record.readUInt32LE(4),
    position: index === 0 ? null : { index, term: record.readDoubleLE(16) },
    timeMs: record.readDoubleLE(24),
    count: record.readDoubleLE(32),
    digestLow: record.readInt32LE(40),
    digestHigh: record.readInt32LE(44),
  };
}

function writeName(target: Buffer, at: number, name: Buffer, order: number, slot: number): void {
  target.writeUInt16BE(slot, at);
  target.writeUInt32BE(order, at + 2);
  target.set(name, at + placeBytes);
}

function nameOf(key: string): Buffer {
  const long = key.length > plainNameBytesMax;
  return long
    ? Buffer.concat([Buffer.of(1), createHash('sha256').update(key, 'latin1').digest()])
    : Buffer.from(`\0${key}`, 'latin1');
}

/** The trees of one generation of one group. */
export class Generation {
  readonly group: number;
  readonly number: number;

  constructor(group: number, number: number) {
    this.group = group;
    this.number = number;
  }

  key(key: string, slot: number): Buffer {
    const name = nameOf(key);
    const whole = prefix(placeBytes + name.length, this.group, this.number, Kind.key);
    writeName(whole, prefixBytes, name, keyOrder(key), slot);
    return whole;
  }

  expiry(key: string, slot: number, expireMs: number): Buffer {
    const name = nameOf(key);
    const whole = prefix(8 + placeBytes + name.length, this.group, this.number, Kind.expiry);
    whole.writeDoubleBE(expireMs, prefixBytes);
    writeName(whole, prefixBytes + 8, name, keyOrder(key), slot);
    return whole;
  }

  /** Where the keys from a place on begin. */
  place(slot: number, order: number): Buffer {
    const start = prefix(placeBytes, this.group, this.number, Kind.key);
    start.writeUInt16BE(slot, prefixBytes);
    start.writeUInt32BE(order, prefixBytes + 2);
    return start;
  }

  get keysEnd(): Buffer {
    return prefix(0, this.group, this.number, Kind.key + 1);
  }

  get expiriesStart(): Buffer {
    return prefix(0, this.group, this.number, Kind.expiry);
  }

  get expiriesEnd(): Buffer {
    return prefix(0, this.group, this.number, Kind.expiry + 1);
  }

  /** The key of the record that an expiry is about. */
  keyOfExpiry(expiry: Buffer): Buffer {
    const rest = expiry.subarray(prefixBytes + 8);
    const whole = prefix(rest.length, this.group, this.number, Kind.key);
    whole.set(rest, prefixBytes);
    return whole;
  }
}

/** From the first key of a generation on, of whatever kind. */
export function generationStart(group: number, generation: number): Buffer {
  return prefix(0, group, generation, 0);
}

export function groupStart(group: number): Buffer {
  return prefix(0, group, 0, 0);
}

export function groupOf(key: Buffer): number {
  return key.readUInt32BE(0);
}

export function generationOf(key: Buffer): number {
  return key.readUInt32BE(4);
}

export function expireMsOf(expiry: Buffer): number {
  return expiry.readDoubleBE(prefixBytes);
}

export function slotOfKey(key: Buffer): number {
  return key.readUInt16BE(prefixBytes);
}

export function orderOfKey(key: Buffer): number {
  return key.readUInt32BE(prefixBytes + 2);
}

/** The key of the shard in a key of the tree, or null: it is a long one, and in the record. */
export function plainKey(key: Buffer): string | null {
  const at = prefixBytes + placeBytes;
  return key[at] === 0 ? key.toString('latin1', at + 1) : null;
}

const longKeyBytes = (key: string): number => (key.length > plainNameBytesMax ? key.length : 0);

export function recordBytes(entry: Entry): number {
  return recordHeaderBytes + longKeyBytes(entry.key) + entry.value.length;
}

/** Writes the record of an entry into `target`, which has exactly `recordBytes` of room. */
export function writeRecord(target: Buffer, entry: Entry): void {
  const keyBytes = longKeyBytes(entry.key);
  target.writeDoubleLE(entry.expireMs, 0);
  target.writeInt32LE(entry.hashLow, 8);
  target.writeInt32LE(entry.hashHigh, 12);
  target.writeUInt32LE(keyBytes, 16);
  if (keyBytes > 0) target.write(entry.key, recordHeaderBytes, 'latin1');
  copyInto(target, recordHeaderBytes + keyBytes, entry.value);
}

/** The key of a record, or null: the record is not what was written. */
export function recordKey(treeKey: Buffer, record: Buffer): string | null {
  const plain = plainKey(treeKey);
  if (plain !== null) return plain;
  const from = valueStart(record);
  if (from === null) return null;
  const key = record.toString('latin1', recordHeaderBytes, from);
  return nameOf(key).equals(treeKey.subarray(prefixBytes + placeBytes)) ? key : null;
}

/** Where the value of a record begins, or null when it is too short to have one. */
function valueStart(record: Buffer): number | null {
  if (record.length < recordHeaderBytes) return null;
  const from = recordHeaderBytes + record.readUInt32LE(16);
  return from <= record.length ? from : null;
}

// One for all calls: entries are made for each key that is read.
const marks = { hashLow: 0, hashHigh: 0, born: 0 };

/** The entry a record holds, or null: it is not what was written. `record` may be overwritten afterwards. */
export function readRecord(key: string, slot: number, record: Buffer): Entry | null {
  const from = valueStart(record);
  if (from === null) return null;
  const value: Value = toValue(record.subarray(from, record.length));
  marks.hashLow = record.readInt32LE(8);
  marks.hashHigh = record.readInt32LE(12);
  const entry = new Entry({ key, slot }, value, record.readDoubleLE(0), marks);
  return isIntact(entry) ? entry : null;
}
