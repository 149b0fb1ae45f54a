import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileGlob } from './glob.ts';

test.each([
  ['*', '', true],
  ['*', 'anything', true],
  ['h?llo', 'hello', true],
  ['h?llo', 'hllo', false],
  ['h*llo', 'heeeello', true],
  ['h[ae]llo', 'hallo', true],
  ['h[^e]llo', 'hello', false],
  ['h[a-c]llo', 'hbllo', true],
  ['h[c-a]llo', 'hbllo', true],
  ['h[a\\-c]', 'h-', true],
  ['[]]', ']', false],
  ['[abc', 'b', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['a\\', 'a\\', true],
  ['', '', true],
  ['', 'a', false],
  ['a**b', 'ab', true],
  ['*.*.*', 'a.b', false],
  ['[^a]', 'é', true],
])('%j matches %j: %s', (pattern, text, expected) => {
  expect(compileGlob(pattern)(text)).toBe(expected);
});

/** By definition: a star is any number of characters. */
function matchesSlowly(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  const rest = pattern.slice(1);
  if (pattern[0] === '*') return matchesSlowly(rest, text) || (text !== '' && matchesSlowly(pattern, text.slice(1)));
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && matchesSlowly(rest, text.slice(1));
}

test('stars match as their definition says', () => {
  const letters = (of: string): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...of.split('')), { maxLength: 8 }).map((characters) => characters.join(''));
  fc.assert(
    fc.property(letters('ab*?'), letters('ab'), (pattern, text) => {
      expect(compileGlob(pattern)(text)).toBe(matchesSlowly(pattern, text));
    }),
    { numRuns: 2000 },
  );
});

test('a glob bomb is only a slow pattern', () => {
  const bomb = compileGlob(`${'a*'.repeat(200)}b`);
  expect(bomb('a'.repeat(20_000))).toBe(false);
});
