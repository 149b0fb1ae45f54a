import { expect, test } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import {
  command,
  commands,
  directory,
  flushed,
  openMended,
  openWal,
  settle,
  stories,
  story,
  vote,
} from '../../test/support/wal-world.test-support.ts';
import { NoriError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { QuarantineStage } from '../codec/record.ts';
import type { RecoveredGroup } from './replay.ts';
import { segmentName } from './segment.ts';

const segmentBytes = 4096;
const groups = [1, 2, 3, 9];

/** Several groups over several segments, sometimes two in one block; 9 was destroyed. Closed at the end. */
async function smallLog(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk, { segmentBytes });
  for (const group of groups) wal.createGroup(group);
  wal.destroyGroup(9);
  for (let at = 1; at <= 6; at += 1) {
    wal.setHardState(1, vote(at));
    wal.append(1, commands(at * 2 - 1, 2, at));
    if (at % 2 === 0) await flushed(wal);
    wal.append(2, [command(at, 1, 'y'.repeat(at * 150))]);
    await flushed(wal);
    wal.append(3, [command(at, 1, 'z')]);
    await flushed(wal);
    await settle();
  }
  wal.compact(1, { index: 4, term: 2, timeMs: 1004 });
  await flushed(wal);
  await settle();
  await wal.close();
  return disk;
}

function isLost(group: RecoveredGroup | undefined): boolean {
  return group?.quarantine?.stage === QuarantineStage.lost;
}

async function mended(disk: MemoryDisk): Promise<Map<number, RecoveredGroup> | string> {
  try {
    const opened = await openMended(disk, { segmentBytes });
    await opened.wal.close();
    return opened.groups;
  } catch (error) {
    if (!(error instanceof NoriError)) throw error;
    return error.code;
  }
}

test('a flipped bit costs the group whose record it hit and no other, or the log is refused', {
  timeout: 120_000,
}, async () => {
  const disk = await smallLog();
  const intact = new Map((await openWal(disk.clone(), { segmentBytes })).groups);
  const seen = { nothing: 0, one: 0, several: 0, refused: 0 };
  for (const path of disk.paths()) {
    const bytes = disk.bytesOf(path);
    for (let at = 0; at < bytes.length; at += 11) {
      // Zeros behind the last block are many and alike.
      if (bytes[at] === 0 && at % 4 !== 0) continue;
      const copy = disk.clone();
      (copy.bytesOf(path)[at] as number) ^= 1 << (at % 8);
      const got = await mended(copy);
      if (typeof got === 'string') {
        if (got !== 'WAL_DAMAGED') throw new Error(`${path} byte ${at}: ${got}`);
        seen.refused += 1;
        continue;
      }
      const lost = groups.filter((group) => isLost(got.get(group)));
      for (const group of groups) {
        if (!lost.includes(group) && story(got.get(group)) !== story(intact.get(group))) {
          throw new Error(`${path} byte ${at}: group ${group} is ${story(got.get(group))}`);
        }
      }
      if (lost.length === 0) seen.nothing += 1;
      else if (lost.length === 1) seen.one += 1;
      else seen.several += 1;
      // What was mended is an ordinary log.
      if (lost.length === 0 || at % 5 !== 0) continue;
      const again = stories((await openWal(copy, { segmentBytes })).groups);
      if (again !== stories(got)) throw new Error(`${path} byte ${at}: opened again it is ${again}`);
    }
  }
  expect(seen.one).toBeGreaterThan(100);
  expect(seen.refused).toBeLessThan(seen.one / 2);
});

test('damage of any size to one block costs the groups that had records in it, or the log is refused', async () => {
  const disk = await smallLog();
  const intact = (await openWal(disk.clone(), { segmentBytes })).groups;
  const prng = new Prng(5);
  let lostOnes = 0;
  for (let round = 0; round < 150; round += 1) {
    const copy = disk.clone();
    const path = `${directory}/${segmentName(prng.between(1, 3))}`;
    const bytes = copy.bytesOf(path);
    const from = prng.between(0, bytes.length - 200);
    bytes.fill(prng.between(0, 255), from, from + prng.between(1, 200));
    const got = await mended(copy);
    if (typeof got === 'string') continue;
    for (const group of groups) {
      if (isLost(got.get(group))) lostOnes += 1;
      else if (story(got.get(group)) !== story(intact.get(group)))
        throw new Error(`${path} byte ${from}, group ${group}`);
    }
  }
  expect(lostOnes).toBeGreaterThan(20);
});

