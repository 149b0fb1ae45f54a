import { describe, expect, test } from 'vitest';
import { MemoryDisk, type Verdict } from '../../test/support/memory-disk.test-support.ts';
import {
  command,
  commands,
  flushed,
  openWal,
  settle,
  stories,
  vote,
} from '../../test/support/wal-world.test-support.ts';
import type { NoriError } from '../base/errors.ts';

const once: (readonly [string, 'write' | 'sync', Verdict])[] = [
  ['a write fails', 'write', { error: 'EIO' }],
  ['a write is short', 'write', { short: 100 }],
  ['a write writes nothing', 'write', { short: 0 }],
  ['a write meets a full volume', 'write', { error: 'ENOSPC' }],
  ['a sync fails', 'sync', { error: 'EIO' }],
];

describe('a failed write or sync is final, even when the disk would work again', () => {
  test.each(once)('%s', async (_name, operation, verdict) => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk);
    await settle();
    wal.createGroup(1);
    await flushed(wal);
    const failures: NoriError[] = [];
    wal.onFailed = (error) => failures.push(error);
    let failed = false;
    disk.judge = (kind) => {
      if (failed || kind !== operation) return 'pass';
      failed = true;
      return verdict;
    };
    const answers: (string | null)[] = [];
    const answer = (error: NoriError | null): void => void answers.push(error === null ? null : error.code);
    wal.append(1, commands(1, 1));
    wal.flush(answer);
    wal.append(1, commands(2, 1));
    wal.flush(answer);
    await settle();
    const { writes } = disk;
    wal.append(1, commands(3, 1));
    wal.flush(answer);
    await settle();
    expect(answers).toEqual(['DISK_FAILED', 'DISK_FAILED', 'DISK_FAILED']);
    expect(failures.map((error) => error.code)).toEqual(['DISK_FAILED']);
    expect(disk.writes).toBe(writes);
    await wal.close();
    disk.judge = () => 'pass';
    const { groups } = await openWal(disk);
    expect(groups.get(1)?.entries.length).toBeLessThan(2);
  });
});

test('an error while a segment is prepared or recycled is a failed disk too', async () => {
  for (const kind of ['open', 'rename', 'syncDirectory'] as const) {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk);
    await settle();
    wal.createGroup(1);
    const failures: string[] = [];
    wal.onFailed = (error) => failures.push(error.code);
    disk.judge = (operation) => (operation === kind ? { error: 'EIO' } : 'pass');
    let code: string | null = null;
    for (let at = 1; at <= 40 && failures.length === 0; at += 1) {
      wal.append(1, [command(at, 1, 'x'.repeat(1000))]);
      wal.flush((error) => {
        code = error?.code ?? null;
      });
      await settle();
    }
    wal.flush((error) => {
      code = error?.code ?? null;
    });
    await settle();
    expect([kind, failures, code]).toEqual([kind, ['DISK_FAILED'], 'DISK_FAILED']);
  }
});

test('opening on a disk that cannot be read or written says so', async () => {
  for (const kind of ['read', 'write', 'sync', 'list', 'syncDirectory', 'open'] as const) {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk);
    await wal.close();
    disk.judge = (operation) => (operation === kind ? { error: 'EIO' } : 'pass');
    await expect(openWal(disk)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  }
});

test('a full volume refuses new writes, keeps room for hard states, and takes writes again when there is room', async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk, { spareSegments: 2 });
  await settle();
  wal.createGroup(1);
  await flushed(wal);
  const told: boolean[] = [];
  wal.onRoom = (full) => told.push(full);
  let failures = 0;
  wal.onFailed = () => (failures += 1);
  const used = (): number => disk.paths().reduce((sum, path) => sum + disk.bytesOf(path).length, 0);
  disk.capacityBytes = used();
  let at = 0;
  while (!wal.full) {
    at += 1;
    wal.append(1, [command(at, 1, 'x'.repeat(300))]);
    await flushed(wal);
    await settle();
    if (at > 100) throw new Error('the volume never filled up');
  }
  expect(at).toBeGreaterThan(10);
  while (wal.roomFor(512)) {
    at += 1;
    wal.append(1, [command(at, 1, 'x'.repeat(300))]);
    await flushed(wal);
  }
  for (let term = 1; term <= 3; term += 1) {
    wal.setHardState(1, vote(term));
    await flushed(wal);
  }
  clock.advance(2000);
  await settle();
  expect([wal.full, told, failures]).toEqual([true, [true], 0]);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  clock.advance(500);
  await settle();
  expect([wal.full, told, wal.roomFor(2000)]).toEqual([false, [true, false], true]);
  for (let more = 1; more <= 50; more += 1) {
    wal.append(1, [command(at + more, 1, 'y')]);
    await flushed(wal);
    await settle();
  }
  disk.kill();
  const { groups } = await openWal(disk, { spareSegments: 2 });
  expect(groups.get(1)?.entries.length).toBe(at + 50);
  expect(groups.get(1)?.hardState.term).toBe(3);
});

test('a log on a full volume goes on in the room that is left, life after life, and in a new segment when there is room', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 5));
  await flushed(wal);
  disk.kill();
  for (const path of disk.paths().slice(1)) disk.drop(path);
  disk.capacityBytes = disk.bytesOf(disk.paths()[0] as string).length;
  for (let term = 2; term <= 4; term += 1) {
    const { wal: again, groups } = await openWal(disk);
    expect([groups.get(1)?.entries.length, groups.get(1)?.hardState.term]).toEqual([5, term === 2 ? 0 : term - 1]);
    again.setHardState(1, vote(term));
    await flushed(again);
    disk.kill();
  }
  const last = await openWal(disk);
  let at = 5;
  while (!last.wal.full) {
    at += 1;
    last.wal.append(1, [command(at, 4, 'x'.repeat(300))]);
    await flushed(last.wal);
  }
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  last.clock.advance(500);
  await settle();
  expect(last.wal.full).toBe(false);
  disk.kill();
  const { groups } = await openWal(disk);
  expect([groups.get(1)?.entries.length, groups.get(1)?.hardState.term]).toEqual([at, 4]);
});

test('on a full volume too, a torn tail that was cut never comes back behind what is written next', async () => {
  for (let torn = 1; torn < 1400; torn += 37) {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk);
    wal.createGroup(1);
    wal.append(1, commands(1, 3));
    await flushed(wal);
    await settle();
    disk.judge = (kind) => (kind === 'write' ? { short: torn } : 'pass');
    wal.append(1, [command(4, 1, 'a'.repeat(900)), command(5, 1, 'b'.repeat(300))]);
    wal.flush(() => undefined);
    await settle();
    disk.kill();
    disk.judge = () => 'pass';
    for (const path of disk.paths().slice(1)) disk.drop(path);
    disk.capacityBytes = disk.bytesOf(disk.paths()[0] as string).length;
    const { wal: again } = await openWal(disk);
    again.append(1, [command(4, 2, 'c')]);
    await flushed(again);
    disk.kill();
    const { groups } = await openWal(disk);
    expect(stories(groups)).toContain('[1@1:value-1 2@1:value-2 3@1:value-3 4@2:c]');
  }
});

test('closing waits for what is staged, and a closed log takes no more', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 2));
  await wal.close();
  await wal.close();
  await expect(flushed(wal)).rejects.toMatchObject({ code: 'CLOSED' });
  expect((await openWal(disk)).groups.get(1)?.entries.length).toBe(2);
});
