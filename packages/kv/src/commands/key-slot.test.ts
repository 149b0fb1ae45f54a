import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { slotOf } from './key-slot.ts';

// The package comes without types.
const packaged = createRequire(import.meta.url)('cluster-key-slot') as (key: Uint8Array) => number;

const slot = (key: string): number => slotOf(Buffer.from(key, 'latin1'));

test.each([
  ['123456789', 12739],
  ['foo', 12182],
  ['', 0],
  ['{user1000}.following', slot('user1000')],
  ['{user1000}.followers', slot('user1000')],
  ['foo{{bar}}zap', slot('{bar')],
  ['foo{bar}{zap}', slot('bar')],
])('the slot of %j is the one of the cluster specification', (key, expected) => {
  expect(slot(key)).toBe(expected);
});

test('an empty tag or one without an end is no tag', () => {
  for (const key of ['foo{}{bar}', '{}a}', 'foo{bar', '}foo{']) {
    expect([key, slot(key)]).not.toEqual([key, slot('bar')]);
    expect([key, slot(key)]).toEqual([key, crc16(Buffer.from(key)) % 16384]);
  }
});

test('clients that use the common package route every ordinary key as we do, binary ones too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (key) => {
      fc.pre(!Buffer.from(key).includes('{}'));
      expect(slotOf(key)).toBe(packaged(Buffer.from(key)));
    }),
  );
});

/** Bit by bit, from the definition. */
function crc16(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}
