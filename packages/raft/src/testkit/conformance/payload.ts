import type { Prng } from '../../base/prng.ts';

/** Bytes that tell where they belong: those of two places are seldom alike. */
export function payload(prng: Prng, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const step = prng.between(0, 125) * 2 + 1;
  let value = prng.between(0, 255);
  for (let at = 0; at < length; at += 1) {
    value = (value + step + (at >>> 8)) & 0xff;
    bytes[at] = value;
  }
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
