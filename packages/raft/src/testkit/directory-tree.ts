import type { Prng } from '../base/prng.ts';
import { Inode } from './inode.ts';

type Change =
  | { readonly kind: 'link'; readonly directory: string; readonly path: string; readonly inode: Inode | null }
  | { readonly kind: 'unlink'; readonly directory: string; readonly path: string }
  | {
      readonly kind: 'rename';
      readonly directory: string;
      readonly from: string;
      readonly path: string;
      readonly inode: Inode;
    };

/** Names of files and directories. A change of a name is durable only once its directory was synced. */
export class DirectoryTree {
  /** Null is a directory. */
  private names = new Map<string, Inode | null>();
  private durable = new Map<string, Inode | null>();
  /** Not yet durable, oldest first. */
  private pending: Change[] = [];

  inode(path: string): Inode | undefined {
    return this.names.get(path) ?? undefined;
  }

  get paths(): string[] {
    return [...this.names].flatMap(([path, inode]) => (inode === null ? [] : [path])).sort();
  }

  get bytes(): number {
    let total = 0;
    for (const inode of this.names.values()) total += inode?.current.length ?? 0;
    return total;
  }

  list(directory: string): string[] {
    const prefix = `${directory}/`;
    const names: string[] = [];
    for (const [path, inode] of this.names) {
      if (inode !== null && path.startsWith(prefix) && !path.includes('/', prefix.length)) {
        names.push(path.slice(prefix.length));
      }
    }
    return names.sort();
  }

  create(path: string): Inode {
    const inode = new Inode();
    this.change({ kind: 'link', directory: parentOf(path), path, inode });
    return inode;
  }

  makeDirectory(path: string): void {
    if (path === '' || this.names.has(path)) return;
    this.makeDirectory(parentOf(path));
    this.change({ kind: 'link', directory: parentOf(path), path, inode: null });
  }

  rename(from: string, to: string): boolean {
    const inode = this.inode(from);
    if (inode === undefined) return false;
    this.change({ kind: 'rename', directory: parentOf(to), from, path: to, inode });
    return true;
  }

  remove(path: string): boolean {
    if (this.inode(path) === undefined) return false;
    this.change({ kind: 'unlink', directory: parentOf(path), path });
    return true;
  }

  /** The changes a sync that begins now makes durable. */
  unsynced(directory: string): ReadonlySet<unknown> {
    return new Set(this.pending.filter((change) => change.directory === directory));
  }

  sync(changes: ReadonlySet<unknown>): void {
    for (const change of this.pending) if (changes.has(change)) apply(this.durable, change);
    this.pending = this.pending.filter((change) => !changes.has(change));
  }

  /** Of each directory's changes the first few survive, as a journal would have it, or none. */
  powerCut(prng: Prng): void {
    const kept = new Map<string, number>();
    for (const { directory } of this.pending) kept.set(directory, (kept.get(directory) ?? 0) + 1);
    for (const [directory, count] of kept) kept.set(directory, prng.between(0, count));
    for (const change of this.pending) {
      const left = kept.get(change.directory) as number;
      if (left === 0) continue;
      kept.set(change.directory, left - 1);
      apply(this.durable, change);
    }
    this.pending = [];
    this.dropOrphans();
    this.names = new Map(this.durable);
  }

  /** What is in a directory whose own name was lost is lost too. */
  private dropOrphans(): void {
    for (const path of [...this.durable.keys()].sort()) {
      const parent = parentOf(path);
      if (parent !== '' && !this.durable.has(parent)) this.durable.delete(path);
    }
  }

  clear(): void {
    this.names.clear();
    this.durable.clear();
    this.pending = [];
  }

  /** Paths and inodes as a power cut would leave them at worst: only what was synced. */
  get durableFiles(): readonly (readonly [string, Inode])[] {
    const files: [string, Inode][] = [];
    for (const [path, inode] of this.durable) if (inode !== null) files.push([path, inode]);
    return files;
  }

  /** The file a power cut would leave under this path, at worst. */
  durableInode(path: string): Inode | undefined {
    return this.durable.get(path) ?? undefined;
  }

  private change(change: Change): void {
    apply(this.names, change);
    this.pending.push(change);
  }
}

function apply(names: Map<string, Inode | null>, change: Change): void {
  switch (change.kind) {
    case 'link':
      names.set(change.path, change.inode);
      return;
    case 'unlink':
      names.delete(change.path);
      return;
    case 'rename':
      if (names.get(change.from) === change.inode) names.delete(change.from);
      names.set(change.path, change.inode);
      return;
    default:
      throw new TypeError('unreachable');
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
