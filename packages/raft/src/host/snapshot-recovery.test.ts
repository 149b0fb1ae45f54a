import { expect, test } from 'vitest';
import { bytes, Ledger } from '../../test/support/host-world.test-support.ts';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import { commands, openWal, type Opened, vote } from '../../test/support/wal-world.test-support.ts';
import { foundingConfiguration } from '../core/configuration.ts';
import { nodeId } from '../core/types.ts';
import type { Disk } from '../ports/disk.ts';
import { SnapshotStore } from '../snapshot/store.ts';
import { writeSnapshot } from '../snapshot/writer.ts';
import { recoverState, type StartOfGroup } from './snapshot-recovery.ts';

const group = 1;
const root = 'data/snapshots';
const configuration = foundingConfiguration(['n1', 'n2', 'n3'].map((id) => ({ id: nodeId(id), address: `${id}:1` })));

/** A log of one entry, written and voted in term 1. */
async function shortLog(disk: MemoryDisk): Promise<void> {
  const { wal } = await openWal(disk);
  wal.createGroup(group);
  wal.setHardState(group, vote(1, 'n1'));
  wal.append(group, commands(1, 1));
  await wal.flushed();
  await wal.close();
}

/** Others had got as far as entry 9 of this term when their snapshot came in, and the crash right behind it. */
async function adoptSnapshot(disk: Disk, term: number): Promise<void> {
  const store = new SnapshotStore(disk, root, group);
  await store.prepare();
  const point = { index: 9, term, timeMs: 1009, configuration, configurationIndex: 1 };
  const title = { group, point, id: new Uint8Array(16).fill(1), chunkBytes: 16 };
  const path = `${root}/came-in`;
  const header = await writeSnapshot(disk, path, title, image(), () => true);
  if (header === null) throw new Error('nobody gave it up');
  await store.adopt(path, header);
}

async function* image(): AsyncGenerator<Uint8Array> {
  yield bytes('a\nb');
}

async function started(disk: MemoryDisk, { wal, groups }: Opened): Promise<StartOfGroup> {
  const start = groups.get(group);
  if (start === undefined) throw new Error('the log knows the group');
  return recoverState(new SnapshotStore(disk.boot(), root, group), start, new Ledger(), wal);
}

test('a node whose snapshot is ahead of its log starts in the term of the snapshot, and has written it down', async () => {
  const disk = new MemoryDisk();
  await shortLog(disk);
  await adoptSnapshot(disk.boot(), 2);
  const opened = await openWal(disk);
  const start = await started(disk, opened);
  expect(start).toMatchObject({ base: { index: 9, term: 2 }, entries: [], applied: 9 });
  // A vote of term 1 is none of term 2: there it may still be given.
  expect(start.hardState).toEqual(vote(2, null));
  await opened.wal.abandon();
  const { groups } = await openWal(disk);
  expect(groups.get(group)?.hardState).toEqual(vote(2, null));
});

test('a snapshot of the term the node voted in leaves the vote alone', async () => {
  const disk = new MemoryDisk();
  await shortLog(disk);
  await adoptSnapshot(disk.boot(), 1);
  const opened = await openWal(disk);
  expect((await started(disk, opened)).hardState).toEqual(vote(1, 'n1'));
  await opened.wal.abandon();
  const { groups } = await openWal(disk);
  expect(groups.get(group)?.hardState).toEqual(vote(1, 'n1'));
});
