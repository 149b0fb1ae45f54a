import { close, constants, fdatasync, fstat, ftruncate, open, read, write } from 'node:fs';
import { mkdir, open as openHandle, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Disk, DiskDone, DiskFile } from '../ports/disk.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);
const truncateFile = promisify(ftruncate);
const { O_CREAT, O_RDWR } = constants;

/** The file system of the machine. The hot calls use callbacks: promises cost more than the bookkeeping of a write. */
export class NodeDisk implements Disk {
  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    return new NodeFile(path, await openFile(path, options.create ? O_RDWR | O_CREAT : O_RDWR, 0o600));
  }

  async list(directory: string): Promise<readonly string[]> {
    try {
      return (await readdir(directory)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** Not mkdir's own `recursive`: where nothing can be made, as below /proc, that never returns (Node 20). */
  async makeDirectory(directory: string): Promise<void> {
    try {
      await mkdir(directory, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' && (await stat(directory)).isDirectory()) return;
      const parent = dirname(directory);
      if (code !== 'ENOENT' || parent === directory || (await exists(parent))) throw error;
      await this.makeDirectory(parent);
      await mkdir(directory, { mode: 0o700 });
    }
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to);
  }

  remove(path: string): Promise<void> {
    return unlink(path);
  }

  async syncDirectory(directory: string): Promise<void> {
    const handle = await openHandle(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

class NodeFile implements DiskFile {
  readonly path: string;
  private readonly fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  async sizeBytes(): Promise<number> {
    return (await statFile(this.fd)).size;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const got = await this.readOnce(bytes, at, position + at);
      if (got === 0) break;
      at += got;
    }
    return bytes.subarray(0, at);
  }

  write(bytes: Uint8Array, position: number, done: (error: Error | null, written: number) => void): void {
    write(this.fd, bytes, 0, bytes.length, position, done);
  }

  sync(done: DiskDone): void {
    fdatasync(this.fd, done);
  }

  truncate(sizeBytes: number): Promise<void> {
    return truncateFile(this.fd, sizeBytes);
  }

  close(): Promise<void> {
    return closeFile(this.fd);
  }

  private readOnce(bytes: Uint8Array, at: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.fd, bytes, at, bytes.length - at, position, (error, got) => {
        if (error === null) resolve(got);
        else reject(error);
      });
    });
  }
}
