import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from './bytes.ts';
import {
  isTransferKind,
  readTransfer,
  type TransferItem,
  TransferKind,
  TransferStatus,
  writeTransfer,
} from './snapshot-transfer.ts';

const bytes = Uint8Array.of(0xaa, 0xbb);
const table: readonly (readonly [TransferItem, string])[] = [
  [{ kind: TransferKind.offer, transfer: 5, group: 7, header: bytes }, '0500000000000000 07000000 02000000 aabb'],
  [
    { kind: TransferKind.chunk, transfer: 5, group: 7, offset: 300, bytes },
    '0500000000000000 07000000 2c01000000000000 02000000 aabb',
  ],
  [
    { kind: TransferKind.ack, transfer: 5, group: 7, offset: 300, status: TransferStatus.done },
    '0500000000000000 07000000 2c01000000000000 02',
  ],
];

test('the items of a transfer have these bytes (docs/wire-format.md)', () => {
  for (const [item, expected] of table) {
    const writer = new ByteWriter();
    writeTransfer(writer, item);
    expect(Buffer.from(writer.take()).toString('hex')).toBe(expected.replaceAll(' ', ''));
    expect(readTransfer(new ByteReader(writer.take()), item.kind)).toEqual(item);
  }
  expect([65, 66, 68, 69].map(isTransferKind)).toEqual([false, true, true, false]);
});

test('an unknown status and a cut item are malformed', () => {
  const writer = new ByteWriter();
  writeTransfer(writer, { kind: TransferKind.ack, transfer: 1, group: 1, offset: 0, status: 9 as never });
  expect(() => readTransfer(new ByteReader(writer.take()), TransferKind.ack)).toThrow(/unknown status/);
  expect(() => readTransfer(new ByteReader(writer.take().subarray(0, 15)), TransferKind.ack)).toThrow(/end/);
});
