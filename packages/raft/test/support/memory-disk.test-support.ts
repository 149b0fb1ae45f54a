import type { Prng } from '../../src/base/prng.ts';
import type { Disk, DiskDone, DiskFile } from '../../src/ports/disk.ts';

const sector = 512;

class Inode {
  current: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  readonly dirty = new Set<number>();

  resize(size: number): void {
    if (size === this.current.length) return;
    const wider = new Uint8Array(size);
    wider.set(this.current.subarray(0, Math.min(size, this.current.length)));
    this.current = wider;
  }

  write(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.current.length) this.resize(position + bytes.length);
    this.current.set(bytes, position);
    const last = Math.floor((position + bytes.length - 1) / sector);
    for (let at = Math.floor(position / sector); at <= last; at += 1) this.dirty.add(at);
  }

  sync(): void {
    if (this.durable.length !== this.current.length) {
      const wider = new Uint8Array(this.current.length);
      wider.set(this.durable.subarray(0, wider.length));
      this.durable = wider;
    }
    for (const at of this.dirty) this.keep(at);
    this.dirty.clear();
  }

  /** A sector reaches the platter. */
  keep(at: number): void {
    const end = Math.min((at + 1) * sector, this.current.length);
    if (end > this.durable.length) {
      const wider = new Uint8Array(end);
      wider.set(this.durable);
      this.durable = wider;
    }
    if (at * sector < end) this.durable.set(this.current.subarray(at * sector, end), at * sector);
  }
}

export type Operation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'list'
  | 'makeDirectory'
  | 'syncDirectory';

/** What a test makes of an operation: let it pass, fail it, cut it short, hang it or end the process there. */
export type Verdict = 'pass' | 'crash' | 'hang' | { readonly error: string } | { readonly short: number };

type Directory = Map<string, Inode>;

/** A disk in memory with the freedoms of a real one: what is not synced may be lost, in part and out of order. */
export class MemoryDisk {
  judge: (operation: Operation, path: string, at: number) => Verdict = () => 'pass';
  /** How many bytes files may hold together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  operations = 0;
  writes = 0;
  syncs = 0;
  private names: Directory = new Map();
  /** Every state of the names since the last directory sync; the first is durable. */
  private history: Directory[] = [new Map()];
  private life = 0;
  private onCrash: (() => void) | null = null;

  /** Resolves when a verdict ended the process. */
  readonly crashed = (): Promise<void> =>
    new Promise((resolve) => {
      this.onCrash = resolve;
    });

  /** The process dies; what it wrote stays in the page cache. */
  kill(): void {
    this.life += 1;
  }

  /** Power is cut: each sector and each change of a name since the last sync survives or not. */
  powerCut(prng: Prng): void {
    this.kill();
    this.names = new Map(this.history[prng.between(0, this.history.length - 1)]);
    this.history = [new Map(this.names)];
    const all = prng.between(0, 3);
    for (const inode of new Set(this.names.values())) {
      for (const at of inode.dirty) if (all === 1 || (all !== 0 && prng.between(0, 1) === 1)) inode.keep(at);
      inode.dirty.clear();
      inode.current = inode.durable.slice();
    }
  }

  paths(): string[] {
    return [...this.names.keys()].sort();
  }

  /** The bytes of a file, to be looked at or damaged in place. */
  bytesOf(path: string): Uint8Array {
    const inode = this.names.get(path);
    if (inode === undefined) throw new Error(`no file ${path}`);
    return inode.current;
  }

  setBytes(path: string, bytes: Uint8Array): void {
    const inode = this.names.get(path) ?? new Inode();
    inode.current = bytes.slice();
    inode.durable = bytes.slice();
    this.change((names) => names.set(path, inode));
    this.history = [new Map(this.names)];
  }

  drop(path: string): void {
    this.change((names) => names.delete(path));
    this.history = [new Map(this.names)];
  }

  /** An independent copy of what a reader would see. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [path, inode] of this.names) copy.setBytes(path, inode.current);
    return copy;
  }

  /** The disk as a process sees it that starts now. After a kill or a power cut nothing it asks for happens any more. */
  boot(): Disk {
    return new MemoryProcess(this, this.life);
  }

