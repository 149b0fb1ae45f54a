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
  vote,
} from '../../test/support/wal-world.test-support.ts';
import { NoriError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { trailerOf } from './block.ts';
import { segmentName } from './segment.ts';

const segmentBytes = 4096;

async function outcome(disk: MemoryDisk): Promise<string> {
  try {
    const { groups } = await openWal(disk, { segmentBytes });
    return stories(groups);
  } catch (error) {
    if (!(error instanceof NoriError)) throw error;
    if (error.file === null || error.offset === null) throw new Error('damage names its place', { cause: error });
    return error.code;
  }
}

/** Two groups over several segments, flushed step by step; the story after each step. */
async function smallLog(disk: MemoryDisk): Promise<{ steps: string[]; close: () => Promise<void> }> {
  const { wal } = await openWal(disk, { segmentBytes });
  const steps: string[] = [];
  const step = async (): Promise<void> => {
    await flushed(wal);
    await settle();
    steps.push(await outcome(disk.clone()));
  };
  wal.createGroup(1);
  wal.createGroup(2);
  await step();
  for (let at = 1; at <= 6; at += 1) {
    wal.setHardState(1, vote(at));
    wal.append(1, commands(at * 2 - 1, 2, at));
    wal.append(2, [command(at, 1, 'y'.repeat(at * 200))]);
    await step();
  }
  return { steps, close: () => wal.close() };
}

test('after a clean end every single flipped bit is refused, or changes nothing that is read', {
  timeout: 120_000,
}, async () => {
  const disk = new MemoryDisk();
  const { steps, close } = await smallLog(disk);
  await close();
  const intact = steps.at(-1);
  let refused = 0;
  for (const path of disk.paths()) {
    const bytes = disk.bytesOf(path);
    for (let at = 0; at < bytes.length; at += 1) {
      // Zeros behind the last block are many and alike.
      if (bytes[at] === 0 && at % 64 !== 0) continue;
      const copy = disk.clone();
      (copy.bytesOf(path)[at] as number) ^= 1 << ((at * 5) % 8);
      const got = await outcome(copy);
      if (got === 'WAL_DAMAGED') refused += 1;
      else if (got !== intact) throw new Error(`${path} byte ${at}: ${got}`);
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

test('a flipped bit in the last block, which nothing vouches for yet, is refused and not taken for a torn tail', async () => {
  const disk = new MemoryDisk();
  await smallLog(disk);
  const { path, start, end } = lastBlock(disk);
  const taken: string[] = [];
  for (let at = start; at < end; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const copy = disk.clone();
      (copy.bytesOf(path)[at] as number) ^= 1 << bit;
      if ((await outcome(copy)) !== 'WAL_DAMAGED') taken.push(`byte ${at} bit ${bit}`);
    }
  }
  expect(taken).toEqual([]);
});

test('larger damage to any block but the last is refused; in the last it is a torn tail', async () => {
  const disk = new MemoryDisk();
  const { steps } = await smallLog(disk);
  const intact = steps.at(-1);
  const last = lastBlock(disk);
  const wrong: string[] = [];
  for (const path of disk.paths().filter((path) => !path.includes('spare'))) {
    for (let at = 0; at < disk.bytesOf(path).length; at += 512) {
      const copy = disk.clone();
      copy.bytesOf(path).fill(0x5a, at, at + 512);
      const inLast = path === last.path && at >= last.start && at < last.end;
      const got = await outcome(copy);
      const allowed = inLast ? [steps.at(-2)] : ['WAL_DAMAGED', intact];
      if (!allowed.includes(got)) wrong.push(`${path} sector at ${at}: ${got}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('an idle log vouches for its last block: then even larger damage to it is refused', async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  wal.append(1, commands(1, 1));
  await flushed(wal);
  clock.advance(100);
  await settle();
  expect(wal.stats().marks).toBe(1);
  const path = `${directory}/${segmentName(1)}`;
  disk.bytesOf(path).fill(0, 512, 1024);
  expect(await outcome(disk)).toBe('WAL_DAMAGED');
});

test('a mark takes no room: the next block stands in its place, and a log of marks and blocks is read whole', async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  for (let at = 1; at <= 5; at += 1) {
    wal.append(1, commands(at, 1));
    await flushed(wal);
    clock.advance(150);
    await settle();
  }
  expect(wal.stats().segments).toBe(1);
  const { groups } = await openWal(disk.clone(), { segmentBytes });
  expect(groups.get(1)?.entries.length).toBe(5);
});

test('a block whose write was lost behind an acknowledgement is noticed, though a mark stands there', async () => {
  const disk = new MemoryDisk();
  const { wal, clock } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  await flushed(wal);
  clock.advance(150);
  await settle();
  const path = `${directory}/${segmentName(1)}`;
  const before = disk.bytesOf(path).slice();
  wal.append(1, commands(1, 1));
  await flushed(wal);
  wal.append(1, commands(2, 1));
  await flushed(wal);
  disk.bytesOf(path).set(before.subarray(1024, 1536), 1024);
  expect(await outcome(disk)).toBe('WAL_DAMAGED');
});

test('a write cut off at any byte is a torn tail: what was acknowledged stays, and the tear stays cut', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk, { segmentBytes });
  wal.createGroup(1);
  wal.append(1, commands(1, 3));
  await flushed(wal);
  const before = disk.clone();
  const acknowledged = await outcome(disk.clone());
  wal.append(1, commands(4, 40));
  await flushed(wal);
  const whole = await outcome(disk.clone());
  const path = `${directory}/${segmentName(1)}`;
  const { start, end } = lastBlock(disk);
  for (let cut = start; cut < end; cut += 1) {
    const torn = before.clone();
    torn.bytesOf(path).set(disk.bytesOf(path).subarray(start, cut), start);
    const got = await outcome(torn);
    const allowed = end - cut <= 4 ? [acknowledged, whole] : [acknowledged];
    if (!allowed.includes(got)) throw new Error(`cut at ${cut}: ${got}`);
    // The first recovery began a new segment; what stood behind the cut may not come back.
    expect(await outcome(torn)).toBe(got);
  }
});

test('a write cut off over a recycled segment is a torn tail, also where the block of old was one bit from the new one', async () => {
  // Two blocks of two sectors, alike but for the last bit of a command and for the salt of their segment.
  const written = async (payload: string): Promise<MemoryDisk> => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, { segmentBytes });
    wal.createGroup(1);
    wal.append(1, commands(1, 3));
    await flushed(wal);
    wal.append(1, [command(4, 1, `${'z'.repeat(600)}${payload}`)]);
    await flushed(wal);
    return disk;
  };
  const path = `${directory}/${segmentName(1)}`;
  const disk = await written('b');
  const { start, end } = lastBlock(disk);
  expect(end - start).toBe(1024);
  const whole = disk.bytesOf(path).slice(start + 512, end);
  const old = (await written('c')).bytesOf(path).slice(start + 512, end);
  // The contents as they would be of a block one bit away: their checksum alone is further than that.
  old.set(whole.subarray(-24, -4), old.length - 24);
  old.set(trailerBytesOf(1), old.length - 4);
  expect(bitsApart(whole.subarray(0, -4), old.subarray(0, -4))).toBe(1);
  disk.bytesOf(path).set(old, start + 512);
  expect(await outcome(disk)).toMatch(/3@1:value-3\]$/);
});

test('stale blocks behind a cut never come back, even when the lost middle would make them fit again', async () => {
  const disk = new MemoryDisk();
  await smallLog(disk);
  const { path, start, end } = lastBlock(disk);
  const lost = disk.bytesOf(path).slice(start, end);
  const torn = disk.clone();
  torn.bytesOf(path).fill(0, start, end);
  const cut = await outcome(torn);
  await settle();
  const padded = new Uint8Array(Math.max(torn.bytesOf(path).length, end));
  padded.set(torn.bytesOf(path));
  padded.set(lost, start);
  torn.setBytes(path, padded);
  expect(await outcome(torn)).toBe(cut);
});

test('a missing, emptied or shortened segment is damage, but for one at the end that was never begun', async () => {
  const disk = new MemoryDisk();
  const { steps } = await smallLog(disk);
  const paths = disk.paths().filter((path) => !path.includes('spare'));
  const born = paths.filter((path) =>
    disk
      .bytesOf(path)
      .subarray(0, 512)
      .some((byte) => byte !== 0),
  );
  expect(born.length).toBeGreaterThan(2);
  const middle = born[1] as string;
  const gone = disk.clone();
  gone.drop(middle);
  expect(await outcome(gone)).toBe('WAL_DAMAGED');
  for (const path of born) {
    for (const length of [0, 512, 1000]) {
      const short = disk.clone();
      short.setBytes(path, short.bytesOf(path).slice(0, length));
      const got = await outcome(short);
      expect([path, got === 'WAL_DAMAGED' || (path === born.at(-1) && length === 0)]).toEqual([path, true]);
    }
  }
  const half = disk.clone();
  half.setBytes(`${directory}/${segmentName(paths.length + 1)}`, new Uint8Array(100));
  const expected = paths.length === born.length ? steps.at(-1) : 'WAL_DAMAGED';
  expect(await outcome(half)).toBe(expected);
});

test('the first segment may go only when nothing in it is needed', async () => {
  const disk = new MemoryDisk();
  await smallLog(disk);
  disk.drop(`${directory}/${segmentName(1)}`);
  expect(await outcome(disk)).toBe('WAL_DAMAGED');
});

test('a segment of a newer format is refused by name', async () => {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk, { segmentBytes });
  await wal.close();
  const path = `${directory}/${segmentName(1)}`;
  const { crc32c } = await import('../base/crc32c.ts');
  const bytes = disk.bytesOf(path);
  bytes[8] = 2;
  new DataView(bytes.buffer).setUint32(0, crc32c(bytes, 4, 512), true);
  await expect(openWal(disk, { segmentBytes })).rejects.toMatchObject({ code: 'FORMAT_TOO_NEW', file: path });
});

/** A scripted life: flush by flush, with compaction; what it was told is durable is in `acknowledged`. */
async function life(disk: MemoryDisk, told: { acknowledged: number; staged: number; base: number }): Promise<void> {
  const { wal, clock } = await openWal(disk, { segmentBytes });
  if (told.staged === 0 && told.acknowledged === 0) wal.createGroup(1);
  const until = told.acknowledged + 12;
  for (let at = told.acknowledged + 1; at <= until; at += 1) {
    told.staged = Math.max(told.staged, at);
    wal.setHardState(1, vote(at));
    wal.append(1, [command(at, at, 'z'.repeat((at * 97) % 700))]);
    if (at % 4 === 0) wal.compact(1, { index: at - 2, term: at - 2, timeMs: 0 });
    await flushed(wal);
    told.acknowledged = at;
    if (at % 4 === 0) told.base = at - 2;
    if (at % 3 === 0) clock.advance(150);
  }
  await settle();
  await wal.close();
}

for (const power of [false, true]) {
  const name = power ? 'a power cut' : 'a kill';
  test(`${name} at any disk operation, also within recovery, loses nothing acknowledged`, {
    timeout: 120_000,
  }, async () => {
    const cuts = { first: 0, second: 0 };
    for (let at = 1; ; at += 1) {
      const prng = new Prng(at);
      const disk = new MemoryDisk();
      const told = { acknowledged: 0, staged: 0, base: 0 };
      if (!(await crashAt(disk, at, () => life(disk, told)))) break;
      cuts.first += 1;
      if (power) disk.powerCut(prng);
      // The second crash falls into the recovery from the first one.
      for (let again = 1; again <= 40; again += 4) {
        const copy = disk.clone();
        if (!(await crashAt(copy, again, () => openWal(copy, { segmentBytes })))) break;
        cuts.second += 1;
        if (power) copy.powerCut(prng);
        checkTold(await openWal(copy, { segmentBytes }), told, `crash at ${at}, then ${again}`);
      }
      const opened = await openWal(disk, { segmentBytes });
      checkTold(opened, told, `crash at ${at}`);
    }
    expect(cuts.first).toBeGreaterThan(70);
    expect(cuts.second).toBeGreaterThan(300);
  });
}

function checkTold(
  opened: Awaited<ReturnType<typeof openWal>>,
  told: { acknowledged: number; staged: number; base: number },
  where: string,
): void {
  const group = opened.groups.get(1);
  const last = group === undefined ? 0 : group.base.index + group.entries.length;
  const wrong = (what: string): Error =>
    new Error(`${where}: ${what}: ${stories(opened.groups)} ${JSON.stringify(told)}`);
  if (last < told.acknowledged || last > told.staged) throw wrong('entries');
  if (group === undefined) return;
  if (group.base.index < told.base) throw wrong('base');
  if (group.hardState.term < told.acknowledged) throw wrong('hard state');
  for (const item of group.entries) {
    if (item.term !== item.index || item.payload.length !== (item.index * 97) % 700) throw wrong('entry');
  }
}

/** Runs until the operation of that number, where the process dies; false when it ended before. */
async function crashAt(disk: MemoryDisk, operation: number, run: () => Promise<unknown>): Promise<boolean> {
  const start = disk.operations;
  disk.judge = (_kind, _path, at) => (at - start === operation ? 'crash' : 'pass');
  const crashed = disk.crashed().then(() => true);
  const ended = await Promise.race([crashed, run().then(() => false)]);
  disk.judge = () => 'pass';
  return ended;
}

function trailerBytesOf(salt: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, trailerOf(salt), true);
  return bytes;
}

function bitsApart(one: Uint8Array, other: Uint8Array): number {
  let bits = 0;
  one.forEach((byte, at) => {
    for (let left = byte ^ (other[at] as number); left > 0; left &= left - 1) bits += 1;
  });
  return bits;
}

function lastBlock(disk: MemoryDisk): { path: string; start: number; end: number } {
  const magic = 0x4257_524e;
  let found: { path: string; start: number; end: number; sequence: number } | null = null;
  for (const path of disk.paths()) {
    const bytes = disk.bytesOf(path);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 512 <= bytes.length; at += 512) {
      if (view.getUint32(at + 4, true) !== magic || view.getUint8(at + 10) !== 2) continue;
      const sequence = view.getUint32(at + 32, true);
      if (found === null || found.sequence < sequence) {
        found = { path, start: at, end: at + view.getUint32(at + 12, true), sequence };
      }
    }
  }
  if (found === null) throw new Error('the log has no block');
  return found;
}
