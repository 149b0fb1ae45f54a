import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import { utf8 } from '../base/text.ts';
import { lineageBytes, nonceBytes, type PeerIdentity } from '../codec/handshake.ts';
import { decodeIdentity, type DirectoryIdentity, encodeIdentity } from '../codec/identity.ts';
import type { NodeId } from '../core/types.ts';
import type { Disk, DirectoryLock, HeldDirectory } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { syncOf, writeOf } from './disk-promises.ts';
import { codeOf, damaged, diskFailed, isNoSpace, isSegmentName } from './segment.ts';

const identityName = 'identity';
const freshName = 'identity.new';
const refusedName = 'refused';

export interface DataDirectoryOptions {
  readonly disk: Disk;
  readonly lock: DirectoryLock;
  readonly random: Random;
  readonly directory: string;
  readonly nodeId: NodeId;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** Whether an empty directory founds a node. Changes nothing in one that is not empty. */
  readonly bootstrap: boolean;
}

export type PeerVerdict = 'accept' | 'record' | 'DISK_REPLACED' | 'STALE_INCARNATION';

/**
 * Whether a peer may be the one that is known under its name. Another disk has forgotten its votes, an earlier life of
 * the same disk some of them, and two lives with one counter are copies of one disk.
 */
export function judgePeer(known: PeerIdentity | undefined, claimed: PeerIdentity): PeerVerdict {
  if (known === undefined) return 'record';
  if (!same(known.diskId, claimed.diskId)) return 'DISK_REPLACED';
  const before = known.incarnation;
  const now = claimed.incarnation;
  if (now.counter < before.counter) return 'STALE_INCARNATION';
  if (now.counter > before.counter) return 'record';
  return same(now.nonce, before.nonce) ? 'accept' : 'STALE_INCARNATION';
}

/** A node's directory: locked to this process, and the durable memory of who the node is and whom it met. */
export class DataDirectory {
  private identity: DirectoryIdentity;
  private readonly disk: Disk;
  private readonly path: string;
  private readonly held: HeldDirectory;
  /** Changes are written one after another. */
  private writing: Promise<void> = Promise.resolve();

  /**
   * Locks the directory, then begins a new life in it: when this resolves, its incarnation is durable and higher than
   * any before. @throws NoriError DATA_DIR_LOCKED | DATA_DIR_UNUSABLE | DATA_DIR_EMPTY | DATA_DIR_FOREIGN |
   * STALE_INCARNATION | FORMAT_TOO_NEW | WAL_DAMAGED | DISK_FULL | DISK_FAILED
   */
  static async open(options: DataDirectoryOptions): Promise<DataDirectory> {
    const { disk, directory, lock } = options;
    try {
      await disk.makeDirectory(directory);
    } catch (error) {
      throw unusable(directory, error);
    }
    const held = await lock.acquire(directory);
    try {
      await assertNotCondemned(disk, directory);
      const known = await readIdentity(disk, directory);
      const identity = known === null ? await found(options, held) : await again(options, known, held);
      const opened = new DataDirectory(options, held, identity);
      await opened.write(identity);
      // The name of the directory itself must outlive a power cut, like those in it.
      if (known === null) await syncParent(disk, directory);
      return opened;
    } catch (error) {
      await held.release();
      throw explain(directory, error);
    }
  }

  private constructor(options: DataDirectoryOptions, held: HeldDirectory, identity: DirectoryIdentity) {
    this.disk = options.disk;
    this.path = options.directory;
    this.held = held;
    this.identity = identity;
  }

  get clusterId(): Uint8Array {
    return this.identity.clusterId;
  }

  get nodeId(): NodeId {
    return this.identity.nodeId;
  }

  get diskId(): Uint8Array {
    return this.identity.diskId;
  }

  get incarnation(): DirectoryIdentity['incarnation'] {
    return this.identity.incarnation;
  }

  /** The lives of this directory from this counter on, before the present one, are dead for certain. */
  get deadSince(): number {
    return this.identity.deadSince;
  }

  /** Whether a new cluster has met every founding member once. */
  get founded(): boolean {
    return this.identity.founded;
  }

