import { describe, expect, test } from 'vitest';
import { checkHistory, type CheckOptions } from './check.ts';
import type { Operation } from './model.ts';
import { register, type RegisterCommand, type RegisterResult } from './register.ts';
import { timeline } from './timeline.ts';

type Row = Operation<RegisterCommand, RegisterResult>;

const key = 'x';
const did = (
  client: number,
  [calledAt, returnedAt]: readonly [number, number],
  command: RegisterCommand,
  result?: RegisterResult,
): Row => ({ client, command, result, calledAt, returnedAt });
const perhaps = (client: number, calledAt: number, command: RegisterCommand): Row =>
  did(client, [calledAt, Infinity], command);
const get: RegisterCommand = { name: 'GET', key };
const del: RegisterCommand = { name: 'DEL', key };
const incr: RegisterCommand = { name: 'INCRBY', key, by: 1n };
const set = (value: string): RegisterCommand => ({ name: 'SET', key, value });
const setnx = (value: string): RegisterCommand => ({ name: 'SETNX', key, value });
const append = (value: string): RegisterCommand => ({ name: 'APPEND', key, value });
const cas = (expected: string, value: string): RegisterCommand => ({ name: 'CAS', key, expected, value });

const a = did(1, [0, 1], set('a'), 'OK');
const b = did(1, [2, 3], set('b'), 'OK');

describe('histories everybody knows', () => {
  const rows: readonly (readonly [string, 'legal' | 'illegal', readonly Row[]])[] = [
    ['nothing happened', 'legal', []],
    ['a key nobody wrote is absent', 'legal', [did(1, [0, 1], get, null)]],
    ['a read during a write sees the old value', 'legal', [did(1, [0, 9], set('a'), 'OK'), did(2, [1, 2], get, null)]],
    ['a read during a write sees the new value', 'legal', [did(1, [0, 9], set('a'), 'OK'), did(2, [1, 2], get, 'a')]],
    ['a stale read', 'illegal', [a, b, did(2, [4, 5], get, 'a')]],
    ['a lost update', 'illegal', [a, did(2, [2, 3], get, null)]],
    ['a read of a value never written', 'illegal', [a, did(2, [2, 3], get, 'z')]],
    ['a read before its write', 'illegal', [did(2, [0, 1], get, 'a'), did(1, [2, 3], set('a'), 'OK')]],
    [
      'reads that go back, though the write has not returned',
      'illegal',
      [did(1, [0, 9], set('a'), 'OK'), did(2, [1, 2], get, 'a'), did(3, [3, 4], get, null)],
    ],
    [
      'two swaps from one value both succeed',
      'illegal',
      [a, did(1, [2, 9], cas('a', 'b'), 'OK'), did(2, [2, 9], cas('a', 'c'), 'OK')],
    ],
    [
      'one of two swaps from one value succeeds',
      'legal',
      [a, did(1, [2, 9], cas('a', 'b'), 'OK'), did(2, [2, 9], cas('a', 'c'), null)],
    ],
    ['a swap fails that had to succeed', 'illegal', [a, did(1, [2, 3], cas('a', 'b'), null)]],
    ['two SETNX both set', 'illegal', [did(1, [0, 9], setnx('a'), 1), did(2, [0, 9], setnx('b'), 1)]],
    ['a value of a refused SETNX', 'illegal', [a, did(2, [2, 3], setnx('b'), 0), did(2, [4, 5], get, 'b')]],
    ['two deletions of one value both delete', 'illegal', [a, did(1, [2, 9], del, 1), did(2, [2, 9], del, 1)]],
    ['two increments both answer 1', 'illegal', [did(1, [0, 9], incr, 1), did(2, [0, 9], incr, 1)]],
    ['increments answer in either order', 'legal', [did(1, [0, 9], incr, 2), did(2, [0, 9], incr, '1')]],
    [
      'appends are seen in one order',
      'illegal',
      [did(1, [0, 9], append('a'), 1), did(2, [0, 9], append('b'), 2), did(3, [10, 11], get, 'ba')],
    ],
    ['the length of an append is in bytes', 'legal', [did(1, [0, 1], append('é'), 2), did(1, [2, 3], append('a'), 3)]],
    ['an unknown write never happens', 'legal', [perhaps(1, 0, set('a')), did(2, [5, 6], get, null)]],
    [
      'an unknown write surfaces late',
      'legal',
      [perhaps(1, 0, set('a')), did(2, [5, 6], get, null), did(2, [7, 8], get, 'a')],
    ],
    [
      'an unknown write happens twice',
      'illegal',
      [perhaps(1, 0, set('z')), did(2, [1, 2], get, 'z'), did(2, [3, 4], set('b'), 'OK'), did(2, [5, 6], get, 'z')],
    ],
    ['an unknown write happens before its call', 'illegal', [did(2, [0, 1], get, 'z'), perhaps(1, 2, set('z'))]],
    ['an unknown increment fills a gap', 'legal', [perhaps(1, 0, incr), did(2, [1, 2], incr, 2)]],
    [
      'of two unknown increments the later one is too late',
      'illegal',
      [perhaps(1, 0, incr), did(2, [1, 2], incr, 3), perhaps(3, 3, incr)],
    ],
    [
      'an unknown swap explains a failed one',
      'legal',
      [a, perhaps(1, 2, cas('a', 'b')), did(2, [3, 4], cas('a', 'c'), null), did(2, [5, 6], get, 'b')],
    ],
    [
      'a write that returned without an answer noted has happened',
      'illegal',
      [did(1, [0, 1], set('a')), did(2, [2, 3], get, null)],
    ],
    [
      'a write that changes nothing at first still counts later',
      'legal',
      [a, did(1, [2, 9], set('a'), 'OK'), did(2, [3, 4], set('b'), 'OK'), did(2, [5, 6], get, 'a')],
    ],
  ];

  test.each(rows)('%s: %s', (_name, verdict, history) => {
    expect(checkHistory(register, history).verdict).toBe(verdict);
  });
});

