import type { GroupId, Index } from '../core/types.ts';
import type { Disk } from '../ports/disk.ts';
import type { SnapshotHeader } from '../codec/snapshot.ts';
import { SnapshotReader } from './reader.ts';

const digits = 16;
const snapshotName = /^([0-9a-f]{16})-[0-9a-f]{16}\.snap$/;
const takingName = 'taking.tmp';
export const incomingName = 'incoming.part';
const doubtName = 'state-in-doubt';

interface Stored {
  readonly header: SnapshotHeader;
  readonly path: string;
  /** Those who read it. */
  readers: number;
}

/**
 * The snapshots of one group: one that counts, and older ones only as long as somebody reads them. A file gets its
 * name when it is durable, so that at every moment the newest name is a whole snapshot.
 */
export class SnapshotStore {
  readonly directory: string;
  private readonly disk: Disk;
  private stored: Stored[] = [];
  /** Changes of the directory, one after another. */
  private working: Promise<void> = Promise.resolve();

  constructor(disk: Disk, root: string, group: GroupId) {
    this.disk = disk;
    this.directory = `${root}/${group.toString(16).padStart(8, '0')}`;
  }

  get newest(): SnapshotHeader | null {
    return this.stored.at(-1)?.header ?? null;
  }

  get takingPath(): string {
    return `${this.directory}/${takingName}`;
  }

  /** An image from outside, and what the state machine made of it. */
  get spoolPath(): string {
    return `${this.directory}/spool.tmp`;
  }

  get replacingPath(): string {
    return `${this.directory}/replacing.tmp`;
  }

  get incomingPath(): string {
    return `${this.directory}/${incomingName}`;
  }

  /**
   * Takes stock at start: what was never finished goes, but for what is still arriving. Answers with an open reader of
   * the newest snapshot, or null when there is none. @throws NoriError SNAPSHOT_DAMAGED | FORMAT_TOO_NEW.
   */
  async open(): Promise<SnapshotReader | null> {
    const { disk, directory } = this;
    const names = await disk.list(directory);
    for (const name of names) if (name.endsWith('.tmp')) await disk.remove(`${directory}/${name}`);
    const paths = names.filter((name) => snapshotName.test(name)).map((name) => `${directory}/${name}`);
    const newest = paths.pop();
    for (const path of paths) await disk.remove(path);
    if (newest === undefined) return null;
    const reader = await SnapshotReader.open(disk, newest);
    this.stored = [{ header: reader.header, path: newest, readers: 0 }];
    return reader;
  }

  /**
   * From here on, over crashes, what the state machine keeps itself may be of an image that was never taken over: its
   * position says nothing of that.
   */
  async doubtState(): Promise<void> {
    const { disk, directory } = this;
    await (await disk.open(`${directory}/${doubtName}`, { create: true })).close();
    await disk.syncDirectory(directory);
  }

  async stateInDoubt(): Promise<boolean> {
    return (await this.disk.list(this.directory)).includes(doubtName);
  }

  async trustState(): Promise<void> {
    await this.disk.remove(`${this.directory}/${doubtName}`);
    await this.disk.syncDirectory(this.directory);
  }

  /** Makes the directory, before anything is written into it. */
  async prepare(): Promise<void> {
    const { disk, directory } = this;
    const root = directory.slice(0, directory.lastIndexOf('/'));
    await disk.makeDirectory(directory);
    await disk.syncDirectory(root);
    await disk.syncDirectory(root.slice(0, root.lastIndexOf('/')));
  }

  /** Gives a finished, durable file its name and lets go of what is older. False when there is a newer one by now. */
  adopt(path: string, header: SnapshotHeader): Promise<boolean> {
    return this.inTurn(async () => {
      const { disk, directory } = this;
      if (header.point.index < (this.newest?.point.index ?? 0)) {
        await disk.remove(path);
        return false;
      }
      const named = `${directory}/${nameOf(header.point.index, header.point.term)}`;
      await disk.rename(path, named);
      await disk.syncDirectory(directory);
      // One of the same index was damaged: whoever reads it reads on.
      const same = this.stored.find(({ path: known }) => known === named);
      this.stored = this.stored.filter((stored) => stored !== same);
      this.stored.push({ header, path: named, readers: same?.readers ?? 0 });
      await this.sweep();
      return true;
    });
  }

  /** Opens the newest for reading; it stays until `release`. */
  async read(): Promise<SnapshotReader | null> {
    const stored = this.stored.at(-1);
    if (stored === undefined) return null;
    stored.readers += 1;
    try {
      return await SnapshotReader.open(this.disk, stored.path);
    } catch (error) {
      stored.readers -= 1;
      throw error;
    }
  }

  async release(reader: SnapshotReader): Promise<void> {
    await reader.close();
    await this.inTurn(async () => {
      const stored = this.stored.find(({ path }) => path === reader.path);
      if (stored !== undefined) stored.readers -= 1;
      await this.sweep();
      return true;
    });
  }

  /** The group is gone from this node. */
  destroy(): Promise<boolean> {
    return this.inTurn(async () => {
      this.stored = [];
      const names = await this.disk.list(this.directory);
      // It may never have had a directory.
      if (names.length === 0) return true;
      for (const name of names) await this.disk.remove(`${this.directory}/${name}`);
      await this.disk.syncDirectory(this.directory);
      return true;
    });
  }

  private async sweep(): Promise<void> {
    const gone = this.stored.filter(({ readers }, at) => readers === 0 && at < this.stored.length - 1);
    this.stored = this.stored.filter((stored) => !gone.includes(stored));
    for (const { path } of gone) await this.disk.remove(path);
  }

  private inTurn(act: () => Promise<boolean>): Promise<boolean> {
    const done = this.working.then(act);
    this.working = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}

function nameOf(index: Index, term: number): string {
  return `${index.toString(16).padStart(digits, '0')}-${term.toString(16).padStart(digits, '0')}.snap`;
}
