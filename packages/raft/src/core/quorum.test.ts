import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { committedIndex, isQuorum, voteResult } from './quorum.ts';
import { type NodeId, nodeId, type Quorum } from './types.ts';

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(nodeId);
const half = (text: string): NodeId[] => text.split('').map(nodeId);
const quorum = (incoming: string, outgoing = ''): Quorum => ({ incoming: half(incoming), outgoing: half(outgoing) });
const known = <T>(values: Readonly<Record<string, T>>): Map<NodeId, T> =>
  new Map(Object.entries(values).map(([id, value]) => [nodeId(id), value]));

test.each([
  ['a', '', { a: 12 }, 12],
  ['a', '', {}, 0],
  ['ab', '', { a: 12, b: 5 }, 5],
  ['ab', '', { a: 12 }, 0],
  ['abc', '', { a: 12, b: 5, c: 9 }, 9],
  ['abc', '', { a: 12 }, 0],
  ['abc', '', { a: 12, b: 5 }, 5],
  ['abcd', '', { a: 4, b: 3, c: 2, d: 1 }, 2],
  ['abcde', '', { a: 101, b: 104, c: 103, d: 103, e: 1 }, 103],
  ['abc', 'abc', { a: 3, b: 2, c: 1 }, 2],
  ['abc', 'cde', { a: 9, b: 9, c: 9, d: 3, e: 4 }, 4],
  ['abc', 'def', { a: 9, b: 9, c: 9 }, 0],
  ['a', 'bcd', { a: 5, b: 7, c: 6 }, 5],
])('voters %s and %s with %j have committed %i', (incoming, outgoing, matches, expected) => {
  expect(committedIndex(quorum(incoming, outgoing), known(matches as Record<string, number>))).toBe(expected);
});

test.each([
  ['a', '', { a: true }, 'won'],
  ['a', '', { a: false }, 'lost'],
  ['a', '', {}, 'pending'],
  ['ab', '', { a: true }, 'pending'],
  ['ab', '', { a: true, b: false }, 'lost'],
  ['ab', '', { a: true, b: true }, 'won'],
  ['abc', '', { a: true, b: true }, 'won'],
  ['abc', '', { a: false, b: false }, 'lost'],
  ['abc', '', { a: true, b: false }, 'pending'],
  ['abc', '', { a: true, d: true, e: true }, 'pending'],
  ['abcd', '', { a: true, b: true }, 'pending'],
  ['abcd', '', { a: false, b: false }, 'lost'],
  ['abc', 'cde', { a: true, b: true }, 'pending'],
  ['abc', 'cde', { a: true, c: true, d: true }, 'won'],
  ['abc', 'cde', { a: true, b: true, d: false, e: false }, 'lost'],
  ['abc', 'cde', { a: false, b: false, c: true, d: true }, 'lost'],
] as const)('voters %s and %s with votes %j: %s', (incoming, outgoing, votes, expected) => {
  expect(voteResult(quorum(incoming, outgoing), known(votes as Record<string, boolean>))).toBe(expected);
});

test('an empty outgoing half means "not joint"', () => {
  expect(committedIndex(quorum('abc'), known({ a: 3, b: 2 }))).toBe(2);
  expect(voteResult(quorum('abc'), known({ a: true, b: true }))).toBe('won');
});

test('voters may be kept in sets, a half may be left out, and what is known may be an object', () => {
  const sets = { incoming: new Set(half('abc')), outgoing: new Set(half('cde')) } as unknown as Quorum;
  expect(committedIndex(sets, { a: 9, b: 9, c: 9, d: 3, e: 4 })).toBe(4);
  expect(voteResult(sets, { a: true, c: true, d: true })).toBe('won');
  const alone = { incoming: half('abc') } as unknown as Quorum;
  expect(committedIndex(alone, (id) => (id === 'a' ? 3 : undefined))).toBe(0);
  expect(voteResult(alone, known({ a: true, b: true }))).toBe('won');
  const inherited = { incoming: [nodeId('constructor')], outgoing: [] };
  expect(voteResult(inherited, {})).toBe('pending');
});

test('without any voters nothing holds the commit back, and there is nobody to lose an election', () => {
  expect(committedIndex(quorum(''), known({}))).toBe(Number.POSITIVE_INFINITY);
  expect(voteResult(quorum(''), known({}))).toBe('won');
});

const halves = fc.record({ incoming: fc.subarray(ids, { minLength: 1 }), outgoing: fc.subarray(ids) });

/** The definition, word for word: the largest index for which a majority of each half holds it. */
function naiveCommitted(voters: Quorum, matches: ReadonlyMap<NodeId, number>): number {
  let committed = 0;
  for (let index = 0; index <= 8; index += 1) {
    const hold = (all: readonly NodeId[]): boolean =>
      all.length === 0 || 2 * all.filter((id) => (matches.get(id) ?? 0) >= index).length > all.length;
    if (hold(voters.incoming) && hold(voters.outgoing)) committed = index;
  }
  return committed;
}

test('the committed index is the largest that a majority of each half holds', () => {
  const matches = fc.dictionary(fc.constantFrom(...ids), fc.integer({ min: 0, max: 8 })).map(known);
  fc.assert(
    fc.property(halves, matches, (voters, match) => {
      expect(committedIndex(voters, match)).toBe(naiveCommitted(voters, match));
    }),
    { seed: 1, numRuns: 2_000 },
  );
});

test('an election is won or lost exactly when no missing vote could change that', () => {
  const votes = fc.dictionary(fc.constantFrom(...ids), fc.boolean()).map(known);
  const outcome = (voters: Quorum, missing: boolean, cast: ReadonlyMap<NodeId, boolean>): boolean =>
    [voters.incoming, voters.outgoing].every(
      (all) => all.length === 0 || 2 * all.filter((id) => cast.get(id) ?? missing).length > all.length,
    );
  fc.assert(
    fc.property(halves, votes, (voters, cast) => {
      const best = outcome(voters, true, cast);
      const worst = outcome(voters, false, cast);
      expect(voteResult(voters, cast)).toBe(worst ? 'won' : best ? 'pending' : 'lost');
    }),
    { seed: 2, numRuns: 2_000 },
  );
});

test('a map and a function of the id say the same', () => {
  const matches = fc.dictionary(fc.constantFrom(...ids), fc.integer({ min: 0, max: 8 })).map(known);
  fc.assert(
    fc.property(halves, matches, (voters, match) => {
      expect(committedIndex(voters, (id) => match.get(id))).toBe(committedIndex(voters, match));
      const votes = new Map([...match].map(([id, index]) => [id, index > 4] as const));
      expect(voteResult(voters, (id) => votes.get(id))).toBe(voteResult(voters, votes));
    }),
    { seed: 3 },
  );
});

test('any two quorums of one configuration intersect, in each of its halves', () => {
  fc.assert(
    fc.property(halves, fc.subarray(ids), fc.subarray(ids), (voters, one, other) => {
      const both = [one, other].every((set) => isQuorum(voters, (id) => set.includes(id)));
      fc.pre(both);
      const common = one.filter((id) => other.includes(id));
      expect(voters.incoming.some((id) => common.includes(id))).toBe(true);
      expect(voters.outgoing.length === 0 || voters.outgoing.some((id) => common.includes(id))).toBe(true);
    }),
    { seed: 4 },
  );
});
