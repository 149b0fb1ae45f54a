import { crc32 } from 'node:zlib';
import type { Entry } from './entry.ts';
import { type Capture, Store } from './store.ts';
import { copyInto, toValue } from './value.ts';

/**
 * The image of a store: blocks of `length (u32) | crc32 of kind and body (u32) | kind (u8) | body`, little-endian. The
 * first block names the format, blocks of keys follow, and the last holds what the whole must come to.
 */
const formatVersion = 1;
const magic = 'NORIKV';
const Block = { header: 1, keys: 2, end: 3 } as const;
const blockHeaderBytes = 9;
const blockBytesTarget = 64 * 1024;
/** No block is longer: one key and one value of the largest size, and room for what an operator may configure. */
const blockBytesMax = 1024 * 1024 * 1024;
const keyHeaderBytes = 16;

export class SnapshotFormatError extends Error {
  override readonly name = 'SnapshotFormatError';
}

function block(kind: number, bodyBytes: number, write: (body: Buffer) => void): Buffer {
  const whole = Buffer.allocUnsafeSlow(blockHeaderBytes + bodyBytes);
  whole.writeUInt32LE(bodyBytes, 0);
  whole[8] = kind;
  write(whole.subarray(blockHeaderBytes));
  whole.writeUInt32LE(crc32(whole.subarray(8)), 4);
  return whole;
}

const keyBytes = (entry: Entry): number => keyHeaderBytes + entry.key.length + entry.value.length;

function keysBlock(entries: readonly Entry[], bytes: number): Buffer {
  return block(Block.keys, bytes, (body) => {
    let at = 0;
    for (const { key, value, expireMs } of entries) {
      body.writeUInt32LE(key.length, at);
      body.writeUInt32LE(value.length, at + 4);
      body.writeDoubleLE(expireMs, at + 8);
      body.write(key, at + keyHeaderBytes, 'latin1');
      copyInto(body, at + keyHeaderBytes + key.length, value);
      at += keyHeaderBytes + key.length + value.length;
    }
  });
}

/** Reads a capture out as blocks, and lets go of each slot as it is done with it. */
function* blocksOf(capture: Capture): Generator<Buffer, void, void> {
  try {
    yield block(Block.header, magic.length + 1, (body) => {
      body.write(magic, 0, 'latin1');
      body[magic.length] = formatVersion;
    });
    let entries: Entry[] = [];
    let bytes = 0;
    for (const [slot, keys] of capture.slots) {
      for (const entry of keys.values()) {
        entries.push(entry);
        bytes += keyBytes(entry);
        if (bytes < blockBytesTarget) continue;
        yield keysBlock(entries, bytes);
        entries = [];
        bytes = 0;
      }
      // Entries never change, so those still in `entries` need no protection.
      capture.release(slot);
    }
    if (bytes > 0) yield keysBlock(entries, bytes);
    yield block(Block.end, 32, (body) => {
      body.writeDoubleLE(capture.count, 0);
      body.writeDoubleLE(capture.timeMs, 8);
      body.write(capture.digest, 16, 'latin1');
    });
  } finally {
    capture.close();
  }
}

/** The image of what was captured. Whoever stops reading early must close the iterator, as `for await` does. */
export function writeSnapshot(capture: Capture): AsyncIterable<Uint8Array> {
  const blocks = blocksOf(capture);
  const iterator: AsyncIterator<Uint8Array, void, void> = {
    // oxlint-disable-next-line typescript/require-await
    next: async () => blocks.next(),
    // oxlint-disable-next-line typescript/require-await
    return: async () => {
      // A generator that was never started would not run its `finally`.
      capture.close();
      blocks.return();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Collects bytes that come in pieces of any size, and gives them out in blocks. */
class BlockReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(image: AsyncIterable<Uint8Array>) {
    this.#source = image[Symbol.asyncIterator]();
  }

  async read(): Promise<{ readonly kind: number; readonly body: Buffer }> {
    const header = await this.#take(blockHeaderBytes);
    const length = header.readUInt32LE(0);
    if (length > blockBytesMax) throw new SnapshotFormatError('a block of the snapshot is impossibly long');
    const body = await this.#take(length);
    if (crc32(body, crc32(header.subarray(8))) !== header.readUInt32LE(4))
      throw new SnapshotFormatError('a block of the snapshot is damaged');
    return { kind: header[8] as number, body };
  }

  async expectEnd(): Promise<void> {
    if (this.#bytes > 0 || (await this.#fill())) throw new SnapshotFormatError('the snapshot goes on after its end');
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#pieces.push(next.value);
      this.#bytes += next.value.length;
      return true;
    }
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#bytes < count) if (!(await this.#fill())) throw new SnapshotFormatError('the snapshot is cut short');
    const all = this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces);
    const whole = Buffer.from(all.buffer, all.byteOffset, all.byteLength);
    this.#bytes -= count;
    this.#pieces = this.#bytes === 0 ? [] : [whole.subarray(count)];
    return whole.subarray(0, count);
  }
}

/** A new store from an image; throws, and changes nothing, if a single bit of it is not as it was written. */
export async function readSnapshot(image: AsyncIterable<Uint8Array>): Promise<Store> {
  const reader = new BlockReader(image);
  const first = await reader.read();
  if (first.kind !== Block.header || first.body.toString('latin1', 0, magic.length) !== magic)
    throw new SnapshotFormatError('this is not a snapshot of nori-kv');
  const version = first.body[magic.length];
  if (version !== formatVersion)
    throw new SnapshotFormatError(`snapshot format ${version} is not supported, only ${formatVersion} is`);
  const store = new Store();
  for (;;) {
    const { kind, body } = await reader.read();
    if (kind === Block.keys) readKeys(store, body);
    else if (kind === Block.end) {
      const whole = body.readDoubleLE(0) === store.count && body.toString('latin1', 16, 32) === store.digest;
      if (!whole) throw new SnapshotFormatError('the snapshot does not hold what it says');
      await reader.expectEnd();
      store.advanceTime(body.readDoubleLE(8));
      return store;
    } else throw new SnapshotFormatError(`the snapshot holds a block of unknown kind ${kind}`);
  }
}

function readKeys(store: Store, body: Buffer): void {
  for (let at = 0; at < body.length; ) {
    const keyEnd = at + keyHeaderBytes + body.readUInt32LE(at);
    const valueEnd = keyEnd + body.readUInt32LE(at + 4);
    if (valueEnd > body.length) throw new SnapshotFormatError('a key of the snapshot is cut short');
    const place = store.locate(body.subarray(at + keyHeaderBytes, keyEnd));
    store.write(place, toValue(body.subarray(keyEnd, valueEnd)), body.readDoubleLE(at + 8));
    at = valueEnd;
  }
}