describe('the report', () => {
  const elsewhere: Row = { client: 9, command: { name: 'GET', key: 'y' }, result: null, calledAt: 0, returnedAt: 1 };
  const fillers = [...Array(300).keys()].flatMap((at) => [
    did(5, [10 * at, 10 * at + 2], set(`v${at}`), 'OK'),
    did(6, [10 * at + 3, 10 * at + 4], get, `v${at}`),
  ]);

  test('keys are judged alone, and one illegal key makes the history illegal', () => {
    const report = checkHistory(register, [elsewhere, a, b, did(2, [4, 5], get, 'a')]);
    expect(report.verdict).toBe('illegal');
    expect(report.keys.map(({ key, verdict }) => [key, verdict])).toEqual([
      ['y', 'legal'],
      ['x', 'illegal'],
    ]);
    expect(report).toMatchObject({ operations: 4, unknownOutcomes: 0 });
  });

  test('the window of a long history holds the few operations that contradict each other', () => {
    const stale = did(7, [2995, 2998], get, 'v12');
    const { window } = checkHistory(register, [...fillers, stale]).keys[0]!;
    expect(window!.operations).toContain(stale);
    expect(window!.operations.length).toBeLessThanOrEqual(3);
    expect([...window!.operations, ...window!.context].map(({ command }) => register.text(command))).toContain(
      'SET x v12',
    );
    expect(window!.to).toBeLessThanOrEqual(2998);
  });

  test('a window is told as a timeline', () => {
    const { window } = checkHistory(register, [a, b, did(2, [4, 5], get, 'a')]).keys[0]!;
    expect(timeline(register, window!)).toEqual([
      '  client 1  SET x a  0 - 1  "OK"  |-----|',
      '  client 1  SET x b  2 - 3  "OK"              |------|',
      '  client 2  GET x    4 - 5  "a"                            |-----|',
    ]);
  });

  test('a search beyond its limit of steps or time is undecided, never a pass', () => {
    const hard = [
      ...[...Array(14).keys()].map((at) => did(at, [0, 100], append(String(at % 3)), undefined)),
      did(99, [101, 102], get, 'nothing like it'),
    ];
    const blind = { ...register, facts: () => ({ needs: { kind: 'unclear' }, makes: { kind: 'unclear' } }) as const };
    const verdictWithin = (options: CheckOptions): string => checkHistory(blind, hard, options).verdict;
    expect(verdictWithin({ stepsMax: 100 })).toBe('undecided');
    let nowMs = 0;
    expect(verdictWithin({ timeMsMax: 3, nowMs: () => (nowMs += 1) })).toBe('undecided');
  });
});