  /** Every peer ever recorded. */
  get peers(): ReadonlyMap<NodeId, PeerIdentity> {
    return this.identity.peers;
  }

  /** Resolves when the peer is written down for good; rejects when it may not be. */
  recordPeer(peer: NodeId, known: PeerIdentity): Promise<void> {
    return this.change((identity) => ({ ...identity, peers: new Map(identity.peers).set(peer, known) }));
  }

  /** The peer is a member no more: should it ever come back, it may be with another disk. */
  forgetPeer(peer: NodeId): Promise<void> {
    return this.change((identity) => {
      const peers = new Map(identity.peers);
      peers.delete(peer);
      return { ...identity, peers };
    });
  }

  markFounded(): Promise<void> {
    return this.change((identity) => ({ ...identity, founded: true }));
  }

  /**
   * Marks the directory as an old copy: no life begins in it any more. Every start raises the counter, so without the
   * mark a copy that is started again and again would pass for the newest at last.
   */
  async condemn(why: string): Promise<void> {
    try {
      const file = await this.disk.open(`${this.path}/${refusedName}`, { create: true });
      try {
        await writeOf(file, utf8(`${why}\n`), 0);
        await syncOf(file);
      } finally {
        await file.close();
      }
      await this.disk.syncDirectory(this.path);
    } catch (error) {
      throw explain(this.path, error);
    }
  }

  /** Lets go of the lock once what is being written is. */
  async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.held.release();
  }

  /**
   * From the next start on the node belongs to another cluster, which is founded, and has met only those of its peers
   * that go there with it.
   */
  moveTo(clusterId: Uint8Array, others: ReadonlySet<NodeId>): Promise<void> {
    return this.change((identity) => {
      const peers = new Map([...identity.peers].filter(([peer]) => others.has(peer)));
      return { ...identity, clusterId, founded: true, peers };
    });
  }

  private change(edit: (identity: DirectoryIdentity) => DirectoryIdentity): Promise<void> {
    const changed = this.writing.then(async () => {
      const identity = edit(this.identity);
      await this.write(identity);
      this.identity = identity;
    });
    this.writing = changed.catch(() => undefined);
    return changed.catch((error: unknown) => {
      throw explain(this.path, error);
    });
  }

  /** A new file takes the place of the old one: at every moment one of them is whole. */
  private async write(identity: DirectoryIdentity): Promise<void> {
    const { disk, path } = this;
    const fresh = `${path}/${freshName}`;
    const bytes = encodeIdentity(identity);
    const file = await disk.open(fresh, { create: true });
    try {
      await file.truncate(0);
      const written = await writeOf(file, bytes, 0);
      if (written !== bytes.length) throw Object.assign(new Error('the volume is full'), { code: 'ENOSPC' });
      await syncOf(file);
    } finally {
      await file.close();
    }
    await disk.rename(fresh, `${path}/${identityName}`);
    await disk.syncDirectory(path);
  }
}

/**
 * Locks a directory that is not in use, and says whose it is; no life begins in it.
 *
 * @throws NoriError DATA_DIR_LOCKED | DATA_DIR_UNUSABLE | DATA_DIR_EMPTY | STALE_INCARNATION | FORMAT_TOO_NEW |
 *   WAL_DAMAGED | DISK_FAILED
 */
export async function withIdleDirectory<T>(
  { disk, lock, directory }: Pick<DataDirectoryOptions, 'disk' | 'lock' | 'directory'>,
  use: (identity: DirectoryIdentity) => Promise<T>,
): Promise<T> {
  // Before it is locked: what is no data directory is left as it is.
  if (!(await disk.list(directory)).includes(identityName)) {
    const message = `${directory} is no data directory of a node`;
    throw new NoriError('DATA_DIR_EMPTY', { message, remedy: 'name the directory of a node, as its --data-dir does' });
  }
  const held = await lock.acquire(directory);
  try {
    await assertNotCondemned(disk, directory);
    const identity = await readIdentity(disk, directory);
    assert(identity !== null, 'the identity file stays');
    return await use(identity);
  } catch (error) {
    throw explain(directory, error);
  } finally {
    await held.release();
  }
}

