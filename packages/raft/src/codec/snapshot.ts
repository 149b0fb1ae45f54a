import { crc32c } from '../base/crc32c.ts';
import { NoriError } from '../base/errors.ts';
import type { GroupId, SnapshotPoint } from '../core/types.ts';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';
import { readConfiguration, writeConfiguration } from './entry.ts';

// A snapshot file (docs/disk-format.md); whole numbers are little-endian. What travels to a follower is the file itself.
//   header: crc32c u32 of the rest of the header · magic u32 · format u16 · zero u16 · headerBytes u32 · fileBytes u53 ·
//     checksum u32 of the chunks' checksums · chunkBytes u32 · id 16 · group u32 · index u53 · term u53 · timeMs u53 ·
//     configurationIndex u53 · configuration
//   then chunks: length u32 · crc32c u32, of the number of the chunk and its bytes, seeded with the id's · bytes
const magic = 0x4e53_524e; // "NRSN"
export const snapshotFormat = 1;
export const snapshotIdBytes = 16;
const fixedBytes = 4 + 4 + 2 + 2 + 4;
export const chunkHeadBytes = 8;
/** What a reader is willing to hold of a file at a time. */
export const chunkBytesMax: number = 16 * 1024 * 1024;
/** What a header may measure: a configuration of a thousand members fits well. */
export const snapshotHeaderBytesMax: number = 256 * 1024;

export interface SnapshotHeader {
  readonly group: GroupId;
  readonly point: SnapshotPoint;
  /** Drawn when it was taken: two snapshots of one index may differ in their bytes. */
  readonly id: Uint8Array;
  readonly headerBytes: number;
  readonly fileBytes: number;
  readonly checksum: number;
  /** Of the state machine's bytes in each chunk; the last may be shorter. */
  readonly chunkBytes: number;
}

export function encodeSnapshotHeader(header: Omit<SnapshotHeader, 'headerBytes'>): Uint8Array {
  const { group, point, id, fileBytes, checksum, chunkBytes } = header;
  const writer = new ByteWriter(1024);
  writer.u32(0);
  writer.u32(magic);
  writer.u16(snapshotFormat);
  writer.u16(0);
  const headerBytesAt = writer.skip(4);
  writer.u53(fileBytes);
  writer.u32(checksum);
  writer.u32(chunkBytes);
  writer.raw(id);
  writer.u32(group);
  writer.u53(point.index);
  writer.u53(point.term);
  writer.u53(point.timeMs);
  writer.u53(point.configurationIndex);
  writeConfiguration(writer, point.configuration);
  writer.u32At(headerBytesAt, writer.length);
  writer.u32At(0, crc32c(writer.written(4)));
  return writer.take();
}

/** How long the header is, once its first bytes are there; null when these are not those of a header. */
export function snapshotHeaderBytes(start: Uint8Array): number | null {
  if (start.length < fixedBytes) return null;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const headerBytes = view.getUint32(12, true);
  const plausible = headerBytes > fixedBytes && headerBytes <= snapshotHeaderBytesMax;
  return view.getUint32(4, true) === magic && plausible ? headerBytes : null;
}

/** @throws NoriError FORMAT_TOO_NEW, or WIRE_MALFORMED when the bytes are not what was written. */
export function decodeSnapshotHeader(bytes: Uint8Array): SnapshotHeader {
  const headerBytes = snapshotHeaderBytes(bytes);
  if (headerBytes !== bytes.length) throw malformed('not the header of a snapshot');
  const reader = new ByteReader(bytes);
  if (reader.u32() !== crc32c(bytes, 4)) throw malformed('the checksum of a snapshot header does not hold');
  reader.u32();
  const format = reader.u16();
  if (format > snapshotFormat) {
    throw new NoriError('FORMAT_TOO_NEW', {
      message: `a snapshot is written in format ${format}, this version reads up to ${snapshotFormat}`,
    });
  }
  reader.u16();
  reader.u32();
  const fileBytes = reader.u53();
  const checksum = reader.u32();
  const chunkBytes = reader.u32();
  if (chunkBytes === 0 || chunkBytes > chunkBytesMax) throw malformed('a snapshot has chunks of an impossible size');
  const id = reader.raw(snapshotIdBytes).slice();
  const group = reader.u32();
  const index = reader.u53();
  const term = reader.u53();
  const timeMs = reader.u53();
  const configurationIndex = reader.u53();
  const configuration = readConfiguration(reader);
  if (reader.remaining > 0 || fileBytes < headerBytes) throw malformed('a snapshot header does not fill its length');
  const point = { index, term, timeMs, configuration, configurationIndex };
  return { group, point, id, headerBytes, fileBytes, checksum, chunkBytes };
}

const numberBytes = new Uint8Array(4);
const numberView = new DataView(numberBytes.buffer);

/** Binds a chunk to its place in its file: one that is whole but stands elsewhere does not pass. */
export function chunkChecksum(id: Uint8Array, number: number, bytes: Uint8Array): number {
  numberView.setUint32(0, number, true);
  return crc32c(bytes, 0, bytes.length, crc32c(numberBytes, 0, 4, crc32c(id)));
}

/** The checksum of a file: that of its chunks' checksums, one after another. */
export function nextFileChecksum(before: number, chunk: number): number {
  numberView.setUint32(0, chunk, true);
  return crc32c(numberBytes, 0, 4, before);
}
