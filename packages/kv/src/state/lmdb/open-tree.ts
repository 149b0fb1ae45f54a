import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { isStoreDamaged, storeDamaged } from '../store.ts';
import { isChecked } from './check.ts';
import { decodeHead, Generation, groupOf, groupStart, headKey } from './layout.ts';
import { type Tree, treeKeys } from './tree.ts';
import { isMapFull } from './tree-writer.ts';

/** Address space, not memory and not disk: the file grows as it needs to, and the map behind it. */
const mapBytes = 2 ** 36;
const readersMax = 512;
/** A tree that the process died of so often while it was looked at is not looked at again. */
const attemptsMax = 2;
const marker = 'opening';
/** Many pages in a row, so that all that are free are looked through. */
const trialBytes = 256 << 10;
/** No group has this number. */
const nobody = 0;

/** lmdb's own errors are below zero; those above are the operating system's, and say nothing of what is in the file. */
const lmdbErrors = { from: -30_799, to: -30_700 };

export interface OpenedTree {
  readonly tree: Tree;
  /** The groups that were looked at whole. */
  readonly checked: ReadonlySet<number>;
}

/**
 * Opens a tree, and compares what is in it with what was written, for as long as `checkMs`. When it is not, the tree is
 * given up and an empty one takes its place: the log and the snapshots lead up to all that was in it.
 */
export function openTree(path: string, checkMs: number, onDamaged: (why: string) => void): OpenedTree {
  mkdirSync(path, { recursive: true });
  const attempts = attemptsBefore(path);
  if (attempts >= attemptsMax) {
    onDamaged(`the process died ${attempts} times when it opened the tree`);
    clear(path);
  } else note(path, attempts + 1);
  try {
    return openOnce(path, checkMs);
  } catch (error) {
    if (!isStoreDamaged(error)) throw error;
    onDamaged(error.message);
  }
  clear(path);
  return openOnce(path, checkMs);
}

function clear(path: string): void {
  rmSync(path, { recursive: true });
  mkdirSync(path);
}

function note(path: string, attempts: number): void {
  try {
    writeFileSync(join(path, marker), String(attempts));
  } catch {
    // A full volume keeps no node from starting.
  }
}

function attemptsBefore(path: string): number {
  try {
    return Number.parseInt(readFileSync(join(path, marker), 'latin1'), 10) || 0;
  } catch {
    return 0;
  }
}

function openOnce(path: string, checkMs: number): OpenedTree {
  let tree: Tree;
  try {
    tree = open<Buffer, Buffer>({
      path,
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      mapSize: mapBytes,
      maxReaders: readersMax,
      // Else a transaction that fails also rejects a promise that nobody is given.
      eventTurnBatching: false,
    });
  } catch (error) {
    throw isLmdbs(error) ? storeDamaged('the tree cannot be opened', error) : error;
  }
  try {
    // First, since it may take a page for free that is not.
    writeOnce(tree);
    const checked = check(tree, performance.now() + checkMs);
    rmSync(join(path, marker), { force: true });
    return { tree, checked };
  } catch (error) {
    void tree.close();
    throw error;
  }
}

function isLmdbs(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'number' && code >= lmdbErrors.from && code <= lmdbErrors.to;
}

/** Which pages are free is in the tree as well, and shows only when one is taken: better here than under a command. */
function writeOnce(tree: Tree): void {
  try {
    tree.transactionSync(() => void tree.put(headKey(nobody), Buffer.alloc(trialBytes)));
    tree.transactionSync(() => void tree.remove(headKey(nobody)));
  } catch (error) {
    // A volume without room is the writer's business.
    if (isLmdbs(error) && !isMapFull(error)) throw storeDamaged('the tree cannot be written to', error);
  }
}

function check(tree: Tree, untilMs: number): Set<number> {
  const checked = new Set<number>();
  const enough = (): boolean => performance.now() >= untilMs;
  for (const group of groupsIn(tree)) {
    const record = tree.getBinary(headKey(group));
    if (record === undefined) continue;
    const head = decodeHead(record);
    if (head === null) throw storeDamaged(`what group ${group} has come to is not what was written`);
    if (head.position === null) continue;
    if (!isChecked(tree, new Generation(group, head.generation), head, enough)) break;
    checked.add(group);
  }
  return checked;
}

/** Found by leaping from one to the next. */
function* groupsIn(tree: Tree): Generator<number, void, void> {
  const end = groupStart(0xffff_ffff);
  let next = nobody + 1;
  for (;;) {
    const [key] = treeKeys(tree, { start: groupStart(next), end, limit: 1 });
    if (key === undefined) return;
    yield groupOf(key);
    next = groupOf(key) + 1;
  }
}
