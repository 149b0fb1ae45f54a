import type { RootDatabase } from 'lmdb';
import { plainKey, recordKey } from './layout.ts';

export type Tree = RootDatabase<Buffer, Buffer>;

/** The keys from `start` to before `end`, at most `limit`, each of them the caller's own. Reverse: from the end back. */
export function treeKeys(
  tree: Tree,
  range: { readonly start: Buffer; readonly end: Buffer; readonly limit: number; readonly reverse?: boolean },
): Buffer[] {
  return [...tree.getKeys(range)];
}

/** The smallest key after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

/** The shard's key under a key of the tree. */
export function storedKey(tree: Tree, treeKey: Buffer): string {
  const plain = plainKey(treeKey);
  if (plain !== null) return plain;
  const record = tree.getBinaryFast(treeKey);
  if (record === undefined) throw new Error('the tree lists a key it does not hold');
  return recordKey(treeKey, record);
}
