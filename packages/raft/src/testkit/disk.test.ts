import { expect, test } from 'vitest';
import { Prng } from '../base/prng.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { syncOf, writeOf } from '../wal/disk-promises.ts';
import { SimDisk } from './disk.ts';
import type { Life } from './life.ts';
import { Timeline } from './timeline.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const raw = (of: string): Uint8Array => new TextEncoder().encode(of);

/** One machine's disk, and time that passes by itself. */
class Bench {
  readonly timeline = new Timeline(new Prng(1), false);
  readonly disk: SimDisk;
  life: Life = { machine: { id: 'n1', place: 0 }, over: false };
  port: Disk;

  constructor(seed = 1) {
    this.disk = new SimDisk(this.timeline, new Prng(seed), () => undefined);
    this.port = this.disk.boot(this.life);
  }

  async do<T>(promise: Promise<T>): Promise<T> {
    const state = { open: true };
    const close = (): void => {
      state.open = false;
    };
    promise.then(close, close);
    while (state.open) {
      await new Promise((resolve) => setImmediate(resolve));
      this.timeline.next(this.timeline.nowMs + 10_000)?.run?.();
    }
    return promise;
  }

  reboot(cut: boolean): void {
    this.life.over = true;
    if (cut) this.disk.powerCut();
    else this.disk.processDied();
    this.life = { machine: this.life.machine, over: false };
    this.port = this.disk.boot(this.life);
  }

  async written(path: string, content: string, synced: boolean): Promise<DiskFile> {
    const file = await this.do(this.port.open(path, { create: true }));
    await this.do(writeOf(file, raw(content), 0));
    if (synced) await this.do(syncOf(file));
    if (synced) await this.do(this.port.syncDirectory('disk'));
    return file;
  }

  async content(path: string): Promise<string | null> {
    if (!(await this.do(this.port.list('disk'))).includes(path.slice(5))) return null;
    const file = await this.do(this.port.open(path, { create: false }));
    return text(await this.do(file.read(0, await this.do(file.sizeBytes()))));
  }
}

test('a power cut drops what was not synced, a crash of the process does not', async () => {
  const lost = new Set<boolean>();
  for (let seed = 1; seed <= 30; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.written('disk/a', 'old', true);
    await bench.do(writeOf(file, raw('new'), 0));
    bench.reboot(false);
    expect(await bench.content('disk/a')).toBe('new');
    bench.reboot(true);
    const left = await bench.content('disk/a');
    expect(['old', 'new']).toContain(left);
    lost.add(left === 'old');
  }
  expect(lost).toEqual(new Set([true, false]));
});

test('what was synced survives every power cut', async () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const bench = new Bench(seed);
    await bench.written('disk/a', 'kept', true);
    bench.reboot(true);
    expect(await bench.content('disk/a')).toBe('kept');
  }
});

test('a name that was not synced may be lost, and a rename too', async () => {
  const left = new Set<string | null>();
  for (let seed = 1; seed <= 30; seed += 1) {
    const bench = new Bench(seed);
    await bench.written('disk/a', 'old', true);
    const fresh = await bench.written('disk/b', 'new', false);
    await bench.do(syncOf(fresh));
    await bench.do(bench.port.rename('disk/b', 'disk/a'));
    bench.reboot(true);
    left.add(await bench.content('disk/a'));
  }
  expect(left).toEqual(new Set(['old', 'new']));
});

test('a power cut in the middle of a large write keeps any subset of its sectors', async () => {
  const images = new Set<string>();
  for (let seed = 1; seed <= 60; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.written('disk/a', 'a'.repeat(2048), true);
    await bench.do(writeOf(file, raw('b'.repeat(2048)), 0));
    bench.reboot(true);
    const content = (await bench.content('disk/a')) ?? '';
    images.add([0, 512, 1024, 1536].map((at) => content[at]).join(''));
  }
  expect(images.size).toBeGreaterThan(5);
  expect(images.has('aaaa')).toBe(true);
  expect(images.has('bbbb')).toBe(true);
});

test('after a failed sync the next one succeeds, and a power cut may still take the bytes', async () => {
  const left = new Set<string | null>();
  for (let seed = 1; seed <= 30; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.written('disk/a', 'old', true);
    await bench.do(writeOf(file, raw('new'), 0));
    bench.disk.weather.syncErrorRate = 1;
    await expect(bench.do(syncOf(file))).rejects.toMatchObject({ code: 'EIO' });
    bench.disk.weather.syncErrorRate = 0;
    await bench.do(syncOf(file));
    expect(await bench.content('disk/a')).toBe('new');
    bench.reboot(true);
    left.add(await bench.content('disk/a'));
  }
  expect(left).toEqual(new Set(['old', 'new']));
});

test('a full volume takes a part, then nothing, and takes more when there is room', async () => {
  const bench = new Bench();
  const file = await bench.written('disk/a', '1234', true);
  bench.disk.weather.capacityBytes = 6;
  expect(await bench.do(writeOf(file, raw('5678'), 4))).toBe(2);
  await expect(bench.do(writeOf(file, raw('78'), 6))).rejects.toMatchObject({ code: 'ENOSPC' });
  bench.disk.weather.capacityBytes = 100;
  expect(await bench.do(writeOf(file, raw('78'), 6))).toBe(2);
  expect(await bench.content('disk/a')).toBe('12345678');
});

test('nothing a dead process asked for happens any more', async () => {
  const bench = new Bench();
  const { port } = bench;
  bench.reboot(false);
  let settled = false;
  port.open('disk/x', { create: true }).then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await bench.do(bench.port.list('disk'));
  expect(settled).toBe(false);
  expect(await bench.content('disk/x')).toBeNull();
});
