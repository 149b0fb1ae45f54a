import type { Entry } from './entry.ts';
import { Block, block, formatVersion, keyHeaderBytes, keyRecords, magic, SnapshotFormatError } from './image-format.ts';
import { ImageReader } from './image-reader.ts';
import type { Capture, Store } from './store.ts';
import { copyInto, toValue } from './value.ts';

const blockBytesTarget = 64 * 1024;
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

/** Reads a capture out as blocks, each when it is asked for: so long is the longest time that anything else waits. */
function* blocksOf(capture: Capture): Generator<Buffer, void, void> {
  try {
    yield block(Block.header, magic.length + 1, (body) => {
      body.write(magic, 0, 'latin1');
      body[magic.length] = formatVersion;
    });
    let entries: Entry[] = [];
    let bytes = 0;
    for (const entry of capture.entries()) {
      entries.push(entry);
      bytes += keyBytes(entry);
      if (bytes < blockBytesTarget) continue;
      yield keysBlock(entries, bytes);
      entries = [];
      bytes = 0;
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

/**
 * Fills an empty store from an image; throws if a single bit of it is not as it was written.
 *
 * @throws SnapshotFormatError; the store is of no use then.
 */
export async function readSnapshot(image: AsyncIterable<Uint8Array>, store: Store): Promise<void> {
  const reader = new ImageReader(image);
  const blocks = reader.keys();
  for (;;) {
    const next = await blocks.next();
    if (next.done !== true) {
      for (const { key, value, expireMs } of keyRecords(next.value))
        store.write(store.locate(key), toValue(value), expireMs);
      await store.relief();
      continue;
    }
    const { count, digest, timeMs } = next.value;
    if (count !== store.count || digest !== store.digest)
      throw new SnapshotFormatError('the snapshot does not hold what it says');
    await reader.expectEnd();
    store.advanceTime(timeMs);
    return;
  }
}
