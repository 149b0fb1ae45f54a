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
  /** How many captures its store had seen when it was made: the captures after that hold it. */
  readonly born: number;
  heapAt = -1;

  /** Use `makeEntry`, unless the hashes are known. */
  constructor(
    place: { readonly key: string; readonly slot: number },
    value: Value,
    expireMs: number,
    marks: { readonly hashLow: number; readonly hashHigh: number; readonly born: number },
  ) {
    this.key = place.key;
    this.slot = place.slot;
    this.value = value;
    this.expireMs = expireMs;
    this.hashLow = marks.hashLow;
    this.hashHigh = marks.hashHigh;
    this.born = marks.born;
  }
}

// One for all calls: entries are made for each key that is written.
const marks = { hashLow: 0, hashHigh: 0, born: 0 };

export function makeEntry(
  place: { readonly key: string; readonly slot: number },
  value: Value,
  expireMs: number,
  born = 0,
): Entry {
  hash(place.key, value, expireMs);
  marks.hashLow = low;
  marks.hashHigh = high;
  marks.born = born;
  return new Entry(place, value, expireMs, marks);
}

/** Whether an entry that comes from a disk is what was once written there. */
export function isIntact(entry: Entry): boolean {
  hash(entry.key, entry.value, entry.expireMs);
  return low === entry.hashLow && high === entry.hashHigh;
}

// What `hash` answers: two numbers, without an object for each key that is written.
let low = 0;
let high = 0;

/** Four bytes to a step, each step a bijection of what came before, in two lanes that share no constant. */
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

function mix(word: number): void {
  low = Math.imul(low ^ word, 0x9e3779b1);
  low ^= low >>> 15;
  high = Math.imul(high ^ word, 0x5f356495);
  high ^= high >>> 13;
}

// The two below spell `mix` out on local variables: it runs for every byte that is written.
function mixText(text: string): void {
  // The length comes first, so that no bytes can move from the key into the value unseen.
  mix(text.length);
  let a = low;
  let b = high;
  const whole = text.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    const word =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24);
    a = Math.imul(a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0x5f356495);
    b ^= b >>> 13;
  }
  low = a;
  high = b;
  for (let at = whole; at < text.length; at += 1) mix(text.charCodeAt(at));
}

function mixBytes(bytes: Buffer): void {
  mix(bytes.length);
  let a = low;
  let b = high;
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    a = Math.imul(a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0x5f356495);
    b ^= b >>> 13;
  }
  low = a;
  high = b;
  for (let at = whole; at < bytes.length; at += 1) mix(bytes[at] as number);
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** A 32-bit hash of a key alone: the order in which a scan walks the keys of one slot. */
export function keyOrder(key: string): number {
  let order = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) order = Math.imul(order ^ key.charCodeAt(at), 0x01000193);
  return finish(order) >>> 0;
}
