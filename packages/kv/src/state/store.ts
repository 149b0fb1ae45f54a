import { slotOf } from '../commands/key-slot.ts';
import { Entry } from './entry.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import type { Value } from './value.ts';

/** The keys of one slot. */
export type SlotKeys = Map<string, Entry>;

/** Where a key is, or would be. */
export interface Place {
  readonly key: string;
  readonly slot: number;
  readonly entry: Entry | undefined;
}

/** The keys as they were at one moment. Slots are given up one by one, as they have been read. */
export interface Capture {
  readonly slots: Map<number, SlotKeys>;
  readonly count: number;
  readonly timeMs: number;
  readonly digest: string;
  release(slot: number): void;
  close(): void;
}

/**
 * The keys by slot. A capture shares the maps of the slots and the first write to a slot that is still shared copies
 * its map: taking an image costs the number of slots, not the number of keys.
 */
export class Store {
  /** Log time reached. */
  timeMs = 0;
  #slots = new Map<number, SlotKeys>();
  #count = 0;
  #low = 0;
  #high = 0;
  #expiring = new ExpiryHeap();
  readonly #captures = new Set<Map<number, SlotKeys>>();

  get count(): number {
    return this.#count;
  }

  get slots(): ReadonlyMap<number, ReadonlyMap<string, Entry>> {
    return this.#slots;
  }

  /** The same for the same keys, values and expiry times, however they came about. */
  get digest(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return `${hex(this.#high)}${hex(this.#low)}`;
  }

  get nextDeadlineMs(): number | null {
    return this.#expiring.top?.expireMs ?? null;
  }

  find(key: Buffer): Entry | undefined {
    return this.#slots.get(slotOf(key))?.get(key.toString('latin1'));
  }

  locate(keyBytes: Buffer): Place {
    const key = keyBytes.toString('latin1');
    const slot = slotOf(keyBytes);
    return { key, slot, entry: this.#slots.get(slot)?.get(key) };
  }

  /** Stores a value. A time that log time has already reached deletes the key instead. */
  write(place: Place, value: Value, expireMs: number): void {
    const { entry: previous } = place;
    if (expireMs !== 0 && expireMs <= this.timeMs) {
      if (previous !== undefined) this.remove(previous);
      return;
    }
    const entry = new Entry(place.key, place.slot, value, expireMs);
    this.#writable(place.slot).set(place.key, entry);
    this.#low = (this.#low + entry.hashLow) | 0;
    this.#high = (this.#high + entry.hashHigh) | 0;
    if (previous === undefined) this.#count += 1;
    else {
      this.#low = (this.#low - previous.hashLow) | 0;
      this.#high = (this.#high - previous.hashHigh) | 0;
      if (previous.heapAt >= 0) {
        if (expireMs === 0) this.#expiring.remove(previous);
        else this.#expiring.replace(previous, entry);
        return;
      }
    }
    if (expireMs !== 0) this.#expiring.add(entry);
  }

  remove(entry: Entry): void {
    const keys = this.#writable(entry.slot);
    keys.delete(entry.key);
    if (keys.size === 0) this.#slots.delete(entry.slot);
    this.#count -= 1;
    this.#low = (this.#low - entry.hashLow) | 0;
    this.#high = (this.#high - entry.hashHigh) | 0;
    if (entry.heapAt >= 0) this.#expiring.remove(entry);
  }

  /** Log time never goes back; what expires by it is gone before anything else sees it. */
  advanceTime(timeMs: number): void {
    if (timeMs <= this.timeMs) return;
    this.timeMs = timeMs;
    for (;;) {
      const { top } = this.#expiring;
      if (top === undefined || top.expireMs > timeMs) return;
      this.remove(top);
    }
  }

  clear(): void {
    this.#slots = new Map();
    this.#expiring = new ExpiryHeap();
    this.#count = 0;
    this.#low = 0;
    this.#high = 0;
  }

  capture(): Capture {
    const slots = new Map(this.#slots);
    const captures = this.#captures;
    captures.add(slots);
    return {
      slots,
      count: this.#count,
      timeMs: this.timeMs,
      digest: this.digest,
      release: (slot) => void slots.delete(slot),
      close: () => {
        slots.clear();
        captures.delete(slots);
      },
    };
  }

  #writable(slot: number): SlotKeys {
    const keys = this.#slots.get(slot);
    if (keys !== undefined && (this.#captures.size === 0 || !this.#isCaptured(slot, keys))) return keys;
    const writable: SlotKeys = new Map(keys);
    this.#slots.set(slot, writable);
    return writable;
  }

  #isCaptured(slot: number, keys: SlotKeys): boolean {
    for (const capture of this.#captures) if (capture.get(slot) === keys) return true;
    return false;
  }
}