test("a block that was never written, where the mark before it still stands, may be anybody's", async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  wal.append(1, commands(1, 1));
  await flushed(wal);
  clock.advance(100);
  await settle();
  const path = `${directory}/${segmentName(1)}`;
  const marked = disk.bytesOf(path).slice();
  wal.append(1, commands(2, 1));
  await flushed(wal);
  clock.advance(100);
  await settle();
  const written = disk.bytesOf(path);
  const at = 512 * [...marked.keys()].findIndex((sector) => !sameSector(marked, written, sector));
  written.set(marked.subarray(at, at + 512), at);
  expect(wal.stats().marks).toBe(2);
  expect(await mended(disk.clone())).toBe('WAL_DAMAGED');
});

function sameSector(one: Uint8Array, other: Uint8Array, sector: number): boolean {
  const of = (bytes: Uint8Array): string => bytes.subarray(sector * 512, sector * 512 + 512).join();
  return of(one) === of(other);
}

/** A log whose group 2 has a flipped bit in one of its entries. */
async function damagedLog(): Promise<MemoryDisk> {
  const disk = await smallLog();
  const path = `${directory}/${segmentName(2)}`;
  const bytes = disk.bytesOf(path);
  const at = bytes.findIndex((byte, index) => byte === 0x79 && bytes[index + 40] === 0x79);
  (bytes[at + 10] as number) ^= 4;
  return disk;
}

test('a group whose log is lost keeps its term, knows why, and can begin a new log', async () => {
  const disk = await damagedLog();
  const { wal, groups: found, damage } = await openMended(disk, { segmentBytes });
  expect(damage.map(({ code }) => code)).toEqual(['WAL_DAMAGED']);
  expect(found.get(2)?.quarantine).toMatchObject({ stage: QuarantineStage.lost, voter: false });
  expect(found.get(2)?.quarantine?.reason).toContain(`${segmentName(2)}, offset`);
  expect(disk.paths().some((path) => path.startsWith('data/wal-damaged/'))).toBe(true);
  wal.setHardState(2, vote(7));
  wal.setQuarantine(2, { stage: QuarantineStage.refilling, voter: true, since: 4, reason: 'the log' });
  wal.append(2, commands(1, 2, 7));
  await flushed(wal);
  await wal.close();
  const again = await openWal(disk, { segmentBytes });
  expect(story(again.groups.get(2))).toBe('alive term 7 vote n1 promises [] base 0@0 [1@7:value-1 2@7:value-2]');
  expect(again.groups.get(2)?.quarantine).toEqual({
    stage: QuarantineStage.refilling,
    voter: true,
    since: 4,
    reason: 'the log',
  });
  again.wal.setQuarantine(2, null);
  await flushed(again.wal);
  await again.wal.close();
  expect((await openWal(disk, { segmentBytes })).groups.get(2)?.quarantine).toBeNull();
});

test('the segments of a log that was lost are given up when it begins anew', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  wal.append(1, [command(1, 1, 'x')]);
  for (let at = 2; at <= 20; at += 1) {
    wal.append(1, [command(at, 1, 'x'.repeat(600))]);
    await flushed(wal);
    await settle();
  }
  const before = wal.stats().segments;
  wal.setQuarantine(1, { stage: QuarantineStage.lost, voter: false, since: 0, reason: 'its snapshot is damaged' });
  wal.append(1, commands(1, 1));
  await flushed(wal);
  await settle();
  expect(before).toBeGreaterThan(3);
  expect(wal.stats().segments).toBeLessThanOrEqual(2);
});

test('a process or a machine that dies anywhere in mending changes nothing about what comes of it', {
  timeout: 60_000,
}, async () => {
  const disk = await damagedLog();
  const expected = await mended(disk.clone());
  if (typeof expected === 'string') throw new Error(expected);
  let crashAt = 1;
  for (; ; crashAt += 1) {
    const copy = disk.clone();
    const begun = copy.operations;
    copy.judge = (_operation, _path, at) => (at - begun === crashAt ? 'crash' : 'pass');
    const crashed = copy.crashed();
    const finished = await Promise.race([crashed.then(() => false), mended(copy).then(() => true)]);
    if (finished) break;
    copy.judge = () => 'pass';
    if (crashAt % 2 === 0) copy.powerCut(new Prng(crashAt));
    const got = await mended(copy);
    if (typeof got === 'string') throw new Error(`after a crash at ${crashAt}: ${got}`);
    expect(`${crashAt} ${stories(got)}`).toBe(`${crashAt} ${stories(expected)}`);
    expect(isLost(got.get(2))).toBe(true);
  }
  expect(crashAt).toBeGreaterThan(40);
});

test('without room the damaged log stays as it is', async () => {
  const disk = await damagedLog();
  const before = disk.paths();
  for (const path of before) if (path.includes('spare')) disk.drop(path);
  let used = 0;
  for (const path of disk.paths()) used += disk.bytesOf(path).length;
  disk.capacityBytes = used + 1000;
  expect(await mended(disk)).toBe('DISK_FULL');
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  const got = await mended(disk);
  expect(typeof got !== 'string' && isLost(got.get(2))).toBe(true);
});
