import { expect, test } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import {
  command,
  commands,
  directory,
  flushed,
  openWal,
  settle,
  stories,
  story,
  vote,
} from '../../test/support/wal-world.test-support.ts';
import { nodeId } from '../core/types.ts';

test('what was flushed comes back after a clean end, for every group', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  for (const group of [1, 2, 4_000_000_000]) {
    wal.createGroup(group);
    const promises = [{ term: 3, holder: nodeId('n2'), incarnation: 7, lineage: 9, durationMs: 2040.5 }];
    wal.setHardState(group, { ...vote(3), promises });
    wal.append(group, commands(1, 3, 3));
  }
  await flushed(wal);
  await wal.close();
  const { groups } = await openWal(disk);
  for (const group of [1, 2, 4_000_000_000]) {
    expect(story(groups.get(group))).toBe(
      'alive term 3 vote n1 promises [n2/7.9/3] base 0@0 [1@3:value-1 2@3:value-2 3@3:value-3]',
    );
    expect(groups.get(group)?.entries[2]).toEqual(commands(1, 3, 3)[2]);
  }
});

test('records that were staged but not flushed are not written', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  expect(wal.staged).toBe(true);
  disk.kill();
  expect((await openWal(disk)).groups.size).toBe(0);
});

test('one flush is one write and one sync; flushes asked for meanwhile share the next', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  await settle();
  wal.createGroup(1);
  const before = { writes: disk.writes, syncs: disk.syncs };
  const answers: number[] = [];
  for (let at = 1; at <= 10; at += 1) {
    wal.append(1, [command(at, 1, 'x')]);
    wal.flush(() => answers.push(at));
  }
  await settle();
  expect(answers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect({ writes: disk.writes - before.writes, syncs: disk.syncs - before.syncs }).toEqual({ writes: 2, syncs: 2 });
});

test('records staged behind a flush that is under way still count as staged until a flush is asked for', async () => {
  const { wal } = await openWal(new MemoryDisk());
  await settle();
  wal.createGroup(1);
  wal.flush(() => {});
  wal.append(1, commands(1, 1));
  wal.flush(() => {});
  wal.append(1, commands(2, 1));
  expect(wal.staged).toBe(true);
  await settle();
  expect(wal.staged).toBe(true);
  await flushed(wal);
  expect(wal.staged).toBe(false);
});

test('a flush with nothing staged answers, and never before it returns', async () => {
  const { wal } = await openWal(new MemoryDisk());
  let answered = false;
  wal.flush(() => {
    answered = true;
  });
  expect(answered).toBe(false);
  await settle();
  expect(answered).toBe(true);
});

test('appending at an index the log has replaces everything from there', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 5, 1, 'old'));
  await flushed(wal);
  wal.append(1, commands(3, 1, 2, 'new'));
  await flushed(wal);
  wal.append(1, commands(4, 1, 2, 'new'));
  await flushed(wal);
  await wal.close();
  const { groups } = await openWal(disk);
  expect(story(groups.get(1))).toContain('[1@1:old-1 2@1:old-2 3@2:new-3 4@2:new-4]');
});

test('a run longer than a block goes on in the next and is acknowledged whole', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 500));
  await flushed(wal);
  disk.kill();
  const { groups } = await openWal(disk);
  expect(groups.get(1)?.entries.length).toBe(500);
});

test('an entry larger than a segment is kept whole', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  const payload = 'x'.repeat(30_000);
  for (let at = 1; at <= 3; at += 1) {
    wal.append(1, [command(at, 1, payload)]);
    await flushed(wal);
  }
  await wal.close();
  const { groups } = await openWal(disk);
  expect(groups.get(1)?.entries.map((item) => item.payload.length)).toEqual([30_000, 30_000, 30_000]);
});

test('compacted segments are recycled, and their old bytes never come back', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.createGroup(2);
  wal.setHardState(2, vote(9));
  for (let at = 1; at <= 300; at += 1) {
    wal.append(1, [command(at, 1, `payload of ${at}`)]);
    if (at % 20 === 0) wal.compact(1, { index: at - 5, term: 1, timeMs: 5 });
    await flushed(wal);
    await settle();
  }
  expect(wal.stats().recycled).toBeGreaterThan(5);
  expect(disk.paths().length).toBeLessThan(8);
  disk.kill();
  const { groups } = await openWal(disk);
  expect(groups.get(1)?.base).toEqual({ index: 295, term: 1, timeMs: 5 });
  expect(groups.get(1)?.entries.map((item) => item.index)).toEqual([296, 297, 298, 299, 300]);
  expect(groups.get(2)?.hardState.term).toBe(9);
});

test('a destroyed group holds no segment, and stays destroyed when its segments are gone', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.createGroup(2);
  wal.append(1, commands(1, 400));
  await flushed(wal);
  wal.destroyGroup(1);
  await flushed(wal);
  for (let at = 1; at <= 40; at += 1) {
    wal.append(2, [command(at, 1, 'x')]);
    await flushed(wal);
    await settle();
  }
  expect(wal.stats().segments).toBeLessThan(6);
  disk.kill();
  const { groups } = await openWal(disk);
  expect(story(groups.get(1))).toContain('destroyed');
  expect(groups.get(2)?.entries.length).toBe(40);
});

test('a reset log is empty behind its base', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 10));
  wal.reset(1, { index: 4, term: 2, timeMs: 44 });
  wal.append(1, commands(5, 2, 2));
  await flushed(wal);
  disk.kill();
  const { groups } = await openWal(disk);
  expect(story(groups.get(1))).toContain('base 4@2 [5@2:value-5 6@2:value-6]');
});

test('a base beyond the end of the log empties it, and the log goes on behind the base', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk);
  wal.createGroup(1);
  wal.append(1, commands(1, 3));
  await flushed(wal);
  wal.compact(1, { index: 100, term: 4, timeMs: 9 });
  await flushed(wal);
  wal.append(1, commands(101, 1, 4));
  await flushed(wal);
  disk.kill();
  expect(story((await openWal(disk)).groups.get(1))).toContain('base 100@4 [101@4:value-101]');
});

test('ten restarts in a row keep the log and do not pile up room', async () => {
  const disk = new MemoryDisk();
  const first = await openWal(disk);
  first.wal.createGroup(1);
  await flushed(first.wal);
  disk.kill();
  let expected = '1: alive term 0 vote - promises [] base 0@0 []';
  for (let at = 1; at <= 10; at += 1) {
    const { wal, groups } = await openWal(disk);
    expect(stories(groups)).toBe(expected);
    wal.append(1, [command(at, at, 'x')]);
    await flushed(wal);
    await settle();
    if (at % 2 === 0) await wal.close();
    else disk.kill();
    expected = stories((await openWal(disk.clone())).groups);
  }
  const bytes = disk.paths().reduce((sum, path) => sum + disk.bytesOf(path).length, 0);
  expect(bytes).toBeLessThan(5 * 8192);
  expect(disk.paths().every((path) => path.startsWith(`${directory}/`))).toBe(true);
});

test('the age of the oldest unfinished flush is known while the disk hangs, and later flushes wait', async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk);
  await settle();
  wal.createGroup(1);
  disk.judge = (operation) => (operation === 'sync' ? 'hang' : 'pass');
  let answers = 0;
  wal.flush(() => (answers += 1));
  clock.advance(70);
  await settle();
  wal.append(1, commands(1, 1));
  wal.flush(() => (answers += 1));
  clock.advance(30);
  await settle();
  expect(wal.oldestFlushMs(clock.nowMs())).toBe(100);
  expect(answers).toBe(0);
});
