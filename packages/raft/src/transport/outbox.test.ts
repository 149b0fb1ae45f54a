import { expect, test } from 'vitest';
import { numbered } from '../../test/support/transport-node.test-support.ts';
import { FrameReader, FrameType } from '../codec/frame.ts';
import { Outbox } from './outbox.ts';

const limits = { frameTargetBytes: 1000, frameBytesMax: 8000 };

function lengthsOf(stream: Uint8Array): number[] {
  const reader = new FrameReader();
  const lengths: number[] = [];
  reader.push(stream);
  for (let frame = reader.next(); frame !== null; frame = reader.next()) lengths.push(frame.body.length);
  return lengths;
}

test('a frame ends when it has reached its target, and never splits an item', () => {
  const outbox = new Outbox(limits);
  for (let at = 0; at < 100; at += 1) outbox.message(1, numbered(at));
  const lengths = lengthsOf(outbox.take() as Uint8Array);
  expect(lengths.reduce((sum, length) => sum + length)).toBe(100 * 26);
  for (const length of lengths) {
    expect(length % 26).toBe(0);
    expect(length).toBeLessThan(limits.frameTargetBytes + 26);
  }
  expect(outbox.takeFrameCount()).toBe(lengths.length);
});

test('what was taken stays as it is, small or large', () => {
  for (const count of [1, 10_000]) {
    const outbox = new Outbox(limits);
    for (let at = 0; at < count; at += 1) outbox.message(1, numbered(at));
    const taken = outbox.take() as Uint8Array;
    const copy = taken.slice();
    for (let at = 0; at < count; at += 1) outbox.message(1, numbered(at + 7));
    outbox.take();
    expect(Buffer.compare(taken, copy)).toBe(0);
  }
});

test('many small takes, which share memory, all stay as they are', () => {
  const outbox = new Outbox(limits);
  const taken: { readonly bytes: Uint8Array; readonly copy: Uint8Array }[] = [];
  for (let at = 0; at < 3000; at += 1) {
    for (let count = at % 40; count >= 0; count -= 1) outbox.message(1, numbered(at));
    const bytes = outbox.take() as Uint8Array;
    taken.push({ bytes, copy: bytes.slice() });
  }
  for (const { bytes, copy } of taken) expect(Buffer.compare(bytes, copy)).toBe(0);
  expect(lengthsOf(taken.at(-1)?.bytes as Uint8Array).reduce((sum, length) => sum + length)).toBe(40 * 26);
});

test('a control frame between messages keeps their order', () => {
  const outbox = new Outbox(limits);
  outbox.message(1, numbered(1));
  outbox.control(FrameType.ping);
  outbox.message(1, numbered(2));
  expect(lengthsOf(outbox.take() as Uint8Array)).toEqual([26, 0, 26]);
  expect(outbox.take()).toBeNull();
});
