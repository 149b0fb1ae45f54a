import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NoriError } from '../base/errors.ts';
import { ByteWriter } from './bytes.ts';
import { beginFrame, controlFrameBytesMax, endFrame, type Frame, FrameReader, FrameType } from './frame.ts';

function frameOf(type: FrameType, body: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  const start = beginFrame(writer, type);
  writer.raw(body);
  endFrame(writer, start);
  return writer.take();
}

function readAll(reader: FrameReader, chunk: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  reader.push(chunk);
  for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(frame);
  return frames;
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

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('the bytes of a frame are these', () => {
  expect(hex(frameOf(FrameType.batch, new Uint8Array([1, 2, 3])))).toBe('050000000c9305e00400010203');
});

test('a stream reads the same wherever it is split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (bodies, sizes) => {
        const stream = Buffer.concat(bodies.map((body) => frameOf(FrameType.batch, body)));
        const reader = new FrameReader();
        const frames: Frame[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] as number;
          frames.push(...readAll(reader, stream.subarray(at, at + size)));
          at += size;
        }
        expect(frames.map((frame) => hex(frame.body))).toEqual(bodies.map(hex));
        expect(reader.midFrame).toBe(false);
      },
    ),
  );
});

test('a body outlives the chunk it came in', () => {
  const chunk = Buffer.from(frameOf(FrameType.batch, new Uint8Array([7, 8, 9])));
  const [frame] = readAll(new FrameReader(), chunk);
  chunk.fill(0);
  expect(frame?.body).toEqual(new Uint8Array([7, 8, 9]));
});

test('a body that grows over several allocations arrives whole', () => {
  const body = new Uint8Array(5 * 1024 * 1024 + 3);
  for (let at = 0; at < body.length; at += 1) body[at] = at * 31;
  const stream = frameOf(FrameType.batch, body);
  const reader = new FrameReader();
  reader.allowBatches(32 * 1024 * 1024);
  const frames: Frame[] = [];
  for (let at = 0; at < stream.length; at += 65_536) frames.push(...readAll(reader, stream.subarray(at, at + 65_536)));
  expect(frames).toHaveLength(1);
  expect(Buffer.compare(frames[0]?.body as Uint8Array, body)).toBe(0);
});

describe('what is no frame ends with a typed error', () => {
  const head = (length: number, type: number): Uint8Array => {
    const bytes = new Uint8Array(10);
    new DataView(bytes.buffer).setUint32(0, length, true);
    bytes[8] = type;
    return bytes;
  };

  test.each([
    ['a length of 0', head(0, 4), 'WIRE_MALFORMED'],
    ['a length of 1', head(1, 4), 'WIRE_MALFORMED'],
    ['2 GiB less one', head(2 ** 31 - 1, 4), 'WIRE_TOO_LARGE'],
    ['2 GiB', head(2 ** 31, 4), 'WIRE_TOO_LARGE'],
    ['4 GiB less one', head(2 ** 32 - 1, 4), 'WIRE_TOO_LARGE'],
    ['more than a control frame before the handshake has ended', head(controlFrameBytesMax + 1, 4), 'WIRE_TOO_LARGE'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'WIRE_TOO_LARGE'],
    ['TLS', Buffer.from('16030102000100', 'hex'), 'WIRE_TOO_LARGE'],
    ['RESP', Buffer.from('*1\r\n$4\r\nPING\r\n'), 'WIRE_TOO_LARGE'],
  ])('%s', (_what, bytes, code) => {
    expect(codeOf(() => readAll(new FrameReader(), bytes))).toBe(code);
  });

  test('the length is judged with its fourth byte, before anything is kept', () => {
    const reader = new FrameReader();
    expect(codeOf(() => readAll(reader, head(2 ** 31, 4).subarray(0, 4)))).toBe('WIRE_TOO_LARGE');
  });

  test('a control frame stays small after the handshake too', () => {
    const reader = new FrameReader();
    reader.allowBatches(1024 * 1024);
    expect(codeOf(() => readAll(reader, head(100_000, FrameType.batch)))).toBe('none');
    const other = new FrameReader();
    other.allowBatches(1024 * 1024);
    expect(codeOf(() => readAll(other, head(100_000, FrameType.hello)))).toBe('WIRE_TOO_LARGE');
  });

  test('a damaged bit anywhere is noticed, or asks for more bytes', () => {
    const frame = frameOf(FrameType.batch, new Uint8Array([1, 2, 3, 4, 5]));
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const damaged = frame.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const reader = new FrameReader();
      let frames: Frame[] = [];
      const code = codeOf(() => {
        frames = readAll(reader, damaged);
      });
      expect(frames).toHaveLength(0);
      expect(code !== 'none' || reader.midFrame).toBe(true);
    }
  });

  test('an announced length costs no memory', () => {
    const readers: FrameReader[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for (let at = 0; at < 100; at += 1) {
      const reader = new FrameReader();
      reader.allowBatches(32 * 1024 * 1024);
      readAll(reader, head(32 * 1024 * 1024, FrameType.batch));
      readers.push(reader);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * 1024 * 1024);
    expect(readers).toHaveLength(100);
  });
});
