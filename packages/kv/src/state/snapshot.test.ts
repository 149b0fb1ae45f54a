import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCommand } from '../commands/command-codec.ts';
import { KvStateMachine } from './kv-state-machine.ts';
import { SnapshotFormatError } from './image-format.ts';

const startMs = 1000;

function apply(machine: KvStateMachine, line: string, timeMs: number = startMs): void {
  const command = encodeCommand(line.split(' ').map((word) => Buffer.from(word, 'latin1')));
  void machine.apply([{ index: 1, term: 1, timeMs, command }]);
}

async function read(image: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of image) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function restored(bytes: Buffer, size = 1000): Promise<KvStateMachine> {
  const machine = new KvStateMachine();
  await machine.restore(pieces(bytes, size));
  return machine;
}

function sample(): KvStateMachine {
  const machine = new KvStateMachine();
  for (let at = 0; at < 500; at += 1) apply(machine, `set key:${at} ${'v'.repeat(at * 5)}`);
  apply(machine, 'set \xff\x00 \xe4 px 5000');
  apply(machine, 'set  empty-key');
  return machine;
}

test('a restored machine is the one that replayed the log, and stays it', async () => {
  const keys = fc.integer({ min: 0, max: 20 }).map((key) => `k${key}`);
  const line = fc.oneof(
    fc.tuple(keys, fc.string()).map(([key, value]) => `set ${key} ${value.replaceAll(' ', '')}`),
    fc.tuple(keys, fc.integer({ min: 1, max: 50 })).map(([key, ms]) => `set ${key} x px ${ms}`),
    keys.map((key) => `append ${key} yyy`),
    keys.map((key) => `del ${key}`),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 100 }),
      fc.nat(100),
      fc.integer({ min: 1, max: 64 }),
      async (lines, cut, size) => {
        const replayed = new KvStateMachine();
        let image: Buffer = Buffer.alloc(0);
        for (const [at, text] of lines.entries()) {
          if (at === cut) image = await read(replayed.snapshot());
          apply(replayed, text, startMs + at);
        }
        if (image.length === 0) return;
        const machine = await restored(image, size);
        for (const [at, text] of lines.entries()) if (at >= cut) apply(machine, text, startMs + at);
        expect(machine.digest()).toBe(replayed.digest());
        expect(machine.count).toBe(replayed.count);
        expect(machine.nextDeadlineMs()).toBe(replayed.nextDeadlineMs());
      },
    ),
    { numRuns: 50 },
  );
});

describe('an image', () => {
  test('is of the moment it was asked for, whatever is applied while it is read', async () => {
    const machine = sample();
    const digest = machine.digest();
    const images = [machine.snapshot(), machine.snapshot()].map((image) => image[Symbol.asyncIterator]());
    const read: Uint8Array[][] = [[], []];
    for (let step = 0, open = 2; open > 0; step += 1) {
      open = 0;
      for (const [at, image] of images.entries()) {
        const next = await image.next();
        if (next.done === true) continue;
        read[at]?.push(next.value);
        open += 1;
        apply(machine, `set key:${step % 500} changed`);
        apply(machine, `del key:${(step * 7) % 500}`);
        apply(machine, `append key:${(step * 3) % 500} more`);
        apply(machine, `set new:${step} 1`);
        if (step === 5) apply(machine, 'flushall');
      }
    }
    for (const blocks of read) expect((await restored(Buffer.concat(blocks))).digest()).toBe(digest);
    expect(machine.digest()).not.toBe(digest);
  });

  test('that nobody reads to its end costs later writes nothing', async () => {
    const machine = sample();
    for await (const piece of machine.snapshot()) if (piece.length > 0) break;
    await machine.snapshot()[Symbol.asyncIterator]().return?.();
    apply(machine, 'set key:1 2');
    expect((await restored(await read(machine.snapshot()))).digest()).toBe(machine.digest());
  });

  test('of an empty machine restores one', async () => {
    const machine = sample();
    await machine.restore(pieces(await read(new KvStateMachine().snapshot()), 7));
    expect(machine.count).toBe(0);
    expect(machine.nextDeadlineMs()).toBeNull();
  });

  test('has bytes that never change', async () => {
    const machine = new KvStateMachine();
    apply(machine, 'set k v');
    expect((await read(machine.snapshot())).toString('hex')).toBe(
      // header, then the key k with its value v and no expiry time, then count, log time and digest
      '07000000134a5400014e4f52494b5601' +
        '120000006cfe8ee302010000000100000000000000000000006b76' +
        '200000004ad697db03000000000000f03f0000000000408f4036663434393565373939326263666664',
    );
  });
});

describe('a damaged image is refused and changes nothing:', () => {
  const image = read(sample().snapshot());
  /** What restoring does: the error, and whether the machine is the one it was. */
  const restore = async (bytes: Buffer): Promise<readonly [unknown, boolean]> => {
    const machine = new KvStateMachine();
    apply(machine, 'set mine 1');
    const digest = machine.digest();
    const error = await machine.restore(pieces(bytes, 5000)).catch((error: unknown) => error);
    return [error, machine.digest() === digest];
  };
  const refused = [expect.any(SnapshotFormatError), true];

  test('a flipped bit', async () => {
    const whole = await image;
    for (let at = 0; at < whole.length; at += at < 40 ? 1 : 5003) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      expect(await restore(damaged)).toEqual(refused);
    }
  });
  test('a missing end', async () => {
    const whole = await image;
    for (const end of [0, 1, 16, 100, whole.length - 41, whole.length - 1])
      expect(await restore(whole.subarray(0, end))).toEqual(refused);
  });
  test('a tail', async () => {
    expect(await restore(Buffer.concat([await image, Buffer.of(0)]))).toEqual(refused);
  });
  test('a missing block', async () => {
    const whole = await image;
    const without = Buffer.concat([whole.subarray(0, 16), whole.subarray(whole.length - 41)]);
    expect(await restore(without)).toEqual(refused);
  });
});
