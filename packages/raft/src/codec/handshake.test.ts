import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NoriError } from '../base/errors.ts';
import { nodeId } from '../core/types.ts';
import { ByteWriter } from './bytes.ts';
import { Channel, type Hello, readHello, readRefusal, writeHello, writeRefusal } from './handshake.ts';

const hello: Hello = {
  protocolMin: 1,
  protocolMax: 1,
  clusterId: new Uint8Array(16).fill(0xc1),
  nodeId: nodeId('n1'),
  expectedId: nodeId('n2'),
  identity: {
    diskId: new Uint8Array(16).fill(0xd1),
    incarnation: { counter: 3, nonce: new Uint8Array(8).fill(0xe1) },
    attributes: { resp: ':1' },
    deadSince: 2,
  },
  vouched: [[nodeId('n3'), new Uint8Array(16).fill(0xd3)]],
  channel: Channel.main,
};

function encode(value: Hello): Uint8Array {
  const writer = new ByteWriter();
  writeHello(writer, value);
  return writer.take();
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof NoriError) return error.code;
    throw error;
  }
  return 'none';
}

test('the bytes of a hello are these, and read back as it was', () => {
  const bytes = encode(hello);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    [
      '4e4f524952414654', // NORIRAFT
      '01000100',
      'c1'.repeat(16),
      '02006e31',
      '02006e32',
      'd1'.repeat(16),
      '0300000000000000',
      'e1'.repeat(8),
      '0100',
      '040072657370',
      '02003a31',
      '0100',
      '02006e33',
      'd3'.repeat(16),
      '0200000000000000',
    ].join(''),
  );
  expect(readHello(bytes)).toEqual(hello);
});

test('bytes of a newer version behind the last field are ignored', () => {
  expect(readHello(new Uint8Array([...encode(hello), 0, 2, 3]))).toEqual(hello);
});

test('the usual channel is not written, the one for snapshots is the last byte', () => {
  const bulk: Hello = { ...hello, channel: Channel.bulk };
  expect(encode(bulk)).toEqual(new Uint8Array([...encode(hello), 1]));
  expect(readHello(encode(bulk))).toEqual(bulk);
});

test('no common version is told before anything behind it is read', () => {
  const newer = encode({ ...hello, protocolMin: 2, protocolMax: 9 }).slice(0, 12);
  expect(codeOf(() => readHello(newer))).toBe('WIRE_VERSION');
});

test('an attribute may have any name', () => {
  const attributes = JSON.parse('{"__proto__": "x", "constructor": "y", "": "z"}') as Record<string, string>;
  const read = readHello(encode({ ...hello, identity: { ...hello.identity, attributes } }));
  expect(Object.entries(read.identity.attributes)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
    ['', 'z'],
  ]);
  expect(({} as Record<string, unknown>).x).toBeUndefined();
});

describe('bytes that are no hello', () => {
  test('never throw anything but a NoriError', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 5 }), fc.nat(200), (changes, length) => {
        const bytes = encode(hello);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        expect(codeOf(() => readHello(bytes.subarray(0, length)))).toMatch(/^(none|WIRE_MALFORMED|WIRE_VERSION)$/);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['another magic', (bytes: Uint8Array) => bytes.fill(0x41, 0, 8)],
    ['versions upside down', (bytes: Uint8Array) => bytes.fill(2, 8, 9)],
    ['too many attributes', (bytes: Uint8Array) => bytes.fill(33, 68, 69)],
    ['an id that is none', (bytes: Uint8Array) => bytes.fill(0x20, 30, 32)],
  ])('%s is refused', (_what, damage) => {
    const bytes = encode(hello);
    damage(bytes);
    expect(codeOf(() => readHello(bytes))).toBe('WIRE_MALFORMED');
  });
});

describe('a refusal', () => {
  const roundTrip = (code: string, message: string): NoriError => {
    const writer = new ByteWriter();
    writer.text(code);
    writer.text(message);
    return readRefusal(writer.take());
  };

  test('carries code and text', () => {
    const writer = new ByteWriter();
    writeRefusal(writer, new NoriError('DISK_REPLACED', { message: 'another disk' }));
    const error = readRefusal(writer.take());
    expect([error.code, error.message]).toEqual(['DISK_REPLACED', 'another disk']);
  });

  test('of a newer version keeps its name', () => {
    expect(roundTrip('NEW_CODE', 'why').code).toBe('UNSUPPORTED');
    expect(roundTrip('NEW_CODE', 'why').message).toBe('NEW_CODE: why');
    expect(roundTrip('constructor', 'why').code).toBe('UNSUPPORTED');
  });

  test('cannot write lines or colours into a log', () => {
    expect(roundTrip('WRONG_NODE', 'a\r\n\u001b[31mred').message).toBe('a???[31mred');
  });
});
