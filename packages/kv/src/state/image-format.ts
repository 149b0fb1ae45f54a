import { crc32 } from 'node:zlib';

/**
 * The image of a shard: blocks of `length (u32) | crc32 of kind and body (u32) | kind (u8) | body`, little-endian. The
 * first block names the format, blocks of keys follow, and the last holds what the whole must come to.
 */
export const formatVersion = 1;
export const magic = 'NORIKV';
export const Block = { header: 1, keys: 2, end: 3 } as const;
export const blockHeaderBytes = 9;
/** No block is longer: one key and one value of the largest size, and room for what an operator may configure. */
export const blockBytesMax: number = 1024 * 1024 * 1024;
export const keyHeaderBytes = 16;

export class SnapshotFormatError extends Error {
  override readonly name = 'SnapshotFormatError';
}

export function block(kind: number, bodyBytes: number, write: (body: Buffer) => void): Buffer {
  const whole = Buffer.allocUnsafeSlow(blockHeaderBytes + bodyBytes);
  whole.writeUInt32LE(bodyBytes, 0);
  whole[8] = kind;
  write(whole.subarray(blockHeaderBytes));
  whole.writeUInt32LE(crc32(whole.subarray(8)), 4);
  return whole;
}

/** A key as it stands in a block, its bytes views of the block. */
export interface KeyRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  /** In ms since 1970; 0: never. */
  readonly expireMs: number;
}

/** The keys of a block's body. */
export function* keyRecords(body: Buffer): Generator<KeyRecord, void, void> {
  for (let at = 0; at < body.length; ) {
    if (at + keyHeaderBytes > body.length) throw new SnapshotFormatError(cutShort);
    const keyEnd = at + keyHeaderBytes + body.readUInt32LE(at);
    const valueEnd = keyEnd + body.readUInt32LE(at + 4);
    if (valueEnd > body.length) throw new SnapshotFormatError(cutShort);
    yield {
      key: body.subarray(at + keyHeaderBytes, keyEnd),
      value: body.subarray(keyEnd, valueEnd),
      expireMs: body.readDoubleLE(at + 8),
    };
    at = valueEnd;
  }
}

const cutShort = 'a key of the snapshot is cut short';
