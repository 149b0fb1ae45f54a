import type { Disk, DiskFile } from '../ports/disk.ts';
import { diskError, type SimDisk } from './disk.ts';

/**
 * What a power cut at this moment would leave of a disk, for a recovery to run on at once. Nothing is ever changed. The
 * worst is assumed: of what was not synced, nothing survives.
 */
export class SnapshotDisk implements Disk {
  private readonly files = new Map<string, Uint8Array>();

  constructor(disk: SimDisk) {
    for (const [path, inode] of disk.tree.durableFiles) this.files.set(path, inode.durable.slice());
  }

  open(path: string): Promise<DiskFile> {
    const bytes = this.files.get(path);
    if (bytes === undefined) return Promise.reject(diskError('ENOENT'));
    return Promise.resolve({
      path,
      sizeBytes: () => Promise.resolve(bytes.length),
      read: (position, length) => Promise.resolve(bytes.slice(position, position + length)),
      write: (written, _position, done) => done(null, written.length),
      sync: (done) => done(null),
      truncate: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
  }

  list(directory: string): Promise<readonly string[]> {
    const prefix = `${directory}/`;
    const names = [...this.files.keys()].filter(
      (path) => path.startsWith(prefix) && !path.includes('/', prefix.length),
    );
    return Promise.resolve(names.map((path) => path.slice(prefix.length)).sort());
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  rename(): Promise<void> {
    return Promise.reject(diskError('EROFS'));
  }

  remove(): Promise<void> {
    return Promise.reject(diskError('EROFS'));
  }

  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }
}