/** Where the log of a data directory is. */
export function walDirectory(directory: string): string {
  return `${directory}/wal`;
}

/** The name alone is the mark: its words may have met a full volume. */
async function assertNotCondemned(disk: Disk, directory: string): Promise<void> {
  if (!(await disk.list(directory)).includes(refusedName)) return;
  throw new NoriError('STALE_INCARNATION', {
    message: `${directory} was refused as an old copy, as the file ${directory}/${refusedName} says`,
  });
}

async function readIdentity(disk: Disk, directory: string): Promise<DirectoryIdentity | null> {
  if (!(await disk.list(directory)).includes(identityName)) return null;
  const path = `${directory}/${identityName}`;
  const file = await disk.open(path, { create: false });
  try {
    return decodeIdentity(await file.read(0, await file.sizeBytes()));
  } catch (error) {
    if (error instanceof NoriError && error.code === 'WIRE_MALFORMED') throw damaged(path, 0, error.message, error);
    throw error;
  } finally {
    await file.close();
  }
}

async function found(options: DataDirectoryOptions, held: HeldDirectory): Promise<DirectoryIdentity> {
  const { directory, random } = options;
  if (await hasLog(options)) {
    throw damaged(`${directory}/${identityName}`, 0, 'the identity file is missing beside a log');
  }
  if (!options.bootstrap) {
    throw new NoriError('DATA_DIR_EMPTY', { message: `the data directory ${directory} is empty` });
  }
  return {
    clusterId: options.clusterId,
    nodeId: options.nodeId,
    diskId: random.bytes(16),
    incarnation: { counter: 1, nonce: random.bytes(nonceBytes) },
    bootId: held.bootId ?? '',
    deadSince: 1,
    founded: false,
    peers: new Map(),
  };
}

async function again(
  options: DataDirectoryOptions,
  known: DirectoryIdentity,
  held: HeldDirectory,
): Promise<DirectoryIdentity> {
  const { directory, nodeId, clusterId, random } = options;
  if (known.nodeId !== nodeId) {
    throw new NoriError('DATA_DIR_FOREIGN', { message: `${directory} belongs to node ${known.nodeId}, not ${nodeId}` });
  }
  if (!same(known.clusterId, clusterId)) {
    throw new NoriError('DATA_DIR_FOREIGN', { message: `${directory} belongs to another cluster` });
  }
  // A node that may have voted and has lost its log is a wiped one, whatever its identity says.
  if (known.founded && !(await hasLog(options))) {
    throw damaged(walDirectory(directory), 0, 'the log is missing beside its identity');
  }
  const counter = known.incarnation.counter + 1;
  const bootId = held.bootId ?? '';
  // The lock proves that an earlier life is dead only if the kernel that gave it is the one that life ran under.
  const proven = bootId !== '' && bootId === known.bootId;
  const nonce = random.bytes(nonceBytes);
  if (proven) nonce.set(known.incarnation.nonce.subarray(0, lineageBytes));
  return { ...known, incarnation: { counter, nonce }, bootId, deadSince: proven ? known.deadSince : counter };
}

async function hasLog(options: DataDirectoryOptions): Promise<boolean> {
  return (await options.disk.list(walDirectory(options.directory))).some(isSegmentName);
}

async function syncParent(disk: Disk, directory: string): Promise<void> {
  const slash = directory.lastIndexOf('/');
  if (slash > 0) await disk.syncDirectory(directory.slice(0, slash));
}

function explain(directory: string, error: unknown): Error {
  if (error instanceof NoriError) return error;
  if (isNoSpace(error)) {
    return new NoriError('DISK_FULL', { message: `no room to write the identity in ${directory}`, cause: error });
  }
  const code = codeOf(error);
  return code === 'EIO' ? diskFailed(`cannot use ${directory}`, error) : unusable(directory, error);
}

function unusable(directory: string, error: unknown): NoriError {
  const reason = error instanceof Error ? error.message : String(error);
  return new NoriError('DATA_DIR_UNUSABLE', { message: `cannot use ${directory}: ${reason}`, cause: error });
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
