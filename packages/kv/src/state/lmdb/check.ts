import { hexDigest, storeDamaged } from '../store.ts';
import { expireMsOf, type Generation, type Head } from './layout.ts';
import { Tally } from './tally.ts';
import { after, entryOf, reading, type Tree, treeKeys } from './tree.ts';

const pageKeys = 64;

/**
 * Compares all that the tree holds of a group with what its head says was written: a tree has no checksums, so a key
 * that is gone shows in nothing else. Nothing may be written meanwhile. False: `enough` said so before the end.
 *
 * @throws NoriError STATE_DAMAGED.
 */
export function isChecked(tree: Tree, generation: Generation, head: Head, enough: () => boolean): boolean {
  const tally = new Tally();
  let mortal = 0;
  for (const page of pagesOf(tree, generation.place(0, 0), generation.keysEnd)) {
    if (enough()) return false;
    for (const key of page) {
      const entry = storedUnder(tree, key);
      tally.add(entry);
      if (entry.expireMs !== 0) mortal += 1;
    }
  }
  tally.requireAll(head.count, hexDigest(head.digestLow, head.digestHigh));
  for (const page of pagesOf(tree, generation.expiriesStart, generation.expiriesEnd)) {
    if (enough()) return false;
    for (const expiry of page) {
      if (storedUnder(tree, generation.keyOfExpiry(expiry)).expireMs !== expireMsOf(expiry))
        throw storeDamaged('a lifetime is noted for a key that does not have it');
    }
    mortal -= page.length;
  }
  // Each that is noted is one that a key has. Are all?
  if (mortal !== 0) throw storeDamaged(`the lifetimes of ${mortal} keys are not noted`);
  return true;
}

function* pagesOf(tree: Tree, start: Buffer, end: Buffer): Generator<readonly Buffer[], void, void> {
  let from: Buffer | null = start;
  while (from !== null) {
    const page: readonly Buffer[] = treeKeys(tree, { start: from, end, limit: pageKeys });
    yield page;
    const last = page.at(-1);
    from = last === undefined || page.length < pageKeys ? null : after(last);
  }
}

/** Found from the root down, as by everybody who asks for the key: a walk from leaf to leaf meets other pages. */
function storedUnder(tree: Tree, key: Buffer): ReturnType<typeof entryOf> {
  return reading(() => {
    const record = tree.getBinaryFast(key);
    if (record === undefined) throw storeDamaged('the tree lists a key that it does not find');
    return entryOf(key, record);
  });
}
