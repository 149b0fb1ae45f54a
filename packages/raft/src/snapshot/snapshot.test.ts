import { expect, test } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import { decodeSnapshotHeader, encodeSnapshotHeader } from '../codec/snapshot.ts';
import { foundingConfiguration } from '../core/configuration.ts';
import { nodeId } from '../core/types.ts';
import type { Disk } from '../ports/disk.ts';
import { syncFile, writeAll } from './file-calls.ts';
import { IncomingSnapshot } from './incoming.ts';
import { SnapshotReader } from './reader.ts';
import { SnapshotStore } from './store.ts';
import { writeSnapshot } from './writer.ts';

const point = {
  index: 9,
  term: 3,
  timeMs: 1000,
  configuration: foundingConfiguration([{ id: nodeId('n1'), address: 'a:1' }]),
  configurationIndex: 1,
};
const title = { group: 7, point, id: new Uint8Array(16).fill(0xab), chunkBytes: 10 };

async function* pieces(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) yield Uint8Array.from({ length: size }, () => at++ & 0xff);
}

async function written(disk: Disk, path: string, ...sizes: readonly number[]): Promise<void> {
  await writeSnapshot(disk, path, title, pieces(...sizes), () => true);
}

async function imageOf(disk: Disk, path: string): Promise<Uint8Array> {
  const reader = await SnapshotReader.open(disk, path);
  const all: number[] = [];
  for await (const piece of reader.image()) all.push(...piece);
  await reader.close();
  return Uint8Array.from(all);
}

async function bytesOf(disk: Disk, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, { create: false });
  const bytes = await file.read(0, await file.sizeBytes());
  await file.close();
  return bytes;
}

async function put(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(path, { create: true });
  await file.truncate(0);
  await writeAll(file, bytes, 0);
  await syncFile(file);
  await file.close();
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('the header of format 1 (docs/disk-format.md)', () => {
  const header = { ...title, fileBytes: 500, checksum: 0x01020304 };
  const bytes = encodeSnapshotHeader(header);
  expect(hex(bytes)).toBe(
    [
      'CRC 4e52534e 0100 0000 6b000000 f401000000000000 04030201 0a000000 abababababababababababababababab',
      '07000000 0900000000000000 0300000000000000 e803000000000000 0100000000000000',
      '0100 02006e31 0000 0000 0000 0100 02006e31 0300613a31',
    ]
      .join(' ')
      .replace('CRC', hex(bytes.subarray(0, 4)))
      .replaceAll(' ', ''),
  );
  expect(decodeSnapshotHeader(bytes)).toEqual({ ...header, headerBytes: bytes.length });
});

test('an image comes back the same, however it was cut', async () => {
  for (const sizes of [[], [0], [1], [10], [25], [3, 0, 7, 10, 1]]) {
    const disk = new MemoryDisk().boot();
    await written(disk, 'a', ...sizes);
    const length = sizes.reduce((sum, size) => sum + size, 0);
    expect(await imageOf(disk, 'a')).toEqual(Uint8Array.from({ length }, (_, at) => at & 0xff));
  }
});

test('any flipped bit, any lost end and any swapped chunk is found', async () => {
  const disk = new MemoryDisk().boot();
  await written(disk, 'a', 35);
  const whole = await bytesOf(disk, 'a');
  const refused = async (bytes: Uint8Array): Promise<void> => {
    await put(disk, 'b', bytes);
    await expect(imageOf(disk, 'b')).rejects.toMatchObject({
      code: expect.stringMatching(/SNAPSHOT_DAMAGED|FORMAT_TOO_NEW/),
    });
  };
  for (let bit = 0; bit < whole.length * 8; bit += 5) {
    const flipped = whole.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    await refused(flipped);
  }
  for (const kept of [0, 10, 60, whole.length - 1]) await refused(whole.subarray(0, kept));
  const { headerBytes } = decodeSnapshotHeader(whole.subarray(0, new DataView(whole.buffer).getUint32(12, true)));
  const chunk = 18;
  const swapped = whole.slice();
  swapped.set(whole.subarray(headerBytes, headerBytes + chunk), headerBytes + chunk);
  swapped.set(whole.subarray(headerBytes + chunk, headerBytes + 2 * chunk), headerBytes);
  await refused(swapped);
});

test('what arrives goes on behind its last whole chunk, and starts over for another file', async () => {
  const disk = new MemoryDisk().boot();
  await written(disk, 'a', 35);
  const whole = await bytesOf(disk, 'a');
  const reader = await SnapshotReader.open(disk, 'a');
  const { headerBytes } = reader.header;
  const header = whole.slice(0, headerBytes);
  const first = await IncomingSnapshot.begin(disk, 'in', header);
  expect(first.offset).toBe(headerBytes);
  await first.write(whole.subarray(headerBytes, headerBytes + 30));
  await first.close();
  const second = await IncomingSnapshot.begin(disk, 'in', header);
  expect(second.offset).toBe(headerBytes + 18);
  await second.write(whole.subarray(second.offset));
  expect(second.complete).toBe(true);
  await second.finish();
  expect(await bytesOf(disk, 'in')).toEqual(whole);
  const other = encodeSnapshotHeader({ ...title, id: new Uint8Array(16), fileBytes: 400, checksum: 1 });
  expect((await IncomingSnapshot.begin(disk, 'in', other)).offset).toBe(other.length);
});

test('what arrived damaged is not taken for whole', async () => {
  const disk = new MemoryDisk().boot();
  await written(disk, 'a', 35);
  const whole = await bytesOf(disk, 'a');
  const { headerBytes } = (await SnapshotReader.open(disk, 'a')).header;
  const incoming = await IncomingSnapshot.begin(disk, 'in', whole.slice(0, headerBytes));
  const rest = whole.slice(headerBytes);
  rest[12] = (rest[12] as number) ^ 1;
  await incoming.write(rest);
  await expect(incoming.finish()).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
});

test('one snapshot counts, and an older one stays while somebody reads it', async () => {
  const disk = new MemoryDisk().boot();
  const store = new SnapshotStore(disk, 'data/snapshots', 7);
  await store.prepare();
  const take = async (index: number): Promise<void> => {
    const header = await writeSnapshot(
      disk,
      store.takingPath,
      { ...title, point: { ...point, index } },
      pieces(20),
      () => true,
    );
    if (header !== null) await store.adopt(store.takingPath, header);
  };
  await take(9);
  const reader = await store.read();
  await take(12);
  expect((await disk.list(store.directory)).length).toBe(2);
  if (reader !== null) await store.release(reader);
  expect(await disk.list(store.directory)).toEqual(['000000000000000c-0000000000000003.snap']);
  await take(11);
  expect(store.newest?.point.index).toBe(12);
  const again = new SnapshotStore(disk, 'data/snapshots', 7);
  const newest = await again.open();
  expect(newest?.header.point.index).toBe(12);
});
