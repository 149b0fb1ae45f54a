import { expect, test } from 'vitest';
import { fromUtf8, utf8 } from './text.ts';

test('text survives the way to bytes and back', () => {
  for (const text of ['', 'plain', 'höher', '海苔', '🌊']) expect(fromUtf8(utf8(text))).toBe(text);
});

test('bytes that are not UTF-8 are refused, not mended', () => {
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0x80, 0x41]]) {
    expect(() => fromUtf8(Uint8Array.from(bytes))).toThrow(TypeError);
  }
});
