import type { ByteWriter } from '../codec/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import { type BlockName, contentsBytes, contentsOf, examineWreck, type Wreck, writeContents } from './contents.ts';

// One physical write of the log (docs/disk-format.md):
//   0 crc32c u32 of [4, length) · 4 magic u32 · 8 format u16 · 10 kind u8 · 11 zero u8 · 12 length u32 · 16 payload u32
//   20 crc of the block before u32 · 24 segment u53 · 32 sequence u53 · 40 salt u53 · 48 records · zeros · contents · trailer u32
// A block fills whole sectors, so that writing one can never tear the one before it.
export const sectorBytes = 512;
export const blockHeaderBytes = 48;
export const formatMajor = 1;
const trailerBytes = 4;
const magic = 0x4257_524e; // "NRWB"

export const BlockKind = {
  /** The first block of a segment: a checkpoint. */
  head: 1,
  data: 2,
  /** Vouches that the block before it was durable. The next block takes its place and its sequence. */
  mark: 3,
} as const;
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind];

/** What makes a block one of this place in this log, and no other. */
export interface BlockStamp {
  readonly kind: BlockKind;
  /** The number of its segment: a recycled file holds blocks of other numbers. */
  readonly segment: number;
  /** Counts the blocks of the whole log. */
  readonly sequence: number;
  /** Drawn anew for each segment, so that no command can carry bytes that look like a block of it. */
  readonly salt: number;
  /** Chains it to the block before. */
  readonly previousCrc: number;
}

export interface Block extends BlockStamp {
  readonly format: number;
  readonly crc: number;
  readonly start: number;
  readonly end: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

const zeros = new Uint8Array(sectorBytes);

/** Makes the writer ready for a block's records. */
export function beginBlock(writer: ByteWriter): void {
  writer.reset();
  writer.raw(zeros.subarray(0, blockHeaderBytes));
}

/** What a block with so many bytes in its writer takes on the disk, if they are of so many groups. */
export function sealedBytes(writtenBytes: number, groups: number): number {
  return Math.ceil((writtenBytes + contentsBytes(groups) + trailerBytes) / sectorBytes) * sectorBytes;
}

/** Pads the block, fills its header and returns its checksum. */
export function sealBlock(writer: ByteWriter, stamp: BlockStamp): number {
  const payload = writer.length - blockHeaderBytes;
  const contents = contentsOf(writer.written(), blockHeaderBytes, writer.length);
  const length = sealedBytes(writer.length, contents.size);
  writer.raw(zeros.subarray(0, length - trailerBytes - contentsBytes(contents.size) - writer.length));
  // A mark stands where the next block will: should that block never get there, the mark must not speak for it.
  if (stamp.kind === BlockKind.mark) writer.raw(zeros.subarray(0, contentsBytes(0)));
  else writeContents(writer, contents, stamp);
  writer.u32(trailerOf(stamp.salt));
  writer.u32At(4, magic);
  writer.u32At(8, formatMajor | (stamp.kind << 16));
  writer.u32At(12, length);
  writer.u32At(16, payload);
  writer.u32At(20, stamp.previousCrc);
  u53At(writer, 24, stamp.segment);
  u53At(writer, 32, stamp.sequence);
  u53At(writer, 40, stamp.salt);
  const crc = crc32c(writer.written(4));
  writer.u32At(0, crc);
  return crc;
}

/**
 * Where a write was cut off, what stood there before follows: zeros, or a block that a recycled file held under another
 * salt. Bytes of even weight, none of them zero: any two of them, and each and zero, are more than a single bit apart,
 * so that a torn block is never taken for a whole one in which a bit has flipped.
 */
export function trailerOf(salt: number): number {
  let trailer = 0;
  for (let shift = 0; shift < 4; shift += 1) {
    const seven = (Math.floor(salt / 128 ** shift) % 127) + 1;
    const parity = (0x6996 >> ((seven ^ (seven >> 4)) & 15)) & 1;
    trailer = trailer * 256 + seven * 2 + parity;
  }
  return trailer;
}

/** A mark, whole and ready to write. */
export function sealMark(writer: ByteWriter, stamp: Omit<BlockStamp, 'kind'>): void {
  beginBlock(writer);
  sealBlock(writer, { ...stamp, kind: BlockKind.mark });
}

/** The block at `start`, or null when there is none that is whole. */
export function readBlock(view: DataView, start: number): Block | null {
  if (view.byteLength - start < sectorBytes || view.getUint32(start + 4, true) !== magic) return null;
  const length = view.getUint32(start + 12, true);
  if (!plausibleLength(view, start, length)) return null;
  const payload = view.getUint32(start + 16, true);
  const crc = view.getUint32(start, true);
  if (crc32c(bytesOf(view), start + 4, start + length) !== crc) return null;
  const kind = view.getUint8(start + 10);
  if (payload > length - blockHeaderBytes - trailerBytes) return null;
  return {
    format: view.getUint16(start + 8, true),
    kind: kind as BlockKind,
    crc,
    previousCrc: view.getUint32(start + 20, true),
    segment: u53(view, start + 24),
    sequence: u53(view, start + 32),
    salt: u53(view, start + 40),
    start,
    end: start + length,
    payloadStart: start + blockHeaderBytes,
    payloadEnd: start + blockHeaderBytes + payload,
  };
}

/** What can still be known of a block that was [start, end) and fails its checksum; null when that is nothing. */
export function wreckOf(
  view: DataView,
  place: { readonly start: number; readonly end: number },
  name: BlockName,
): Wreck | null {
  const { start, end } = place;
  return examineWreck(bytesOf(view), { payloadStart: start + blockHeaderBytes, end: end - trailerBytes, name });
}

/** Whether a block at `start` could be so long. */
export function plausibleLength(view: DataView, start: number, length: number): boolean {
  return length >= sectorBytes && length % sectorBytes === 0 && length <= view.byteLength - start;
}

export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function u53At(writer: ByteWriter, position: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  writer.u32At(position, value - high * 0x1_0000_0000);
  writer.u32At(position + 4, high);
}

function u53(view: DataView, position: number): number {
  return view.getUint32(position + 4, true) * 0x1_0000_0000 + view.getUint32(position, true);
}
