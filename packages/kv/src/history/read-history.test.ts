import { describe, expect, test } from 'vitest';
import { readHistory } from './read-history.ts';

const lines = (...objects: readonly unknown[]): string => objects.map((one) => JSON.stringify(one)).join('\n');

describe('a history of calls', () => {
  test('reads every command with its result, and skips comments, empty lines and unknown fields', () => {
    const text = `\u{feff}# recorded on Monday\r\n\r\n${lines(
      { client: 1, command: ['set', 'x', 'a'], start: 0, end: 1, result: 'OK', node: 'n1' },
      { client: 1, command: ['SET', 'x', 'b', 'IFEQ', 'a'], start: 2, end: 3, result: null },
      { client: 'c', command: ['DECRBY', 'n', 3], start: 2, end: 3, result: -3 },
      { client: 2, command: ['GET', 'x'], start: 4, end: 5, result: 'a' },
    )}\n`;
    expect(readHistory(text)).toEqual({
      operations: [
        { client: 1, command: { name: 'SET', key: 'x', value: 'a' }, result: 'OK', calledAt: 0, returnedAt: 1 },
        {
          client: 1,
          command: { name: 'CAS', key: 'x', value: 'b', expected: 'a' },
          result: null,
          calledAt: 2,
          returnedAt: 3,
        },
        { client: 'c', command: { name: 'INCRBY', key: 'n', by: -3n }, result: '-3', calledAt: 2, returnedAt: 3 },
        { client: 2, command: { name: 'GET', key: 'x' }, result: 'a', calledAt: 4, returnedAt: 5 },
      ],
      failed: 0,
    });
  });

  test('without an end the outcome is unknown; what failed is left out and counted', () => {
    const { operations, failed } = readHistory(
      lines(
        { client: 1, command: ['INCR', 'n'], start: 0 },
        { client: 2, command: ['INCR', 'n'], start: 0, end: 5, outcome: 'unknown' },
        { client: 3, command: ['INCR', 'n'], start: 0, end: 5, outcome: 'failed' },
      ),
    );
    expect(operations.map(({ client, returnedAt }) => [client, returnedAt])).toEqual([
      [1, Infinity],
      [2, Infinity],
    ]);
    expect(failed).toBe(1);
  });
});

describe('a history of events', () => {
  test('pairs calls with their completions; info and silence are unknown, fail is left out', () => {
    const { operations, failed } = readHistory(
      lines(
        { type: 'invoke', process: 0, f: 'write', value: 1 },
        { type: 'invoke', process: 1, f: 'cas', value: [1, 2] },
        { type: 'info', process: 'nemesis', f: 'kill' },
        { type: 'ok', process: 0, f: 'write', value: 1 },
        { type: 'info', process: 1 },
        { type: 'invoke', process: 0, f: 'read', value: null },
        { type: 'ok', process: 0, f: 'read', value: 2 },
        { type: 'invoke', process: 0, f: 'write', value: 3 },
        { type: 'fail', process: 0 },
        { type: 'invoke', process: 2, command: ['DEL', 'register'] },
      ),
    );
    expect(
      operations.map(({ command, result, calledAt, returnedAt }) => [command.name, result, calledAt, returnedAt]),
    ).toEqual([
      ['SET', 'OK', 1, 4],
      ['CAS', undefined, 2, Infinity],
      ['GET', '2', 6, 7],
      ['DEL', undefined, 10, Infinity],
    ]);
    expect(failed).toBe(1);
  });
});

describe('a line that cannot be read is named', () => {
  const call = { client: 1, command: ['GET', 'x'], start: 0, end: 1, result: null };
  test.each([
    ['{"client":', 'this is not JSON'],
    ['[1]', 'every line holds one object'],
    [lines({ ...call, command: 'GET x' }), '"command" must be an array'],
    [lines({ ...call, command: ['HGET', 'x', 'y'] }), 'cannot judge "HGET x y"'],
    [lines({ ...call, command: ['GET'] }), 'GET names no key'],
    [lines({ ...call, client: undefined }), '"client" must be a string or a number'],
    [lines({ ...call, start: 'now' }), '"start" must be a number'],
    [lines({ ...call, start: 2 }), 'it ends before it starts'],
    [lines({ ...call, outcome: 'perhaps' }), '"outcome" is ok, failed or unknown'],
    [lines({ ...call, result: [1] }), 'the result of GET is a string, or null'],
    [lines({ ...call, command: ['INCR', 'x'], result: 'one' }), 'the result of INCRBY is a whole number'],
    [lines({ type: 'ok', process: 1, time: 2 }), 'process 1 has no open call'],
    [lines({ type: 'done', process: 1 }), '"type" is invoke, ok, fail or info'],
    [lines({ type: 'invoke', process: 1, f: 'read' }), 'some lines have times and some have none'],
  ])('%s', (line, problem) => {
    expect(() => readHistory(`${lines(call)}\n\n${line}\n`)).toThrow(`line 3: ${problem}`);
  });

  test('a process that calls twice at a time is named with both lines', () => {
    const twice = lines({ type: 'invoke', process: 1, f: 'read' }, { type: 'invoke', process: 1, f: 'read' });
    expect(() => readHistory(twice)).toThrow('line 2: process 1 calls again, but its call of line 1 is open');
  });
});
