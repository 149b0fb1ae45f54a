import type { Prng } from '../base/prng.ts';
import type { Disk, DiskDone, DiskFile } from '../ports/disk.ts';
import { DirectoryTree } from './directory-tree.ts';
import { Lies } from './disk-lies.ts';
import type { Inode } from './inode.ts';
import type { Life } from './life.ts';
import { chance, pick, skewed, spread } from './random.ts';
import { Kind, type Timeline } from './timeline.ts';

export const Operation = {
  open: 1,
  list: 2,
  size: 3,
  read: 4,
  write: 5,
  sync: 6,
  truncate: 7,
  close: 8,
  makeDirectory: 9,
  rename: 10,
  remove: 11,
  syncDirectory: 12,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];
const operationNames = Object.keys(Operation);

/** Longer than a disk that is well ever takes, and long enough for an election. */
const slowSyncMs = 400;

/** How a disk behaves for now. Rates are per operation. */
export interface DiskWeather {
  syncMsMin: number;
  syncMsMax: number;
  readErrorRate: number;
  writeErrorRate: number;
  syncErrorRate: number;
  nameErrorRate: number;
  shortWriteRate: number;
  /** What all files may take together. */
  capacityBytes: number;
  /** Every sync that is asked for does not answer before this moment. */
  syncHeldUntilMs: number;
}

export function calmDisk(): DiskWeather {
  return {
    syncMsMin: 0.1,
    syncMsMax: 0.8,
    readErrorRate: 0,
    writeErrorRate: 0,
    syncErrorRate: 0,
    nameErrorRate: 0,
    shortWriteRate: 0,
    capacityBytes: Number.POSITIVE_INFINITY,
    syncHeldUntilMs: 0,
  };
}

interface Write {
  readonly inode: Inode;
  /** A promise hangs on it. */
  readonly awaited: boolean;
  readonly bytes: Uint8Array;
  readonly position: number;
}

/** One machine's disk. It outlives processes; what it forgets at a power cut is what a real one may. */
export class SimDisk {
  weather: DiskWeather = calmDisk();
  /** Errors and short writes it has answered with, since the machine last started. */
  faultsSinceBoot = 0;
  readonly tree: DirectoryTree = new DirectoryTree();
  readonly lies: Lies;
  readonly prng: Prng;
  readonly timeline: Timeline;
  /** Told of every fault that hit an operation. */
  readonly onFault: (what: string) => void;
  /** Called before a file gets another name or none: the last moment to read what it held under this one. */
  beforeNamesChange: () => void = () => undefined;
  /** Under way. */
  private readonly writes = new Set<Write>();
  private readonly syncs = new Set<{ readonly inode: Inode; readonly sectors: readonly number[] }>();

  constructor(timeline: Timeline, prng: Prng, onFault: (what: string) => void) {
    this.timeline = timeline;
    this.prng = prng;
    this.onFault = onFault;
    this.lies = new Lies(prng, onFault);
    this.format();
  }

  /** Something was written, or is being written, and is not durable. */
  get writing(): boolean {
    return this.writes.size > 0 || this.syncs.size > 0;
  }

  /** Bytes of the largest durable file with such a name, 0 when there is none. */
  largest(suffix: string): number {
    return this.tree.durableFiles.reduce(
      (most, [path, inode]) => (path.endsWith(suffix) ? Math.max(most, inode.durable.length) : most),
      0,
    );
  }

  /** The Disk port of one life. */
  boot(life: Life): Disk {
    this.faultsSinceBoot = 0;
    return new DiskOfLife(this, life);
  }

  /** The process died: each call under way had its effect, a part of it, or none. What was written stays cached. True when a write was cut short. */
  processDied(): boolean {
    this.lies.ended();
    let cutShort = false;
    for (const { inode, bytes, position } of this.writes) {
      const part = pick(this.prng, [0, this.prng.between(0, bytes.length), bytes.length]);
      if (part > 0) inode.write(bytes.subarray(0, part), position);
      cutShort ||= part > 0 && part < bytes.length;
    }
    for (const { inode, sectors } of this.syncs) if (chance(this.prng, 0.5)) inode.keep(sectors);
    this.writes.clear();
    this.syncs.clear();
    return cutShort;
  }

  /** Power is gone: what was not synced survives in part. True when that tore a file. */
  powerCut(): boolean {
    let torn = this.processDied();
    const survival = pick(this.prng, [0, 0.5, 0.9, 1]);
    const inodes = new Set<Inode>();
    for (const path of this.tree.paths) inodes.add(this.tree.inode(path) as Inode);
    for (const [, inode] of this.tree.durableFiles) inodes.add(inode);
    for (const inode of inodes) torn = inode.powerCut(this.prng, survival) || torn;
    this.tree.powerCut(this.prng);
    return torn;
  }

