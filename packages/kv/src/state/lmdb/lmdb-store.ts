import type { AppliedPosition, NoriError } from 'nori-raft';
import { slotCount, slotOf } from '../../commands/key-slot.ts';
import { type Entry, keyOrder, makeEntry } from '../entry.ts';
import { ExpiryHeap } from '../expiry-heap.ts';
import { orderCount, type ScanPage } from '../scan.ts';
import { type Capture, hexDigest, type Place, type Store, storeDamaged } from '../store.ts';
import type { Value } from '../value.ts';
import { LmdbCapture } from './lmdb-capture.ts';
import { ExpiryWalk, type StoredExpiry } from './expiry-walk.ts';
import { type Change, changeOf, Layer, newestChanges } from './layer.ts';
import {
  encodeHead,
  Generation,
  type Head,
  headKey,
  orderOfKey,
  readRecord,
  recordBytes,
  slotOfKey,
  writeRecord,
} from './layout.ts';
import { after, reading, storedKey, type Tree, treeKeys } from './tree.ts';
import type { ChangedStore, TreeWriter } from './tree-writer.ts';

const pageKeys = 256;

/**
 * The keys of a shard in a tree on disk. Changes gather in layers in memory, and a writer puts them into the tree
 * behind the scenes, together with the position they lead to: applying never waits for a disk, unless so much has gathered
 * that memory has to be spared. What is only in memory at a crash is in the log as well.
 */
export class LmdbStore implements Store, ChangedStore {
  timeMs: number;
  durablePosition: AppliedPosition | null;
  countedBytes = 0;
  damage: NoriError | null = null;
  readonly #writer: TreeWriter;
  readonly #group: number;
  #generation: Generation;
  #count: number;
  #low: number;
  #high: number;
  #position: AppliedPosition | null;
  /** Oldest first; the last one is written to. The tree may have the changes of the others already, but not for certain. */
  #layers: Layer[];
  #expiring = new ExpiryHeap();
  #expiries: ExpiryWalk;
  /** Given up here, but the head on disk may still name them. */
  #formerGenerations: Generation[] = [];
  #state: 'serving' | 'filling' | 'discarded';
  readonly #predecessor: LmdbStore | null;

  /** `predecessor`: whose place it will take when it is filled. */
  constructor(writer: TreeWriter, group: number, head: Head, predecessor: LmdbStore | null) {
    this.#writer = writer;
    this.#group = group;
    this.#generation = new Generation(group, head.generation);
    this.#state = predecessor === null ? 'serving' : 'filling';
    this.#predecessor = predecessor;
    this.#position = head.position;
    this.durablePosition = head.position;
    this.timeMs = head.timeMs;
    this.#count = head.count;
    this.#low = head.digestLow;
    this.#high = head.digestHigh;
    this.#layers = [new Layer(this.#generation)];
    this.#expiries = new ExpiryWalk(this.#tree, this.#generation);
  }

  get count(): number {
    return this.#count;
  }

