import { crc32c } from '../base/crc32c.ts';
import { u32At } from '../base/little-endian.ts';
import type { ByteWriter } from '../codec/bytes.ts';
import { recordHeaderBytes } from '../codec/record.ts';
import type { GroupId } from '../core/types.ts';

// Behind the records of a block, right before its trailer, stands whose they are (docs/disk-format.md):
//   groups × { group u32 · crc32c u32 of its records } · groups u32 · crc32c u32 · magic u32
// where the last checksum is of the block's sequence and salt, the list and its length. It says nothing that the records do
// not, but it goes on saying it when they are damaged: which groups lost something, and which lost nothing. That it
// is of this very block, and not of one that stood here before, its checksum tells.
const groupBytes = 8;
const footBytes = 12;
const magic = 0x4342_524e; // "NRBC"

/** A record that is what was written. */
export interface IntactRecord {
  readonly start: number;
  readonly end: number;
}

/** What can still be known of a damaged block. */
export interface Wreck {
  readonly intact: readonly IntactRecord[];
  /** Groups that had records in the block which are not what was written. 0 stands for records of the whole log. */
  readonly hurt: readonly GroupId[];
}

export function contentsBytes(groups: number): number {
  return footBytes + groups * groupBytes;
}

/** Of whole records, one after another. */
export function contentsOf(bytes: Uint8Array, from: number, to: number): Map<GroupId, number> {
  const contents = new Map<GroupId, number>();
  for (let at = from; at < to; ) {
    const { group, end } = headerAt(bytes, at);
    contents.set(group, crc32c(bytes, at, end, contents.get(group) ?? 0));
    at = end;
  }
  return contents;
}

/** Which block it is: no other in this log has the same two. */
export interface BlockName {
  readonly sequence: number;
  readonly salt: number;
}

export function writeContents(writer: ByteWriter, contents: ReadonlyMap<GroupId, number>, name: BlockName): void {
  const start = writer.length;
  for (const [group, crc] of contents) {
    writer.u32(group);
    writer.u32(crc);
  }
  writer.u32(contents.size);
  const list = writer.written(start);
  writer.u32(crc32c(list, 0, list.length, seedOf(name)));
  writer.u32(magic);
}

/**
 * Looks at a block whose checksum fails, at the place of `name`. `end` is where its trailer begins. Null when the list of its contents is
 * damaged too, or was never there: then any group may have lost something.
 */
export function examineWreck(
  bytes: Uint8Array,
  { payloadStart, end, name }: { readonly payloadStart: number; readonly end: number; readonly name: BlockName },
): Wreck | null {
  const contents = readContents(bytes, payloadStart, end, name);
  if (contents === null) return null;
  const listStart = end - contentsBytes(contents.size);
  const found = new Map<GroupId, { crc: number; readonly records: IntactRecord[] }>();
  for (let at = payloadStart; at + recordHeaderBytes <= listStart && bytes[at] !== 0; ) {
    const { group, end: recordEnd } = headerAt(bytes, at);
    if (recordEnd > listStart) break;
    const known = found.get(group) ?? { crc: 0, records: [] };
    known.crc = crc32c(bytes, at, recordEnd, known.crc);
    known.records.push({ start: at, end: recordEnd });
    found.set(group, known);
    at = recordEnd;
  }
  const hurt = [...contents].filter(([group, crc]) => found.get(group)?.crc !== crc).map(([group]) => group);
  const intact = [...found].filter(([group, { crc }]) => contents.get(group) === crc);
  const records = intact.flatMap(([, { records: own }]) => own).sort((left, right) => left.start - right.start);
  return { intact: records, hurt };
}

function readContents(
  bytes: Uint8Array,
  payloadStart: number,
  end: number,
  name: BlockName,
): Map<GroupId, number> | null {
  if (end - payloadStart < footBytes || u32At(bytes, end - 4) !== magic) return null;
  const groups = u32At(bytes, end - footBytes);
  const start = end - contentsBytes(groups);
  if (start < payloadStart || crc32c(bytes, start, end - 8, seedOf(name)) !== u32At(bytes, end - 8)) return null;
  const contents = new Map<GroupId, number>();
  for (let at = start; at < end - footBytes; at += groupBytes) contents.set(u32At(bytes, at), u32At(bytes, at + 4));
  return contents;
}

const nameBytes = new Uint8Array(16);
const nameView = new DataView(nameBytes.buffer);

function seedOf({ sequence, salt }: BlockName): number {
  nameView.setFloat64(0, sequence, true);
  nameView.setFloat64(8, salt, true);
  return crc32c(nameBytes);
}

function headerAt(bytes: Uint8Array, at: number): { readonly group: GroupId; readonly end: number } {
  return { group: u32At(bytes, at + 1), end: at + recordHeaderBytes + u32At(bytes, at + 5) };
}
