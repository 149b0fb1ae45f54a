import type { Disk, DiskDone, DiskFile } from '../ports/disk.ts';

/** Files of one process, gone with it: for nodes that are told no data directory. */
export class MemoryDisk implements Disk {
  private readonly files = new Map<string, MemoryFile>();

  open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    let file = this.files.get(path);
    if (file === undefined) {
      if (!options.create) return Promise.reject(missing(path));
      file = new MemoryFile(path);
      this.files.set(path, file);
    }
    return Promise.resolve(file);
  }

  list(directory: string): Promise<readonly string[]> {
    const prefix = `${directory}/`;
    const names = [...this.files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    return Promise.resolve(names.filter((name) => !name.includes('/')).sort());
  }

  /** Every directory is there, but where a file is. */
  makeDirectory(directory: string): Promise<void> {
    if (!this.files.has(directory)) return Promise.resolve();
    return Promise.reject(Object.assign(new Error(`a file is at ${directory}`), { code: 'EEXIST' }));
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.files.get(from);
    if (file === undefined) return Promise.reject(missing(from));
    this.files.delete(from);
    this.files.set(to, file);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.files.delete(path);
    return Promise.resolve();
  }

  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  private bytes = new Uint8Array(0);

  constructor(path: string) {
    this.path = path;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.bytes.length);
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.bytes.slice(position, position + length));
  }

  write(bytes: Uint8Array, position: number, done: (error: Error | null, written: number) => void): void {
    const end = position + bytes.length;
    if (end > this.bytes.length) this.resize(end);
    this.bytes.set(bytes, position);
    queueMicrotask(() => done(null, bytes.length));
  }

  sync(done: DiskDone): void {
    queueMicrotask(() => done(null));
  }

  truncate(sizeBytes: number): Promise<void> {
    this.resize(sizeBytes);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private resize(sizeBytes: number): void {
    const resized = new Uint8Array(sizeBytes);
    resized.set(this.bytes.subarray(0, sizeBytes));
    this.bytes = resized;
  }
}

function missing(path: string): Error {
  return Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
}
