import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.test-support.ts';
import { commands, flushed, stories } from '../../test/support/wal-world.test-support.ts';
import { Wal } from '../wal/wal.ts';
import { NodeDisk } from './disk.ts';
import { NodeDirectoryLock } from './lock.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(`${tmpdir()}/nori-disk-`);
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

test('a log on a real disk comes back, segment after segment, and is recycled', async () => {
  const disk = new NodeDisk();
  const options = { disk, clock: new ManualClock(), directory: `${directory}/wal`, segmentBytes: 16_384 };
  const { wal } = await Wal.open(options);
  wal.createGroup(7);
  for (let at = 1; at <= 200; at += 1) {
    wal.append(7, commands(at, 1, 2, 'x'.repeat(100)));
    if (at === 150) wal.compact(7, { index: 140, term: 2, timeMs: 0 });
    await flushed(wal);
  }
  expect(wal.stats().segments).toBeLessThan(8);
  await wal.close();
  const again = await Wal.open({ ...options, clock: new ManualClock() });
  expect(again.groups.get(7)?.entries.length).toBe(60);
  const before = stories(again.groups);
  await again.wal.close();
  const third = await Wal.open({ ...options, clock: new ManualClock() });
  expect(stories(third.groups)).toBe(before);
  await third.wal.close();
});

test('a file that is not there is an error, a directory that is not there is empty', async () => {
  const disk = new NodeDisk();
  await expect(disk.open(`${directory}/none`, { create: false })).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await disk.list(`${directory}/none`)).toEqual([]);
  await writeFile(`${directory}/file`, 'x');
  await expect(disk.makeDirectory(`${directory}/file`)).rejects.toMatchObject({ code: 'EEXIST' });
});

test('the lock is refused to a second process and to a second taker, and freed by kill -9', async () => {
  const lock = new NodeDirectoryLock();
  const child = await holdInChild();
  await expect(lock.acquire(directory)).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    message: expect.stringContaining(`process ${child.pid}`),
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const held = await lock.acquire(directory);
  await expect(lock.acquire(directory)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await held.release();
  await (await lock.acquire(directory)).release();
});

test('the lock proves nothing of who holds another file: not in a copy of the directory, nor beside a lock that was removed', async () => {
  const lock = new NodeDirectoryLock();
  const original = `${directory}/original`;
  await new NodeDisk().makeDirectory(original);
  const first = await lock.acquire(original);
  expect(first.bootId).toMatch(/./);
  await cp(original, `${directory}/copy`, { recursive: true });
  const copied = await lock.acquire(`${directory}/copy`);
  expect(copied.bootId).not.toBe(first.bootId);
  await rm(`${original}/LOCK`);
  const usurper = await lock.acquire(original);
  expect(usurper.bootId).not.toBe(first.bootId);
  for (const held of [first, copied, usurper]) await held.release();
  await rename(original, `${directory}/moved`);
  const moved = await lock.acquire(`${directory}/moved`);
  expect(moved.bootId).toBe(usurper.bootId);
  await moved.release();
});

test('a machine without the flock program is told what to install', async () => {
  const lock = new NodeDirectoryLock('no-such-flock');
  await expect(lock.acquire(directory)).rejects.toMatchObject({
    code: 'DATA_DIR_UNUSABLE',
    message: expect.stringContaining('util-linux'),
  });
});

/** A process that holds the lock as the library does: flock on a descriptor that the program inherits. */
async function holdInChild(): Promise<ChildProcess> {
  const source = fileURLToPath(new URL('../../test/support/lock-holder.mjs', import.meta.url));
  const child = spawn(process.execPath, [source, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}
