import { describe, expect, test } from 'vitest';
import { crc32c } from '../base/crc32c.ts';
import { ByteReader, ByteWriter } from '../codec/bytes.ts';
import { decodeIdentity, encodeIdentity } from '../codec/identity.ts';
import {
  type GroupCheckpoint,
  type Quarantine,
  QuarantineStage,
  readRecord,
  RecordKind,
  type WalRecord,
  writeBaseRecord,
  writeCheckpointRecord,
  writeEntriesRecord,
  writeGroupRecord,
  writeHardStateRecord,
  writeQuarantineRecord,
  writeSegmentHeadRecord,
} from '../codec/record.ts';
import { entry, EntryKind, type HardState, nodeId } from '../core/types.ts';
import { beginBlock, BlockKind, readBlock, sealBlock, trailerOf } from './block.ts';

// The bytes of format 1 (docs/disk-format.md). They are on people's disks: a test that fails here asks for a new format.

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function unhex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, '');
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(at * 2, at * 2 + 2), 16),
  );
}

const hardState: HardState = {
  term: 5,
  votedFor: nodeId('n2'),
  promises: [{ term: 4, holder: nodeId('n3'), incarnation: 6, lineage: 0xa1b2c3d4, durationMs: 2040.5 }],
};
const base = { index: 9, term: 3, timeMs: 1000 };
const checkpoint: GroupCheckpoint = { destroyed: false, last: 12, base, hardState, quarantine: null };
const quarantine: Quarantine = { stage: QuarantineStage.asking, voter: true, since: 5, reason: 'rot' };
const entries = [
  entry({ index: 7, term: 2, kind: EntryKind.noop, timeMs: 1000 }),
  entry({ index: 8, term: 2, kind: EntryKind.command, timeMs: 1001, payload: Uint8Array.of(0xaa, 0xbb) }),
];

const records: (readonly [string, (writer: ByteWriter) => void, WalRecord, string])[] = [
  [
    'entries',
    (writer) => writeEntriesRecord(writer, 1, entries, { from: 0, bytesMax: 4096 }),
    { kind: RecordKind.entries, group: 1, entries },
    '01 01000000 3a000000 0700000000000000 02000000 0000 0200000000000000 e803000000000000 00000000 0100 0200000000000000 e903000000000000 02000000 aabb',
  ],
  [
    'a hard state with a promise',
    (writer) => writeHardStateRecord(writer, 1, hardState),
    { kind: RecordKind.hardState, group: 1, hardState },
    '02 01000000 2e000000 0500000000000000 0200 6e32 0100 0400000000000000 0200 6e33 0600000000000000 d4c3b2a1 0000000000e29f40',
  ],
  [
    'a hard state without a vote',
    (writer) => writeHardStateRecord(writer, 1, { term: 1, votedFor: null, promises: [] }),
    { kind: RecordKind.hardState, group: 1, hardState: { term: 1, votedFor: null, promises: [] } },
    '02 01000000 0c000000 0100000000000000 0000 0000',
  ],
  [
    'a group created',
    (writer) => writeGroupRecord(writer, 0xfffffffe, RecordKind.groupCreated),
    { kind: RecordKind.groupCreated, group: 0xfffffffe },
    '03 feffffff 00000000',
  ],
  [
    'a group destroyed',
    (writer) => writeGroupRecord(writer, 2, RecordKind.groupDestroyed),
    { kind: RecordKind.groupDestroyed, group: 2 },
    '04 02000000 00000000',
  ],
  [
    'a base',
    (writer) => writeBaseRecord(writer, 1, base, true),
    { kind: RecordKind.base, group: 1, base, reset: true },
    '05 01000000 19000000 01 0900000000000000 0300000000000000 e803000000000000',
  ],
  [
    'a segment head',
    (writer) => writeSegmentHeadRecord(writer, { sizeBytes: 16_777_216, previousEnd: 1024 }),
    { kind: RecordKind.segmentHead, group: 0, head: { sizeBytes: 16_777_216, previousEnd: 1024 } },
    '06 00000000 10000000 0000000100000000 0004000000000000',
  ],
  [
    'a checkpoint',
    (writer) => writeCheckpointRecord(writer, 3, checkpoint),
    { kind: RecordKind.groupCheckpoint, group: 3, checkpoint },
    '07 03000000 4f000000 00 0c00000000000000 0900000000000000 0300000000000000 e803000000000000 0500000000000000 0200 6e32 0100 0400000000000000 0200 6e33 0600000000000000 d4c3b2a1 0000000000e29f40',
  ],
  [
    'a checkpoint of a group in quarantine',
    (writer) => writeCheckpointRecord(writer, 3, { ...checkpoint, quarantine }),
    { kind: RecordKind.groupCheckpoint, group: 3, checkpoint: { ...checkpoint, quarantine } },
    '07 03000000 5e000000 02 0c00000000000000 0900000000000000 0300000000000000 e803000000000000 0500000000000000 0200 6e32 0100 0400000000000000 0200 6e33 0600000000000000 d4c3b2a1 0000000000e29f40 02 01 0500000000000000 0300 726f74',
  ],
  [
    'a quarantine',
    (writer) => writeQuarantineRecord(writer, 3, quarantine),
    { kind: RecordKind.quarantine, group: 3, quarantine },
    '08 03000000 0f000000 02 01 0500000000000000 0300 726f74',
  ],
  [
    'the end of a quarantine',
    (writer) => writeQuarantineRecord(writer, 3, null),
    { kind: RecordKind.quarantine, group: 3, quarantine: null },
    '08 03000000 0c000000 00 00 0000000000000000 0000',
  ],
];

