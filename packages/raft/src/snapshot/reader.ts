import { NoriError } from '../base/errors.ts';
import {
  chunkChecksum,
  chunkHeadBytes,
  decodeSnapshotHeader,
  nextFileChecksum,
  type SnapshotHeader,
  snapshotHeaderBytes,
} from '../codec/snapshot.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { onDisk, snapshotDamaged } from './file-calls.ts';

const headGuessBytes = 4096;

/** An open snapshot file. Whatever leaves it as a chunk has passed its checksum. */
export class SnapshotReader {
  readonly header: SnapshotHeader;
  readonly path: string;
  private readonly file: DiskFile;

  /** @throws NoriError SNAPSHOT_DAMAGED | FORMAT_TOO_NEW; or what the disk throws. */
  static async open(disk: Disk, path: string): Promise<SnapshotReader> {
    const file = await disk.open(path, { create: false });
    try {
      const bytes = await headerOf(file);
      if (bytes === null) throw snapshotDamaged(path, 0, 'it does not begin with a header');
      return new SnapshotReader(path, file, decodeHeader(path, bytes));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(path: string, file: DiskFile, header: SnapshotHeader) {
    this.path = path;
    this.file = file;
    this.header = header;
  }

  /** Bytes of the file as they are, for those who pass it on. */
  read(offset: number, length: number): Promise<Uint8Array> {
    return this.file.read(offset, Math.min(length, this.header.fileBytes - offset));
  }

  /** The state machine's bytes, piece by piece. @throws NoriError SNAPSHOT_DAMAGED before it gives out a damaged one. */
  async *image(): AsyncGenerator<Uint8Array, void, void> {
    const { headerBytes, fileBytes, checksum } = this.header;
    const walk = new ChunkWalk(this.header, this.file);
    for (let at = headerBytes; at < fileBytes; at = walk.at) {
      const chunk = await walk.next();
      if (chunk === null) throw snapshotDamaged(this.path, at, 'a chunk is not what was written');
      yield chunk;
    }
    if (walk.checksum !== checksum) throw snapshotDamaged(this.path, 0, 'its chunks are not those of its header');
  }

  /** Reads all of it. @throws NoriError SNAPSHOT_DAMAGED. */
  async verify(): Promise<void> {
    const image = this.image();
    while ((await image.next()).done !== true);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** How much of a file that is still growing is whole: through its last good chunk. */
export async function wholeBytes(file: DiskFile, header: SnapshotHeader): Promise<number> {
  const walk = new ChunkWalk(header, file);
  while (walk.at < header.fileBytes && (await walk.next()) !== null);
  return walk.at;
}

/** The bytes of the header at the beginning of the file, whatever they are worth; null when there cannot be one. */
export async function headerOf(file: DiskFile): Promise<Uint8Array | null> {
  const start = await file.read(0, headGuessBytes);
  const headerBytes = snapshotHeaderBytes(start);
  if (headerBytes === null) return null;
  const bytes = headerBytes <= start.length ? start.subarray(0, headerBytes) : await file.read(0, headerBytes);
  return bytes.length === headerBytes ? bytes : null;
}

function decodeHeader(path: string, bytes: Uint8Array): SnapshotHeader {
  try {
    return decodeSnapshotHeader(bytes);
  } catch (error) {
    if (error instanceof NoriError && error.code === 'FORMAT_TOO_NEW') throw error;
    throw snapshotDamaged(path, 0, 'its header is not what was written', error);
  }
}

/** Goes from chunk to chunk. */
class ChunkWalk {
  at: number;
  checksum = 0;
  private number = 0;
  private readonly header: SnapshotHeader;
  private readonly file: DiskFile;

  constructor(header: SnapshotHeader, file: DiskFile) {
    this.header = header;
    this.file = file;
    this.at = header.headerBytes;
  }

  /** The bytes of the next chunk, or null when it is not whole. */
  async next(): Promise<Uint8Array | null> {
    // One read: its length is known but for the last one's.
    const asked = this.file.read(this.at, chunkHeadBytes + this.header.chunkBytes);
    const read = await onDisk('a snapshot cannot be read', asked);
    if (read.length <= chunkHeadBytes) return null;
    const view = new DataView(read.buffer, read.byteOffset, read.byteLength);
    const length = view.getUint32(0, true);
    if (length === 0 || length > read.length - chunkHeadBytes) return null;
    const bytes = read.subarray(chunkHeadBytes, chunkHeadBytes + length);
    const checksum = chunkChecksum(this.header.id, this.number, bytes);
    if (checksum !== view.getUint32(4, true)) return null;
    this.number += 1;
    this.at += chunkHeadBytes + length;
    this.checksum = nextFileChecksum(this.checksum, checksum);
    return bytes;
  }
}
