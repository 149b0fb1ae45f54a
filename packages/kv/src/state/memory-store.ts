import type { NoriError } from 'nori-raft';
import { slotOf } from '../commands/key-slot.ts';
import { type Entry, makeEntry } from './entry.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import { type ScanPage, scan } from './scan.ts';
import { type Capture, hexDigest, type Place, type Store } from './store.ts';
import type { Value } from './value.ts';

/** The keys of one slot. */
type SlotKeys = Map<string, Entry>;

/**
 * The slots as they were, still shared with the store that goes on changing them: what a change would take away from a
 * slot that has not been read yet is put aside first. So neither taking a capture nor reading it makes a write wait,
 * however many keys a slot has.
 */
class MemoryCapture implements Capture {
  readonly count: number;
  readonly timeMs: number;
  readonly digest: string;
  /** Entries that were there are those made before it. */
  readonly number: number;
  /** Slots that have not been read to their end. */
  readonly slots: Map<number, SlotKeys>;
  readonly #aside = new Map<number, Set<Entry>>();
  readonly #onClose: (closed: MemoryCapture) => void;

  constructor(
    store: { readonly count: number; readonly timeMs: number; readonly digest: string },
    number: number,
    slots: Map<number, SlotKeys>,
    onClose: (closed: MemoryCapture) => void,
  ) {
    this.count = store.count;
    this.timeMs = store.timeMs;
    this.digest = store.digest;
    this.number = number;
    this.slots = slots;
    this.#onClose = onClose;
  }

  /** The store is about to let go of an entry. */
  save(entry: Entry): void {
    if (entry.born >= this.number || !this.slots.has(entry.slot)) return;
    const aside = this.#aside.get(entry.slot);
    if (aside === undefined) this.#aside.set(entry.slot, new Set([entry]));
    else aside.add(entry);
  }

  *entries(): Generator<Entry, void, void> {
    for (const [slot, keys] of this.slots) {
      // The map may change while it is walked: what is new in it is too young, what leaves it is put aside.
      for (const entry of keys.values()) if (entry.born < this.number) yield entry;
      const aside = this.#aside.get(slot);
      this.slots.delete(slot);
      this.#aside.delete(slot);
      if (aside !== undefined) yield* aside;
    }
  }

  close(): void {
    this.slots.clear();
    this.#aside.clear();
    this.#onClose(this);
  }
}

/** The keys of a shard in memory, by slot. */
export class MemoryStore implements Store {
  /** The state is built anew from snapshot and log at each start. */
  readonly durablePosition = null;
  readonly hasRoom = true;
  timeMs = 0;
  #slots = new Map<number, SlotKeys>();
  #count = 0;
  #low = 0;
  #high = 0;
  #expiring = new ExpiryHeap();
  readonly #captures = new Set<MemoryCapture>();
  #capturesTaken = 0;

  get count(): number {
    return this.#count;
  }

  get digest(): string {
    return hexDigest(this.#low, this.#high);
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

  write(place: Place, value: Value, expireMs: number): void {
    const { entry: previous } = place;
    if (expireMs !== 0 && expireMs <= this.timeMs) {
      if (previous !== undefined) this.remove(previous);
      return;
    }
    const entry = makeEntry(place, value, expireMs, this.#capturesTaken);
    if (previous !== undefined) this.#save(previous);
    this.#slotKeys(place.slot).set(place.key, entry);
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
    this.#save(entry);
    const keys = this.#slotKeys(entry.slot);
    keys.delete(entry.key);
    if (keys.size === 0) this.#slots.delete(entry.slot);
    this.#count -= 1;
    this.#low = (this.#low - entry.hashLow) | 0;
    this.#high = (this.#high - entry.hashHigh) | 0;
    if (entry.heapAt >= 0) this.#expiring.remove(entry);
  }

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
    // Captures keep the maps that are given up here.
    this.#slots = new Map();
    this.#expiring = new ExpiryHeap();
    this.#count = 0;
    this.#low = 0;
    this.#high = 0;
  }

  scan(cursor: number, count: number): ScanPage {
    return scan(this.#slots, cursor, count);
  }

  *keys(): Generator<string, void, void> {
    for (const slot of this.#slots.values()) yield* slot.keys();
  }

  randomKey(random: () => number): string | undefined {
    let at = Math.floor(random() * this.#count);
    for (const slot of this.#slots.values()) {
      if (at >= slot.size) {
        at -= slot.size;
        continue;
      }
      for (const key of slot.keys()) {
        if (at === 0) return key;
        at -= 1;
      }
    }
    return undefined;
  }

  countInSlot(slot: number): number {
    return this.#slots.get(slot)?.size ?? 0;
  }

  keysInSlot(slot: number, countMax: number): string[] {
    const found: string[] = [];
    for (const key of this.#slots.get(slot)?.keys() ?? []) {
      if (found.length >= countMax) break;
      found.push(key);
    }
    return found;
  }

  /** Memory is trusted. */
  get damage(): null {
    return null;
  }

  condemn(damage: NoriError): void {
    throw damage;
  }

  capture(): Capture {
    this.#capturesTaken += 1;
    const capture = new MemoryCapture(this, this.#capturesTaken, new Map(this.#slots), (closed) =>
      this.#captures.delete(closed),
    );
    this.#captures.add(capture);
    return capture;
  }

  applied(): null {
    return null;
  }

  successor(): Store {
    return new MemoryStore();
  }

  async relief(): Promise<void> {}

  async adopt(): Promise<void> {}

  discard(): void {
    // Nothing outside this object is held.
  }

  #save(entry: Entry): void {
    for (const capture of this.#captures) capture.save(entry);
  }

  #slotKeys(slot: number): SlotKeys {
    const keys = this.#slots.get(slot);
    if (keys !== undefined) return keys;
    const created: SlotKeys = new Map();
    this.#slots.set(slot, created);
    return created;
  }
}