describe('a record is written in these bytes and read from them', () => {
  test.each(records)('%s', (_name, write, record, golden) => {
    const writer = new ByteWriter();
    write(writer);
    expect(hex(writer.take())).toBe(golden.replaceAll(' ', ''));
    expect(readRecord(new ByteReader(unhex(golden)))).toEqual(record);
  });

  test('a record cut off anywhere, or of an unknown kind, is refused', () => {
    for (const [, , , golden] of records) {
      const bytes = unhex(golden);
      for (let end = 0; end < bytes.length; end += 1) {
        expect(() => readRecord(new ByteReader(bytes, 0, end))).toThrow('malformed');
      }
    }
    expect(() => readRecord(new ByteReader(unhex('2a 01000000 00000000')))).toThrow('unknown kind');
  });
});

const stamp = { kind: BlockKind.data, segment: 3, sequence: 0x1_0000_0002, salt: 7, previousCrc: 0xdeadbeef };
const stampAndRecord =
  '4e525742 0100 02 00 00020000 09000000 efbeadde 0300000000000000 0200000001000000 0700000000000000 03 01000000 00000000';
const places = { format: 1, start: 0, end: 512, payloadStart: 48, payloadEnd: 57 };

test('a block is written in these bytes, whole sectors with contents and a trailer, and read from them', () => {
  const writer = new ByteWriter();
  beginBlock(writer);
  writeGroupRecord(writer, 1, RecordKind.groupCreated);
  const crc = sealBlock(writer, stamp);
  const bytes = writer.take();
  expect(hex(bytes.subarray(0, 57))).toBe(`fe4c1d2b ${stampAndRecord}`.replaceAll(' ', ''));
  expect(bytes.subarray(57, 488).every((byte) => byte === 0)).toBe(true);
  const ending = '01000000 ad1976eb 01000000 b3a3f1af 4e524243 03030311';
  expect([bytes.length, hex(bytes.subarray(488))]).toEqual([512, ending.replaceAll(' ', '')]);
  expect(readBlock(new DataView(bytes.buffer), 0)).toEqual({ ...stamp, ...places, crc });
});

test('a block from before there were contents is read', () => {
  const bytes = new Uint8Array(512);
  bytes.set(unhex(`67fc0843 ${stampAndRecord}`));
  bytes.fill(0xa5, 508);
  expect(readBlock(new DataView(bytes.buffer), 0)).toEqual({ ...stamp, ...places, crc: 0x4308fc67 });
});

test('no two bytes of trailers are one bit apart, and none is that far from zero', () => {
  const bytes = new Set<number>();
  for (let salt = 0; salt < 127; salt += 1)
    bytes.add(trailerOf(salt) & 0xff).add((trailerOf(salt * 128) >>> 16) & 0xff);
  expect(bytes.size).toBe(127);
  for (const one of [0, ...bytes]) for (const other of bytes) expect(isPowerOfTwo(one ^ other)).toBe(false);
  // Another salt, another trailer.
  expect(new Set(Array.from({ length: 1000 }, (_, at) => trailerOf(at * 977))).size).toBe(1000);
});

const isPowerOfTwo = (bits: number): boolean => bits !== 0 && (bits & (bits - 1)) === 0;

test('an identity is written in these bytes and read from them, and a newer one is refused', () => {
  const identity = {
    clusterId: new Uint8Array(16).fill(0xc1),
    nodeId: nodeId('n1'),
    diskId: new Uint8Array(16).fill(0xd1),
    incarnation: { counter: 2, nonce: new Uint8Array(8).fill(0x0e) },
    bootId: 'b',
    deadSince: 1,
    founded: true,
    peers: new Map([
      [
        nodeId('n2'),
        {
          diskId: new Uint8Array(16).fill(0xd2),
          incarnation: { counter: 3, nonce: new Uint8Array(8).fill(0x0f) },
          attributes: { a: 'b' },
        },
      ],
    ]),
  };
  const golden =
    '57bc21ac 4e524944 0200 c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1 0200 6e31 d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1 0200000000000000 0e0e0e0e0e0e0e0e 0100 62 0100000000000000 01 0100 0200 6e32 d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2 0300000000000000 0f0f0f0f0f0f0f0f 0100 0100 61 0100 62';
  expect(hex(encodeIdentity(identity))).toBe(golden.replaceAll(' ', ''));
  expect(decodeIdentity(unhex(golden))).toEqual(identity);
  const newer = unhex(golden.replace('4e524944 0200', '4e524944 0300'));
  new DataView(newer.buffer).setUint32(0, crc32c(newer, 4), true);
  expect(() => decodeIdentity(newer)).toThrow('format 3');
});
