import { expect, test } from 'vitest';
import { Places } from './places.ts';

test('one address is tried again and again', () => {
  const places = new Places(['a']);
  expect(places.missed(false)).toBe(false);
  expect(places.next).toBe('a');
  expect(places.missed(true)).toBe(true);
  expect(places.next).toBe('a');
});

test('while there are several they are tried in turn, and nobody is gone before all of them were found deserted', () => {
  const places = new Places(['a', 'b']);
  expect([places.next, places.missed(true), places.next, places.missed(true)]).toEqual(['a', false, 'b', true]);
  places.met(false);
  expect([places.missed(true), places.missed(false), places.missed(true)]).toEqual([false, false, false]);
});

test('a new address is tried first', () => {
  const places = new Places(['a']);
  expect(places.rename(['a', 'b'])).toBe(true);
  expect(places.next).toBe('b');
  expect(places.rename(['b'])).toBe(false);
  expect(places.next).toBe('b');
});

test('where it was last met it is looked for too, until it is met elsewhere', () => {
  const places = new Places(['a']);
  places.met(true);
  places.rename(['b']);
  expect([places.next, places.missed(true), places.next, places.missed(true), places.next]).toEqual([
    'b',
    false,
    'a',
    true,
    'b',
  ]);
  places.met(true);
  places.missed(true);
  expect(places.next).toBe('b');
});