  get digest(): string {
    return hexDigest(this.#low, this.#high);
  }

  get pendingBytes(): number {
    let bytes = 0;
    for (const layer of this.#layers) bytes += layer.bytes;
    return bytes;
  }

  get hasRoom(): boolean {
    return !this.#writer.full;
  }

  get nextDeadlineMs(): number | null {
    const inMemory = this.#expiring.top?.expireMs ?? Number.POSITIVE_INFINITY;
    const onDisk = this.#expiries.next(this.#isUnchanged)?.expireMs ?? Number.POSITIVE_INFINITY;
    const soonest = Math.min(inMemory, onDisk);
    return soonest === Number.POSITIVE_INFINITY ? null : soonest;
  }

  find(key: Buffer): Entry | undefined {
    return this.#find(key.toString('latin1'), slotOf(key));
  }

  locate(keyBytes: Buffer): Place {
    const key = keyBytes.toString('latin1');
    const slot = slotOf(keyBytes);
    return { key, slot, entry: this.#find(key, slot) };
  }

  write(place: Place, value: Value, expireMs: number): void {
    const { entry: previous } = place;
    if (expireMs !== 0 && expireMs <= this.timeMs) {
      if (previous !== undefined) this.remove(previous);
      return;
    }
    const entry = makeEntry(place, value, expireMs);
    this.#change(place, previous, entry);
    this.#low = (this.#low + entry.hashLow) | 0;
    this.#high = (this.#high + entry.hashHigh) | 0;
    if (expireMs !== 0) this.#expiring.add(entry);
  }

  remove(entry: Entry): void {
    this.#change(entry, entry, null);
  }

  advanceTime(timeMs: number): void {
    if (timeMs <= this.timeMs) return;
    this.timeMs = timeMs;
    for (;;) {
      const { top } = this.#expiring;
      const onDisk = this.#expiries.next(this.#isUnchanged);
      if (top !== undefined && top.expireMs <= timeMs) this.remove(top);
      else if (onDisk !== null && onDisk.expireMs <= timeMs) this.remove(this.#expired(onDisk));
      else break;
    }
    this.#writer.changed(this);
  }

  #expired({ key, slot, expireMs }: StoredExpiry): Entry {
    const entry = this.#find(key, slot);
    if (entry?.expireMs !== expireMs) throw storeDamaged(`a lifetime is noted for ${key} that it does not have`);
    return entry;
  }

  clear(): void {
    // What is there is left where it is: nobody looks at a former generation, and the writer deletes it later.
    this.#formerGenerations.push(this.#generation);
    this.#generation = this.#writer.freshGeneration(this.#group);
    this.#layers = [new Layer(this.#generation)];
    this.#expiring = new ExpiryHeap();
    this.#expiries = new ExpiryWalk(this.#tree, this.#generation);
    this.#count = 0;
    this.#low = 0;
    this.#high = 0;
  }

  scan(cursor: number, count: number): ScanPage {
    const slot = cursor % slotCount;
    const order = Math.floor(cursor / slotCount);
    if (order >= orderCount) return { keys: [], cursor: 0 };
    const found = this.#walk(this.#generation.place(slot, order), count);
    const fresh = this.#changedBetween({ slot, order }, found.next);
    const all = [...found.keys, ...fresh].sort((left, right) => left.slot - right.slot || left.order - right.order);
    // The page ends where the tree's part of it ends, or before: keys of the same place are never parted.
    let end = Math.min(count, all.length);
    while (end < all.length && samePlace(all[end - 1], all[end])) end += 1;
    const next = all[end] ?? found.next;
    return {
      keys: all.slice(0, end).map(({ key }) => key),
      cursor: next === null ? 0 : next.order * slotCount + next.slot,
    };
  }

  *keys(): Generator<string, void, void> {
    for (const change of newestChanges(this.#layers)) if (change.entry !== null) yield change.key;
    let start: Buffer | null = this.#generation.place(0, 0);
    while (start !== null) {
      const found: Walked = this.#walk(start, pageKeys);
      for (const { key } of found.keys) yield key;
      start = found.next === null ? null : this.#generation.place(found.next.slot, found.next.order);
    }
  }

  /** Not every key with the same chance: a place is drawn, and the next key from there on is taken. */
  randomKey(random: () => number): string | undefined {
    const fresh = [...newestChanges(this.#layers)].filter(({ entry }) => entry !== null);
    if (random() * this.#count < fresh.length) return fresh[Math.floor(random() * fresh.length)]?.key;
    const bounds = { start: this.#generation.place(0, 0), end: this.#generation.keysEnd };
    const [first] = treeKeys(this.#tree, { ...bounds, limit: 1 });
    const [last] = treeKeys(this.#tree, { start: bounds.end, end: bounds.start, limit: 1, reverse: true });
    if (first !== undefined && last !== undefined) {
      const slots = slotOfKey(last) - slotOfKey(first) + 1;
      const slot = slotOfKey(first) + Math.floor(random() * slots);
      const from = this.#generation.place(slot, Math.floor(random() * orderCount));
      const [key] = [...this.#walk(from, 1).keys, ...this.#walk(bounds.start, 1).keys];
      if (key !== undefined) return key.key;
    }
    return fresh[0]?.key;
  }

  countInSlot(slot: number): number {
    const start = this.#generation.place(slot, 0);
    const range = { start, end: this.#generation.place(slot + 1, 0) };
    let count = reading(() => this.#tree.getKeysCount(range));
    for (const { key, entry } of this.#changesOfSlot(slot)) {
      if (reading(() => this.#stored(key, slot)) !== undefined) count -= 1;
      if (entry !== null) count += 1;
    }
    return count;
  }

  keysInSlot(slot: number, countMax: number): string[] {
    const found: string[] = [];
    for (const { key, entry } of this.#changesOfSlot(slot)) if (entry !== null) found.push(key);
    let next: PlaceInOrder | null = { slot, order: 0 };
    while (found.length < countMax && next !== null && next.slot === slot) {
      const page: Walked = this.#walk(this.#generation.place(slot, next.order), countMax - found.length);
      for (const key of page.keys) if (key.slot === slot) found.push(key.key);
      next = page.next;
    }
    return found.slice(0, countMax);
  }

  capture(): Capture {
    this.#freeze();
    return new LmdbCapture(this, this.#tree, this.#generation, this.#layers.slice(0, -1), this.#writer.captures);
  }

  applied(at: AppliedPosition): Promise<void> | null {
    this.#position = at;
    this.#writer.changed(this);
    return this.#writer.room();
  }

  async relief(): Promise<void> {
    this.#writer.changed(this);
    await this.#writer.room();
  }

  successor(): Store {
    const { number: generation } = this.#writer.freshGeneration(this.#group);
    const head = { generation, position: null, timeMs: 0, count: 0, digestLow: 0, digestHigh: 0 };
    return new LmdbStore(this.#writer, this.#group, head, this);
  }

  async adopt(at: AppliedPosition | null): Promise<void> {
    const former = this.#predecessor;
    if (former !== null) {
      // It writes no head any more: two would take turns.
      former.discard();
      this.#formerGenerations.push(former.#generation, ...former.#formerGenerations);
    }
    this.#state = 'serving';
    this.#position = at;
    await this.#writer.written(this);
  }

  discard(): void {
    // No head ever named what a store was being filled with.
    if (this.#state === 'filling') this.#writer.abandon(this.#generation);
    this.#state = 'discarded';
    this.#writer.forget(this);
  }

  condemn(damage: NoriError): void {
    this.damage ??= damage;
    if (this.#state === 'discarded') return;
    this.discard();
    // Without a head the next start takes the state from the log and the snapshots.
    this.#writer.forgetHead(this.#group);
  }

  writeChanges(): () => void {
    if (this.#state === 'discarded') return () => undefined;
    this.#freeze();
    const written = this.#layers.slice(0, -1);
    for (const layer of written) putLayer(this.#tree, layer);
    const position = this.#position;
    const former = new Set(this.#formerGenerations);
    if (this.#state === 'serving') void this.#tree.put(headKey(this.#group), encodeHead(this.#head));
    return () => {
      this.#formerGenerations = this.#formerGenerations.filter((generation) => !former.has(generation));
      for (const generation of former) this.#writer.abandon(generation);
      this.durablePosition = this.#state === 'filling' ? null : position;
      this.#drop(new Set(written));
    };
  }

  get #tree(): Tree {
    return this.#writer.tree;
  }

  get #head(): Head {
    return {
      generation: this.#generation.number,
      position: this.#position,
      timeMs: this.timeMs,
      count: this.#count,
      digestLow: this.#low,
      digestHigh: this.#high,
    };
  }

  #find(key: string, slot: number): Entry | undefined {
    const change = changeOf(this.#layers, slot, key);
    if (change !== undefined) return change.entry ?? undefined;
    const entry = reading(() => {
      const record = this.#stored(key, slot);
      return record === undefined ? undefined : readRecord(key, slot, record);
    });
    if (entry === null) throw storeDamaged(`the record of ${key} is not what was written`);
    return entry;
  }

  /** The record in the tree, valid until the next one is asked for. */
  #stored(key: string, slot: number): Buffer | undefined {
    return this.#tree.getBinaryFast(this.#generation.key(key, slot));
  }

  readonly #isUnchanged = (slot: number, key: string): boolean => changeOf(this.#layers, slot, key) === undefined;

  /** Puts a change into the top layer, and takes what it replaces out of count, digest and heap. */
  #change(
    place: { readonly key: string; readonly slot: number },
    previous: Entry | undefined,
    entry: Entry | null,
  ): void {
    const { key, slot } = place;
    const top = this.#layers.at(-1) as Layer;
    // Within a layer only what is below it has left a mark in the tree.
    const replacedExpireMs = top.get(slot, key)?.replacedExpireMs ?? previous?.expireMs ?? 0;
    top.set({ key, slot, entry, replacedExpireMs });
    if (previous === undefined) this.#count += 1;
    else {
      this.#low = (this.#low - previous.hashLow) | 0;
      this.#high = (this.#high - previous.hashHigh) | 0;
      if (previous.heapAt >= 0) this.#expiring.remove(previous);
    }
    if (entry === null) this.#count -= 1;
  }

  #freeze(): void {
    if ((this.#layers.at(-1) as Layer).size > 0) this.#layers.push(new Layer(this.#generation));
  }

  /** The layers are in the tree now. */
  #drop(layers: ReadonlySet<Layer>): void {
    for (const layer of this.#layers) {
      if (!layers.has(layer)) continue;
      for (const { entry } of layer.changes()) if (entry !== null && entry.heapAt >= 0) this.#expiring.remove(entry);
    }
    this.#layers = this.#layers.filter((layer) => !layers.has(layer));
    this.#expiries.restart();
    this.#writer.recount(this);
  }

  /** Up to `count` keys of the tree from `start` on that no layer has changed, and where to go on. */
  #walk(start: Buffer, count: number): Walked {
    const keys: PlacedKey[] = [];
    let from = start;
    for (;;) {
      const page = treeKeys(this.#tree, { start: from, end: this.#generation.keysEnd, limit: pageKeys });
      for (const treeKey of page) {
        const place = { slot: slotOfKey(treeKey), order: orderOfKey(treeKey) };
        if (keys.length >= count && !samePlace(keys.at(-1), place)) return { keys, next: place };
        const key = storedKey(this.#tree, treeKey);
        if (this.#isUnchanged(place.slot, key)) keys.push({ ...place, key });
      }
      const last = page.at(-1);
      if (page.length < pageKeys || last === undefined) return { keys, next: null };
      from = after(last);
    }
  }

  *#changesOfSlot(slot: number): Generator<Change, void, void> {
    for (let at = this.#layers.length - 1; at >= 0; at -= 1) {
      const above = this.#layers.slice(at + 1);
      for (const change of this.#layers[at]?.slots.get(slot)?.values() ?? [])
        if (changeOf(above, slot, change.key) === undefined) yield change;
    }
  }

  /** Live keys of the layers from one place to before another; null: to the end. */
  #changedBetween(start: PlaceInOrder, end: PlaceInOrder | null): PlacedKey[] {
    const slots = new Set<number>();
    for (const layer of this.#layers)
      for (const slot of layer.slots.keys())
        if (slot >= start.slot && (end === null || slot <= end.slot)) slots.add(slot);
    const found: PlacedKey[] = [];
    for (const slot of slots) {
      for (const { key, entry } of this.#changesOfSlot(slot)) {
        const place = { slot, order: keyOrder(key) };
        if (entry !== null && comparePlaces(place, start) >= 0 && (end === null || comparePlaces(place, end) < 0))
          found.push({ ...place, key });
      }
    }
    return found;
  }
}

interface PlaceInOrder {
  readonly slot: number;
  readonly order: number;
}

interface PlacedKey extends PlaceInOrder {
  readonly key: string;
}

interface Walked {
  readonly keys: readonly PlacedKey[];
  readonly next: PlaceInOrder | null;
}

function comparePlaces(left: PlaceInOrder, right: PlaceInOrder): number {
  return left.slot - right.slot || left.order - right.order;
}

function samePlace(left: PlaceInOrder | undefined, right: PlaceInOrder | undefined): boolean {
  return left !== undefined && right !== undefined && comparePlaces(left, right) === 0;
}

const mark = Buffer.of(0);

function putLayer(tree: Tree, layer: Layer): void {
  const { generation } = layer;
  let bytes = 0;
  for (const { entry } of layer.changes()) if (entry !== null) bytes += recordBytes(entry);
  // One piece of memory for all records: the tree's thread reads them out of it, and wants to know its address.
  const room = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const { key, slot, entry, replacedExpireMs } of layer.changes()) {
    if (replacedExpireMs !== 0 && replacedExpireMs !== entry?.expireMs)
      void tree.remove(generation.expiry(key, slot, replacedExpireMs));
    if (entry === null) {
      void tree.remove(generation.key(key, slot));
      continue;
    }
    const record = room.subarray(at, at + recordBytes(entry));
    at += record.length;
    writeRecord(record, entry);
    void tree.put(generation.key(key, slot), record);
    if (entry.expireMs !== 0) void tree.put(generation.expiry(key, slot, entry.expireMs), mark);
  }
}