  inode(path: string): Inode | undefined {
    return this.names.get(path);
  }

  change(edit: (names: Directory) => void): void {
    edit(this.names);
    this.history.push(new Map(this.names));
  }

  syncNames(): void {
    this.history = [new Map(this.names)];
  }

  /** Lets the operation begin, or does what its verdict says. Resolves a microtask later, as no disk answers at once. */
  async enter(operation: Operation, path: string, life: number): Promise<{ readonly short: number | null }> {
    if (life !== this.life) return never();
    this.operations += 1;
    const verdict = this.judge(operation, path, this.operations);
    await Promise.resolve();
    if (verdict === 'crash' && life === this.life) {
      this.kill();
      this.onCrash?.();
    }
    if (verdict === 'hang' || life !== this.life) return never();
    if (typeof verdict === 'object' && 'error' in verdict) throw failure(verdict.error);
    return { short: typeof verdict === 'object' && 'short' in verdict ? verdict.short : null };
  }

  roomFor(inode: Inode, end: number): number {
    let used = 0;
    for (const other of new Set(this.names.values())) if (other !== inode) used += other.current.length;
    return Math.min(end, Math.max(inode.current.length, this.capacityBytes - used));
  }
}

class MemoryProcess implements Disk {
  private readonly disk: MemoryDisk;
  private readonly life: number;

  constructor(disk: MemoryDisk, life: number) {
    this.disk = disk;
    this.life = life;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    await this.enter('open', path);
    let inode = this.disk.inode(path);
    if (inode === undefined) {
      if (!options.create) throw failure('ENOENT');
      const created = new Inode();
      inode = created;
      this.disk.change((names) => names.set(path, created));
    }
    return new MemoryFile(this.disk, this.life, path, inode);
  }

  async list(directory: string): Promise<readonly string[]> {
    await this.enter('list', directory);
    const names = this.disk.paths().filter((path) => path.startsWith(`${directory}/`));
    return names.map((path) => path.slice(directory.length + 1)).filter((name) => !name.includes('/'));
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.enter('makeDirectory', directory);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.enter('rename', to);
    const inode = this.disk.inode(from);
    if (inode === undefined) throw failure('ENOENT');
    this.disk.change((names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    await this.enter('remove', path);
    this.disk.change((names) => names.delete(path));
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.enter('syncDirectory', directory);
    this.disk.syncNames();
  }

  private async enter(operation: Operation, path: string): Promise<void> {
    await this.disk.enter(operation, path, this.life);
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  private readonly disk: MemoryDisk;
  private readonly life: number;
  private readonly inode: Inode;

  constructor(disk: MemoryDisk, life: number, path: string, inode: Inode) {
    this.disk = disk;
    this.life = life;
    this.path = path;
    this.inode = inode;
  }

  async sizeBytes(): Promise<number> {
    return this.inode.current.length;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    await this.disk.enter('read', this.path, this.life);
    return this.inode.current.slice(position, position + length);
  }

  write(bytes: Uint8Array, position: number, done: (error: Error | null, written: number) => void): void {
    this.disk.writes += 1;
    void this.answer(done, async () => {
      const { short } = await this.disk.enter('write', this.path, this.life);
      const wanted = short === null ? bytes.length : Math.min(short, bytes.length);
      const written = Math.max(0, this.disk.roomFor(this.inode, position + wanted) - position);
      if (written === 0 && wanted > 0) throw failure('ENOSPC');
      if (written > 0) this.inode.write(bytes.subarray(0, written), position);
      return written;
    });
  }

  sync(done: DiskDone): void {
    this.disk.syncs += 1;
    void this.answer(done, async () => {
      await this.disk.enter('sync', this.path, this.life);
      this.inode.sync();
      return 0;
    });
  }

  private async answer(
    done: (error: Error | null, written: number) => void,
    operation: () => Promise<number>,
  ): Promise<void> {
    let written = 0;
    try {
      written = await operation();
    } catch (error) {
      done(error as Error, 0);
      return;
    }
    done(null, written);
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.disk.enter('truncate', this.path, this.life);
    this.inode.resize(sizeBytes);
  }

  async close(): Promise<void> {}
}

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

function never(): Promise<never> {
  return new Promise<never>(() => {});
}
