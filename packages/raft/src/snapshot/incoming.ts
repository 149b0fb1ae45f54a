import { decodeSnapshotHeader, type SnapshotHeader } from '../codec/snapshot.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { syncFile, writeAll } from './file-calls.ts';
import { headerOf, SnapshotReader, wholeBytes } from './reader.ts';

const syncEveryBytes = 1024 * 1024;

/**
 * A snapshot file that is arriving. It is kept over broken connections and restarts: the next offer of the same file
 * goes on where this one stopped, behind its last chunk that passes its checksum.
 */
export class IncomingSnapshot {
  readonly header: SnapshotHeader;
  private readonly headerBytes: Uint8Array;
  private readonly disk: Disk;
  private readonly path: string;
  private readonly file: DiskFile;
  private at: number;
  private unsynced = 0;

  /** @throws NoriError WIRE_MALFORMED | FORMAT_TOO_NEW when the header is none; or what the disk throws. */
  static async begin(disk: Disk, path: string, headerBytes: Uint8Array): Promise<IncomingSnapshot> {
    const own = headerBytes.slice();
    const header = decodeSnapshotHeader(own);
    const file = await disk.open(path, { create: true });
    try {
      const before = await headerOf(file);
      let at = own.length;
      if (before !== null && before.every((byte, place) => byte === own[place])) {
        at = await wholeBytes(file, header);
        await file.truncate(at);
      } else {
        await file.truncate(0);
        await writeAll(file, own, 0);
      }
      return new IncomingSnapshot({ disk, path, file, header, headerBytes: own, at });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(parts: {
    readonly disk: Disk;
    readonly path: string;
    readonly file: DiskFile;
    readonly header: SnapshotHeader;
    readonly headerBytes: Uint8Array;
    readonly at: number;
  }) {
    this.disk = parts.disk;
    this.path = parts.path;
    this.file = parts.file;
    this.header = parts.header;
    this.headerBytes = parts.headerBytes;
    this.at = parts.at;
  }

  /** So many bytes of the file are there. */
  get offset(): number {
    return this.at;
  }

  get complete(): boolean {
    return this.at === this.header.fileBytes;
  }

  isOf(headerBytes: Uint8Array): boolean {
    const own = this.headerBytes;
    return headerBytes.length === own.length && headerBytes.every((byte, at) => byte === own[at]);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.file, bytes, this.at);
    this.at += bytes.length;
    this.unsynced += bytes.length;
    if (this.unsynced < syncEveryBytes) return;
    this.unsynced = 0;
    await syncFile(this.file);
  }

  /** All of it is durable and passes its checksums. @throws NoriError SNAPSHOT_DAMAGED; the file is to be dropped then. */
  async finish(): Promise<void> {
    await syncFile(this.file);
    await this.file.close();
    const reader = await SnapshotReader.open(this.disk, this.path);
    try {
      await reader.verify();
    } finally {
      await reader.close();
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
