import { NoriError } from '../base/errors.ts';
import { ByteWriter } from '../codec/bytes.ts';
import {
  chunkChecksum,
  chunkHeadBytes,
  encodeSnapshotHeader,
  nextFileChecksum,
  type SnapshotHeader,
} from '../codec/snapshot.ts';
import type { GroupId, SnapshotPoint } from '../core/types.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { syncFile, writeAll } from './file-calls.ts';

/**
 * Synced as it grows: a large sync holds up those of the log. With 8 MiB at a time the p99 of writes rose to 4 to 7 times the
 * normal one on a busy disk, with 1 MiB to 1.2 to 3.6 times, and snapshots took no longer (npm run bench:snapshot).
 */
const syncEveryBytes = 1024 * 1024;

/** What the file says of itself, but for its size and checksum. */
export interface SnapshotTitle {
  readonly group: GroupId;
  readonly point: SnapshotPoint;
  readonly id: Uint8Array;
  readonly chunkBytes: number;
}

/**
 * Writes an image to a file of its own, durably, and answers with its header. Pieces of any size become chunks of one
 * size, so that neither side ever holds more than one. Null when `goOn` said no in between.
 */
export async function writeSnapshot(
  disk: Disk,
  path: string,
  title: SnapshotTitle,
  image: AsyncIterator<Uint8Array>,
  goOn: () => boolean,
): Promise<SnapshotHeader | null> {
  const file = await disk.open(path, { create: true });
  try {
    await file.truncate(0);
    const body = new BodyWriter(file, title);
    for (let piece = await next(image); piece.done !== true; piece = await next(image)) {
      if (!goOn()) {
        await image.return?.();
        return null;
      }
      await body.write(piece.value);
    }
    return await body.finish();
  } finally {
    await file.close();
  }
}

/** What the state machine throws is told from what the disk throws. */
async function next(image: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  try {
    return await image.next();
  } catch (cause) {
    throw new NoriError('SNAPSHOT_FAILED', { message: `the state machine's image broke off: ${String(cause)}`, cause });
  }
}

class BodyWriter {
  private readonly file: DiskFile;
  private readonly title: SnapshotTitle;
  private readonly headerBytes: number;
  private readonly chunk: Uint8Array;
  private readonly writer: ByteWriter;
  private filled = 0;
  private at: number;
  private chunks = 0;
  private checksum = 0;
  private unsynced = 0;

  constructor(file: DiskFile, title: SnapshotTitle) {
    this.file = file;
    this.title = title;
    this.chunk = new Uint8Array(title.chunkBytes);
    this.writer = new ByteWriter(title.chunkBytes + chunkHeadBytes);
    this.headerBytes = encodeSnapshotHeader({ ...title, fileBytes: 0, checksum: 0 }).length;
    this.at = this.headerBytes;
  }

  async write(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      const part = piece.subarray(from, from + this.chunk.length - this.filled);
      this.chunk.set(part, this.filled);
      this.filled += part.length;
      from += part.length;
      if (this.filled === this.chunk.length) await this.put();
    }
  }

  /** The header comes last: until it is there the file is none. */
  async finish(): Promise<SnapshotHeader> {
    if (this.filled > 0) await this.put();
    const { title, checksum, headerBytes, at: fileBytes } = this;
    await syncFile(this.file);
    await writeAll(this.file, encodeSnapshotHeader({ ...title, fileBytes, checksum }), 0);
    await syncFile(this.file);
    return { ...title, headerBytes, fileBytes, checksum };
  }

  private async put(): Promise<void> {
    const { writer } = this;
    const bytes = this.chunk.subarray(0, this.filled);
    const checksum = chunkChecksum(this.title.id, this.chunks, bytes);
    writer.reset();
    writer.u32(bytes.length);
    writer.u32(checksum);
    writer.raw(bytes);
    await writeAll(this.file, writer.written(), this.at);
    this.at += writer.length;
    this.chunks += 1;
    this.checksum = nextFileChecksum(this.checksum, checksum);
    this.filled = 0;
    this.unsynced += writer.length;
    if (this.unsynced < syncEveryBytes) return;
    this.unsynced = 0;
    await syncFile(this.file);
  }
}
