import type { DirectoryLock } from '../../ports/disk.ts';
import { LawBook, must, refusal, type Suite, type Trial } from './suite.ts';

export interface DirectoryLockSubject extends Trial {
  readonly lock: DirectoryLock;
  /** The lock as somebody else sees it, such as another process. The same one if there is nobody else. */
  readonly rival: DirectoryLock;
  /** Two directories that exist and nobody uses. */
  readonly directories: readonly [string, string];
}

const book = new LawBook<DirectoryLockSubject, DirectoryLockSubject>('DirectoryLock', (subject) => subject);

book.law('a directory that is held is refused with DATA_DIR_LOCKED', async ({ lock, rival, directories }) => {
  const held = await lock.acquire(directories[0]);
  // Twice: to be refused must not take the lock from its holder.
  for (const taker of [rival, lock, rival]) {
    const { code } = await refusal(taker.acquire(directories[0]), 'acquiring a directory that is held');
    must(code === 'DATA_DIR_LOCKED', `it was refused with the code ${String(code)}`);
  }
  await held.release();
});

book.law('a directory that was released is free', async ({ lock, rival, directories }) => {
  for (const taker of [lock, rival, lock]) await (await taker.acquire(directories[0])).release();
});

book.law('two directories are held apart', async ({ lock, rival, directories }) => {
  const left = await lock.acquire(directories[0]);
  const right = await rival.acquire(directories[1]);
  await left.release();
  const { code } = await refusal(lock.acquire(directories[1]), 'acquiring the other directory, still held');
  must(code === 'DATA_DIR_LOCKED', `it was refused with the code ${String(code)}`);
  await right.release();
});

/** What keeps two processes from one data directory. */
export const directoryLockSuite: Suite<DirectoryLockSubject> = { port: 'DirectoryLock', laws: book.laws };
