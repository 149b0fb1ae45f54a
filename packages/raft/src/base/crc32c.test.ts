import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import { Prng } from './prng.ts';
import { utf8 } from './text.ts';

// RFC 3720, appendix B.4, and the usual check value.
test.each([
  ['nothing', new Uint8Array(0), 0],
  ['the digits', utf8('123456789'), 0xe3069283],
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 times 0xff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['0 to 31', Uint8Array.from({ length: 32 }, (_, at) => at), 0x46dd794e],
  ['31 to 0', Uint8Array.from({ length: 32 }, (_, at) => 31 - at), 0x113fdb5c],
])('the checksum of %s is the one of the standard', (_what, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test('a checksum goes on from part to part, at any length and offset', () => {
  const prng = new Prng(1);
  const bytes = Uint8Array.from({ length: 200 }, () => prng.between(0, 255));
  for (let run = 0; run < 300; run += 1) {
    const start = prng.between(0, 200);
    const end = prng.between(start, 200);
    const middle = prng.between(start, end);
    const whole = crc32c(bytes, start, end);
    expect(crc32c(bytes.slice(start, end))).toBe(whole);
    expect(crc32c(bytes, middle, end, crc32c(bytes, start, middle))).toBe(whole);
  }
});

test('one flipped bit changes the checksum', () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, at) => 7 * at);
  const before = crc32c(bytes);
  for (let bit = 0; bit < 320; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(crc32c(flipped)).not.toBe(before);
  }
});