  /** Flips one stored bit; null when there is nothing to flip. */
  flipBit(
    prng: Prng,
    wanted: (path: string) => boolean = () => true,
  ): { readonly path: string; readonly bit: number } | null {
    const paths = this.tree.paths.filter((path) => wanted(path) && (this.tree.inode(path)?.durable.length ?? 0) > 0);
    if (paths.length === 0) return null;
    const path = pick(prng, paths);
    const inode = this.tree.inode(path) as Inode;
    // Most of a segment is zeros that nobody reads: aim at its used part.
    let used = inode.durable.length;
    while (used > 0 && inode.durable[used - 1] === 0) used -= 1;
    const bit = prng.between(0, Math.max(1, used) * 8 - 1);
    inode.flip(bit);
    return { path, bit };
  }

  /** A sector of the log is zeros, though later ones were written; null when there is none to spoil. */
  zeroSector(prng: Prng): { readonly path: string; readonly sector: number } | null {
    const paths = this.tree.paths.filter((path) => !isAwaited(path) && this.tree.inode(path)?.filledSectors.length);
    if (paths.length === 0) return null;
    const path = pick(prng, paths);
    const inode = this.tree.inode(path) as Inode;
    const sector = pick(prng, inode.filledSectors);
    inode.zero(sector);
    return { path, sector };
  }

  /** An empty volume. */
  format(): void {
    this.tree.clear();
    this.tree.makeDirectory('disk');
    this.tree.sync(this.tree.unsynced(''));
  }

  begin(operation: Operation, path: string, life: Life): void {
    this.timeline.record(Kind.disk, life.machine.place, operation);
    if (operation !== Operation.write && operation !== Operation.sync) this.timeline.hash.text(path);
    this.timeline.tell(life.machine.id, `disk ${operationNames[operation - 1] ?? ''}`, { path });
  }

  /** The error an operation ends with, or null. */
  errorOf(operation: Operation): Error | null {
    const { weather } = this;
    const rate =
      operation === Operation.read
        ? weather.readErrorRate
        : operation === Operation.write
          ? weather.writeErrorRate
          : operation === Operation.sync
            ? weather.syncErrorRate
            : weather.nameErrorRate;
    if (!chance(this.prng, rate)) return null;
    this.fault(`${operationNames[operation - 1] ?? ''} failed`);
    return diskError('EIO');
  }

  fault(what: string): void {
    this.faultsSinceBoot += 1;
    this.onFault(what);
  }

  write(life: Life, write: Write, done: (error: Error | null, written: number) => void): void {
    const { timeline, prng, weather } = this;
    timeline.hash.number(write.position);
    timeline.hash.bytes(write.bytes);
    this.writes.add(write);
    timeline.after(spread(prng, 0.01, 0.06), life, () => {
      this.writes.delete(write);
      const error = this.errorOf(Operation.write);
      let wanted = write.bytes.length;
      if (error !== null) wanted = prng.between(0, wanted);
      else if (wanted > 1 && chance(prng, weather.shortWriteRate)) {
        wanted = prng.between(1, wanted - 1);
        this.fault('short write');
      }
      const written = this.roomFor(write, wanted);
      if (written > 0) this.put(write, write.bytes.subarray(0, written));
      if (write.awaited) timeline.promisesTouched = true;
      if (error !== null) done(error, 0);
      else if (written === 0 && wanted > 0) done(diskError('ENOSPC'), 0);
      else done(null, written);
    });
  }

  sync(life: Life, inode: Inode, awaited: boolean, done: DiskDone): void {
    const { timeline, prng, weather } = this;
    const sync = { inode, sectors: inode.snapshotDirty() };
    const { writtenAt } = inode;
    const followed = !awaited && this.lies.told?.followed === true;
    this.syncs.add(sync);
    const takesMs = skewed(prng, weather.syncMsMin, weather.syncMsMax);
    if (takesMs > slowSyncMs) this.onFault('sync of more than 400 ms');
    if (weather.syncHeldUntilMs > timeline.nowMs) this.onFault('sync that hung');
    timeline.at(Math.max(timeline.nowMs + takesMs, weather.syncHeldUntilMs), life, () => {
      this.syncs.delete(sync);
      const error = this.errorOf(Operation.sync);
      if (error === null) {
        inode.keep(sync.sectors);
        inode.vouchedTo = writtenAt;
        this.lies.synced(followed);
      } else inode.forget(sync.sectors, prng);
      if (awaited) timeline.promisesTouched = true;
      done(error);
    });
  }

