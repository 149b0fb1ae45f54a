import type { RootDatabase } from 'lmdb';
import { slotOf } from '../../commands/key-slot.ts';
import { type Entry, keyOrder } from '../entry.ts';
import { isStoreDamaged, storeDamaged } from '../store.ts';
import { orderOfKey, plainKey, readRecord, recordKey, slotOfKey } from './layout.ts';

export type Tree = RootDatabase<Buffer, Buffer>;

/**
 * The keys from `start` to before `end`, at most `limit`, each of them the caller's own. Reverse: from the end back.
 *
 * @throws NoriError STATE_DAMAGED.
 */
export function treeKeys(
  tree: Tree,
  range: {
    readonly start: Buffer;
    readonly end: Buffer;
    readonly limit: number;
    readonly reverse?: boolean;
  },
): Buffer[] {
  return reading(() => [...tree.getKeys(range)]);
}

/** Runs what only reads a tree: what that throws is the tree's word for a page that is not what it should be. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isStoreDamaged(error)) throw error;
    throw storeDamaged('the tree cannot be read', error);
  }
}

/** The smallest key after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

/**
 * The shard's key under a key of the tree.
 *
 * @throws NoriError STATE_DAMAGED.
 */
export function storedKey(tree: Tree, treeKey: Buffer): string {
  const plain = plainKey(treeKey);
  if (plain !== null) return plain;
  const record = reading(() => tree.getBinaryFast(treeKey));
  const key = record === undefined ? null : recordKey(treeKey, record);
  if (key === null) throw storeDamaged('a long key is not what was written');
  return key;
}

/**
 * The entry under a key of the tree.
 *
 * @throws NoriError STATE_DAMAGED.
 */
export function entryOf(treeKey: Buffer, record: Buffer): Entry {
  const key = recordKey(treeKey, record);
  const entry = key === null ? null : readRecord(key, slotOfKey(treeKey), record);
  if (key === null || entry === null)
    throw storeDamaged(`the record of ${key ?? 'a long key'} is not what was written`);
  // Its name says where in the order it is to be; nobody who asks for it would find it anywhere else.
  if (slotOf(Buffer.from(key, 'latin1')) !== entry.slot || keyOrder(key) !== orderOfKey(treeKey))
    throw storeDamaged(`${key} is not where it was written`);
  return entry;
}
