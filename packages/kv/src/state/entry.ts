import type { Value } from './value.ts';

/** One key. Never changed after it was made (a snapshot may be reading it), but for its place in the expiry heap. */
export class Entry {
  readonly key: string;
  readonly slot: number;
  readonly value: Value;
  /** Log time in ms at which it is gone, or 0. */
  readonly expireMs: number;
  /** Two independent 32-bit hashes of key, value and expiry. */
  readonly hashLow: number;
  readonly hashHigh: number;
  heapAt = -1;

  constructor(key: string, slot: number, value: Value, expireMs: number) {
    this.key = key;
    this.slot = slot;
    this.value = value;
    this.expireMs = expireMs;
    hash(key, value, expireMs);
    this.hashLow = low;
    this.hashHigh = high;
  }
}

let low = 0;
let high = 0;

function mix(word: number): void {
  low = Math.imul(low ^ word, 0x9e3779b1);
  low ^= low >>> 15;
  high = Math.imul(high ^ word, 0x5f356495);
  high ^= high >>> 13;
}

function mixText(text: string): void {
  // The length comes first, so that no bytes can move from the key into the value unseen.
  mix(text.length);
  for (let at = 0; at < text.length; at += 1) mix(text.charCodeAt(at));
}

function mixBytes(bytes: Buffer): void {
  mix(bytes.length);
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) mix(bytes.readInt32LE(at));
  for (let at = whole; at < bytes.length; at += 1) mix(bytes[at] as number);
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hash(key: string, value: Value, expireMs: number): void {
  low = 0x6e6f7269;
  high = 0x2d6b7631;
  mixText(key);
  if (typeof value === 'string') mixText(value);
  else mixBytes(value);
  if (expireMs !== 0) {
    mix(expireMs | 0);
    mix(Math.floor(expireMs / 2 ** 32));
  }
  low = finish(low);
  high = finish(high);
}

/** A 32-bit hash of a key alone: the order in which a scan walks the keys of one slot. */
export function keyOrder(key: string): number {
  let order = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) order = Math.imul(order ^ key.charCodeAt(at), 0x01000193);
  return finish(order) >>> 0;
}