  private put({ inode, position, awaited }: Write, bytes: Uint8Array): void {
    if (!awaited && this.lies.write(inode, bytes, position)) return;
    inode.write(bytes, position);
  }

  /** How much of a write the volume takes. */
  private roomFor({ inode, position }: Write, wanted: number): number {
    const { capacityBytes } = this.weather;
    const grows = position + wanted - inode.current.length;
    if (capacityBytes === Number.POSITIVE_INFINITY || grows <= 0) return wanted;
    const free = Math.max(0, capacityBytes - this.tree.bytes);
    if (grows <= free) return wanted;
    this.fault('disk full');
    return Math.max(0, wanted - (grows - free));
  }
}

/** The log's own writes call back; no promise hangs on them once a host is up. All others are awaited by somebody. */
function isAwaited(path: string): boolean {
  return !/\/[0-9a-f]{16}\.wal$/.test(path);
}

class DiskOfLife implements Disk {
  private readonly disk: SimDisk;
  private readonly life: Life;

  constructor(disk: SimDisk, life: Life) {
    this.disk = disk;
    this.life = life;
  }

  open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    return this.later(Operation.open, path, () => {
      const { tree, weather } = this.disk;
      let inode = tree.inode(path);
      if (inode === undefined) {
        if (!options.create) throw diskError('ENOENT');
        if (tree.bytes >= weather.capacityBytes) {
          this.disk.fault('disk full');
          throw diskError('ENOSPC');
        }
        inode = tree.create(path);
      }
      return new FileOfLife(this, this.disk, this.life, path, inode);
    });
  }

  list(directory: string): Promise<readonly string[]> {
    return this.later(Operation.list, directory, () => this.disk.tree.list(directory));
  }

  makeDirectory(directory: string): Promise<void> {
    return this.later(Operation.makeDirectory, directory, () => this.disk.tree.makeDirectory(directory));
  }

  rename(from: string, to: string): Promise<void> {
    return this.later(Operation.rename, to, () => {
      this.disk.beforeNamesChange();
      if (!this.disk.tree.rename(from, to)) throw diskError('ENOENT');
    });
  }

  remove(path: string): Promise<void> {
    return this.later(Operation.remove, path, () => {
      this.disk.beforeNamesChange();
      if (!this.disk.tree.remove(path)) throw diskError('ENOENT');
    });
  }

  syncDirectory(directory: string): Promise<void> {
    const changes = this.disk.tree.unsynced(directory);
    return this.later(Operation.syncDirectory, directory, () => this.disk.tree.sync(changes));
  }

  /** The effect comes later, or, if the process dies first, not at all. */
  later<T>(operation: Operation, path: string, effect: () => T): Promise<T> {
    const { disk, life } = this;
    const { timeline, prng } = disk;
    timeline.promisesTouched = true;
    if (life.over) return new Promise<never>(() => undefined);
    disk.begin(operation, path, life);
    return new Promise<T>((resolve, reject) => {
      timeline.after(skewed(prng, 0.01, 0.3), life, () => {
        timeline.promisesTouched = true;
        const error = disk.errorOf(operation);
        if (error !== null) {
          reject(error);
          return;
        }
        try {
          resolve(effect());
        } catch (cause) {
          reject(cause as Error);
        }
      });
    });
  }
}

class FileOfLife implements DiskFile {
  readonly path: string;
  private readonly names: DiskOfLife;
  private readonly disk: SimDisk;
  private readonly life: Life;
  private readonly inode: Inode;
  private readonly awaited: boolean;

  constructor(names: DiskOfLife, disk: SimDisk, life: Life, path: string, inode: Inode) {
    this.names = names;
    this.disk = disk;
    this.life = life;
    this.path = path;
    this.inode = inode;
    this.awaited = isAwaited(path);
  }

  sizeBytes(): Promise<number> {
    return this.names.later(Operation.size, this.path, () => this.inode.current.length);
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return this.names.later(Operation.read, this.path, () => this.inode.current.slice(position, position + length));
  }

  write(bytes: Uint8Array, position: number, done: (error: Error | null, written: number) => void): void {
    if (this.life.over) return;
    this.disk.begin(Operation.write, this.path, this.life);
    this.disk.write(this.life, { inode: this.inode, awaited: this.awaited, bytes, position }, done);
  }

  sync(done: DiskDone): void {
    if (this.life.over) return;
    this.disk.begin(Operation.sync, this.path, this.life);
    this.disk.sync(this.life, this.inode, this.awaited, done);
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.names.later(Operation.truncate, this.path, () => this.inode.resize(sizeBytes));
  }

  close(): Promise<void> {
    return this.names.later(Operation.close, this.path, () => undefined);
  }
}

export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
