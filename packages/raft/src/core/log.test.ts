import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { emptyBase, entryOverheadBytes, Log } from './log.ts';
import { type Entry, entry, EntryKind } from './types.ts';

const command = (index: number, term: number, bytes = 0): Entry =>
  entry({ index, term, kind: EntryKind.command, timeMs: 10 * index, payload: new Uint8Array(bytes) });
const logOf = (...terms: readonly number[]): Log =>
  new Log(
    emptyBase,
    terms.map((term, at) => command(at + 1, term)),
  );

test('an empty log ends where it begins', () => {
  const log = new Log({ index: 7, term: 3, timeMs: 70 }, []);
  expect(log).toMatchObject({ baseIndex: 7, lastIndex: 7, lastTerm: 3, lastTimeMs: 70, commit: 7, applied: 7 });
  expect(log.termAt(7)).toBe(3);
  expect(log.termAt(6)).toBeUndefined();
  expect(log.termAt(8)).toBeUndefined();
});

test('entries come without a gap, in terms that never go down', () => {
  const log = logOf(1, 2);
  expect(() => log.append(command(4, 2))).toThrow(/without a gap/);
  expect(() => log.append(command(3, 1))).toThrow(/never go down/);
  expect(() => new Log(emptyBase, [command(2, 1)])).toThrow(/without a gap/);
  log.append(command(3, 2));
  expect(log.lastIndex).toBe(3);
});

test('what was loaded is durable, what is appended is not, and a truncation takes durability with it', () => {
  const log = logOf(1, 1, 1);
  expect(log.persistedIndex).toBe(3);
  log.append(command(4, 1));
  expect(log.persistedIndex).toBe(3);
  log.truncateFrom(4);
  expect(log).toMatchObject({ persistedIndex: 3, lastIndex: 3, epoch: 1 });
  log.truncateFrom(2);
  expect(log).toMatchObject({ persistedIndex: 1, lastIndex: 1, epoch: 2 });
});

test('a committed entry is never truncated', () => {
  const log = logOf(1, 1, 1);
  log.commit = 2;
  expect(() => log.truncateFrom(2)).toThrow(/never truncated/);
  log.truncateFrom(3);
});

test('a slice that was handed out stays as it was', () => {
  const log = logOf(1, 1, 1);
  const slice = log.slice(2, 1_000_000);
  log.truncateFrom(2);
  log.append(command(2, 5));
  expect(slice.map((item) => item.term)).toEqual([1, 1]);
});

test('a slice holds what fits, and one entry however large', () => {
  const log = new Log(emptyBase, [command(1, 1, 100), command(2, 1, 100), command(3, 1, 5_000), command(4, 1, 0)]);
  const two = 2 * (100 + entryOverheadBytes);
  expect(log.slice(1, two)).toHaveLength(2);
  expect(log.slice(1, two - 1)).toHaveLength(1);
  expect(log.slice(3, 1)).toHaveLength(1);
  expect(log.slice(3, 1_000_000)).toHaveLength(2);
  expect(log.slice(5, 1)).toEqual([]);
});

test('the log with the later last term is newer, and the longer one of two that end in the same term', () => {
  const log = logOf(1, 2, 2);
  expect(log.isUpToDate({ lastIndex: 3, lastTerm: 2 })).toBe(true);
  expect(log.isUpToDate({ lastIndex: 4, lastTerm: 2 })).toBe(true);
  expect(log.isUpToDate({ lastIndex: 2, lastTerm: 2 })).toBe(false);
  expect(log.isUpToDate({ lastIndex: 1, lastTerm: 3 })).toBe(true);
  expect(log.isUpToDate({ lastIndex: 9, lastTerm: 1 })).toBe(false);
});

const terms = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 30 }).map((all) => all.sort((a, b) => a - b));

test('the place to probe next is the last whose term is not above the one asked for', () => {
  fc.assert(
    fc.property(terms, fc.nat(35), fc.nat(7), (all, index, term) => {
      const log = logOf(...all);
      let naive = Math.min(index, log.lastIndex);
      while (naive > 0 && (log.termAt(naive) as number) > term) naive -= 1;
      expect(log.lastIndexOfTermAtMost(index, term)).toBe(naive);
    }),
    { seed: 1, numRuns: 1_000 },
  );
});

test('compaction changes nothing but where the log begins', () => {
  fc.assert(
    fc.property(terms, fc.nat(30), (all, through) => {
      const log = logOf(...all);
      const whole = logOf(...all);
      log.commit = log.lastIndex;
      log.applied = Math.min(through, log.lastIndex);
      log.compact(log.applied);
      expect(log.baseIndex).toBe(log.applied);
      expect([log.lastIndex, log.lastTerm, log.lastTimeMs]).toEqual([
        whole.lastIndex,
        whole.lastTerm,
        whole.lastTimeMs,
      ]);
      for (let index = log.baseIndex; index <= whole.lastIndex; index += 1) {
        expect(log.termAt(index)).toBe(whole.termAt(index));
      }
    }),
    { seed: 2 },
  );
});
