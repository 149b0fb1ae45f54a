import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import { openWal } from '../../test/support/wal-world.test-support.ts';
import { NoriError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import type { PeerIdentity } from '../codec/handshake.ts';
import { nodeId } from '../core/types.ts';
import type { DirectoryLock, HeldDirectory } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { DataDirectory, type DataDirectoryOptions, judgePeer } from './data-directory.ts';

class FreeLock implements DirectoryLock {
  held = 0;
  private readonly bootId: string;

  constructor(bootId = '') {
    this.bootId = bootId;
  }

  async acquire(): Promise<HeldDirectory> {
    if (this.held > 0) throw new NoriError('DATA_DIR_LOCKED', { message: 'held' });
    this.held += 1;
    return {
      bootId: this.bootId,
      release: async () => {
        this.held -= 1;
      },
    };
  }
}

function seeded(seed: number): Random {
  const prng = new Prng(seed);
  return { uint32: () => prng.uint32(), bytes: (length) => Uint8Array.from({ length }, () => prng.uint32() & 255) };
}

const random = seeded(4);
const cluster = new Uint8Array(16).fill(9);

function open(disk: MemoryDisk, changes: Partial<DataDirectoryOptions> = {}): Promise<DataDirectory> {
  return DataDirectory.open({
    disk: disk.boot(),
    lock: new FreeLock(),
    random,
    directory: 'data',
    nodeId: nodeId('n1'),
    clusterId: cluster,
    bootstrap: true,
    ...changes,
  });
}

function peer(disk: number, counter: number, nonce = 1): PeerIdentity {
  return {
    diskId: new Uint8Array(16).fill(disk),
    incarnation: { counter, nonce: new Uint8Array(8).fill(nonce) },
    attributes: { resp: 'h:1' },
  };
}

test('the disk id stays for good; every life has a higher counter and a nonce of its own', async () => {
  const disk = new MemoryDisk();
  const first = await open(disk);
  const second = await open(disk, { bootstrap: false });
  expect(second.diskId).toEqual(first.diskId);
  expect(second.clusterId).toEqual(cluster);
  expect([first.incarnation.counter, second.incarnation.counter]).toEqual([1, 2]);
  expect(second.incarnation.nonce).not.toEqual(first.incarnation.nonce);
});

test('earlier lives are dead for certain only under the lock they held themselves', async () => {
  const disk = new MemoryDisk();
  const lives: number[] = [];
  const lineages: string[] = [];
  const nonces = new Set<string>();
  for (const bootId of ['one', 'one', 'one', 'two', 'two', '', '']) {
    const life = await open(disk, { lock: new FreeLock(bootId) });
    lives.push(life.deadSince);
    const nonce = Buffer.from(life.incarnation.nonce).toString('hex');
    nonces.add(nonce);
    lineages.push(nonce.slice(0, 8));
    await life.close();
  }
  expect(lives).toEqual([1, 1, 1, 4, 4, 6, 7]);
  // Who is proven dead is of one lineage with who proves it, and nobody else is.
  expect(lineages.map((lineage) => lineages.indexOf(lineage))).toEqual([0, 0, 0, 3, 3, 5, 6]);
  expect(nonces.size).toBe(7);
});

test('a power cut at any operation never gives a counter back to two lives', async () => {
  for (let at = 1; at < 60; at += 1) {
    const disk = new MemoryDisk();
    const prng = new Prng(at);
    let highest = 0;
    disk.judge = (_kind, _path, operation) => (operation === at ? 'crash' : 'pass');
    const crashed = disk.crashed();
    const lives = async (): Promise<void> => {
      for (let life = 0; life < 4; life += 1) {
        const directory = await open(disk);
        expect(directory.incarnation.counter).toBeGreaterThan(highest);
        highest = directory.incarnation.counter;
        await directory.recordPeer(nodeId('n2'), peer(1, life + 1));
        await directory.close();
      }
    };
    await Promise.race([crashed, lives()]);
    disk.judge = () => 'pass';
    disk.powerCut(prng);
    const directory = await open(disk);
    expect(directory.incarnation.counter).toBeGreaterThan(highest);
  }
});

test('peers and the founding mark are there in the next life, in order of recording', async () => {
  const disk = new MemoryDisk();
  await openWal(disk);
  const first = await open(disk, { directory: 'other' });
  expect(first.founded).toBe(false);
  void first.recordPeer(nodeId('n2'), peer(2, 1));
  void first.recordPeer(nodeId('n3'), peer(3, 1));
  void first.recordPeer(nodeId('n2'), peer(2, 5));
  await first.markFounded();
  await first.close();
  await (await openWal(disk)).wal.close();
  disk.setBytes('other/wal/0000000000000001.wal', disk.bytesOf('data/wal/0000000000000001.wal'));
  const second = await open(disk, { directory: 'other' });
  expect(second.founded).toBe(true);
  expect([...second.peers]).toEqual([
    ['n2', peer(2, 5)],
    ['n3', peer(3, 1)],
  ]);
});

const refusals: (readonly [string, string, (disk: MemoryDisk) => Partial<DataDirectoryOptions>])[] = [
  ['another node', 'DATA_DIR_FOREIGN', () => ({ nodeId: nodeId('n2') })],
  ['another cluster', 'DATA_DIR_FOREIGN', () => ({ clusterId: new Uint8Array(16) })],
  ['an empty directory without bootstrap', 'DATA_DIR_EMPTY', () => ({ directory: 'elsewhere', bootstrap: false })],
  [
    'a log without its identity',
    'WAL_DAMAGED',
    (disk) => {
      disk.setBytes('data/wal/0000000000000001.wal', new Uint8Array(512));
      disk.drop('data/identity');
      return {};
    },
  ],
  [
    'an emptied identity',
    'WAL_DAMAGED',
    (disk) => {
      disk.setBytes('data/identity', new Uint8Array(0));
      return {};
    },
  ],
];

describe('a directory is refused', () => {
  test.each(refusals)('%s: %s', async (_name, code, prepare) => {
    const disk = new MemoryDisk();
    await (await open(disk)).close();
    const lock = new FreeLock();
    await expect(open(disk, { lock, ...prepare(disk) })).rejects.toMatchObject({ code });
    expect(lock.held).toBe(0);
  });

  test('a founded node whose log is gone: WAL_DAMAGED', async () => {
    const disk = new MemoryDisk();
    await (await open(disk)).markFounded();
    await expect(open(disk)).rejects.toMatchObject({ code: 'WAL_DAMAGED' });
  });

  test('one that was refused as an old copy, for good: STALE_INCARNATION', async () => {
    const disk = new MemoryDisk();
    const directory = await open(disk);
    await directory.condemn('n2 has seen a later life');
    await directory.close();
    disk.powerCut(new Prng(1));
    const lock = new FreeLock();
    await expect(open(disk, { lock })).rejects.toMatchObject({ code: 'STALE_INCARNATION' });
    expect(lock.held).toBe(0);
  });

  test('a second opening while the first is held: DATA_DIR_LOCKED', async () => {
    const disk = new MemoryDisk();
    const lock = new FreeLock();
    const first = await open(disk, { lock });
    await expect(open(disk, { lock })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await first.close();
    await open(disk, { lock });
  });
});

test('every flipped bit of the identity is noticed', async () => {
  const disk = new MemoryDisk();
  const directory = await open(disk);
  await directory.recordPeer(nodeId('n2'), peer(2, 1));
  const { length } = disk.bytesOf('data/identity');
  for (let bit = 0; bit < length * 8; bit += 1) {
    const copy = disk.clone();
    (copy.bytesOf('data/identity')[bit >> 3] as number) ^= 1 << (bit & 7);
    await expect(open(copy)).rejects.toMatchObject({ code: 'WAL_DAMAGED', file: 'data/identity' });
  }
});

test('a full volume is DISK_FULL and leaves the identity whole; an unusable one says so', async () => {
  const disk = new MemoryDisk();
  await open(disk);
  const before = disk.bytesOf('data/identity').slice();
  disk.capacityBytes = before.length + 10;
  await expect(open(disk)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(disk.bytesOf('data/identity')).toEqual(before);
  disk.judge = (kind) => (kind === 'makeDirectory' ? { error: 'ENOTDIR' } : 'pass');
  await expect(open(disk)).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
});

test('a peer is judged by its disk, then by the life of it', () => {
  expect(judgePeer(undefined, peer(1, 1))).toBe('record');
  expect(judgePeer(peer(1, 4), peer(1, 4))).toBe('accept');
  expect(judgePeer(peer(1, 4), peer(1, 5, 8))).toBe('record');
  expect(judgePeer(peer(1, 4), peer(1, 4, 8))).toBe('STALE_INCARNATION');
  expect(judgePeer(peer(1, 4), peer(1, 3))).toBe('STALE_INCARNATION');
  expect(judgePeer(peer(1, 4), peer(2, 5))).toBe('DISK_REPLACED');
});
