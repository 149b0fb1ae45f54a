import { describe, expect, test } from 'vitest';
import { judgeRegister, type Operation, type RegisterAction } from '../support/linearizability.ts';

const read = (value: string | null): RegisterAction => ({ kind: 'read', value });
const write = (value: string): RegisterAction => ({ kind: 'write', value });
const swap = (expected: string, value: string, swapped: boolean | null): RegisterAction => ({
  kind: 'swap',
  expected,
  value,
  swapped,
});
const during = (calledAt: number, returnedAt: number, action: RegisterAction): Operation => ({
  action,
  calledAt,
  returnedAt,
});
const unknown = (calledAt: number, action: RegisterAction): Operation => during(calledAt, Infinity, action);

describe('the judge of register histories', () => {
  const rows: readonly (readonly [string, 'linearizable' | 'illegal', readonly Operation[]])[] = [
    ['nothing happened', 'linearizable', []],
    ['a key that was never written is absent', 'linearizable', [during(0, 1, read(null))]],
    ['a read sees the write before it', 'linearizable', [during(0, 1, write('a')), during(2, 3, read('a'))]],
    ['a stale read', 'illegal', [during(0, 1, write('a')), during(2, 3, write('b')), during(4, 5, read('a'))]],
    ['a lost write', 'illegal', [during(0, 1, write('a')), during(2, 3, read(null))]],
    ['a value nobody wrote', 'illegal', [during(0, 1, write('a')), during(2, 3, read('x'))]],
    [
      'overlapping writes take effect in either order',
      'linearizable',
      [during(0, 10, write('a')), during(0, 10, write('b')), during(11, 12, read('a'))],
    ],
    [
      'two readers that see overlapping writes in different orders',
      'illegal',
      [during(0, 10, write('a')), during(0, 10, write('b')), during(11, 12, read('a')), during(13, 14, read('b'))],
    ],
    [
      'a read that overlaps a write may see it, and then nobody sees the old value again',
      'illegal',
      [during(0, 10, write('a')), during(1, 2, read('a')), during(3, 4, read(null))],
    ],
    ['an unknown write may never happen', 'linearizable', [unknown(0, write('a')), during(5, 6, read(null))]],
    [
      'an unknown write may take effect long after',
      'linearizable',
      [unknown(0, write('a')), during(5, 6, read(null)), during(7, 8, read('a'))],
    ],
    [
      'an unknown write takes effect once',
      'illegal',
      [unknown(0, write('a')), during(1, 2, read('a')), during(3, 4, write('b')), during(5, 6, read('a'))],
    ],
    [
      'an unknown write cannot take effect before its call',
      'illegal',
      [during(0, 1, read('a')), unknown(2, write('a'))],
    ],
    [
      'a swap that succeeded found what it expected',
      'illegal',
      [during(0, 1, write('a')), during(2, 3, swap('x', 'b', true))],
    ],
    ['a swap that failed did not', 'illegal', [during(0, 1, write('a')), during(2, 3, swap('a', 'b', false))]],
    [
      'of two swaps from one value one wins',
      'illegal',
      [during(0, 1, write('a')), during(2, 9, swap('a', 'b', true)), during(2, 9, swap('a', 'c', true))],
    ],
    [
      'an unknown swap may explain a failed one',
      'linearizable',
      [
        during(0, 1, write('a')),
        unknown(2, swap('a', 'b', null)),
        during(3, 4, swap('a', 'c', false)),
        during(5, 6, read('b')),
      ],
    ],
  ];

  test.each(rows)('%s: %s', (_name, verdict, history) => {
    expect(judgeRegister(history)).toBe(verdict);
  });

  test('a search beyond its bound is undecided, never a pass', () => {
    const history = [...Array(12).keys()].map((at) => during(0, 100, write(String(at))));
    expect(judgeRegister([...history, during(101, 102, read('nobody'))], 50)).toBe('undecided');
  });

  test('long histories of many clients are judged at once, and one stale read in them is found', () => {
    const history: Operation[] = [];
    for (let round = 0; round < 300; round += 1) {
      const at = round * 10;
      history.push(
        during(at, at + 12, write(`v${round}`)),
        during(at + 1, at + 4, read(round === 0 ? null : `v${round - 1}`)),
        during(at + 2, at + 5, swap('nothing', 'x', false)),
      );
      if (round % 20 === 0) history.push(unknown(at, write(`lost${round}`)));
    }
    expect(judgeRegister(history)).toBe('linearizable');
    expect(judgeRegister([...history, during(2900, 2901, read('v3'))])).toBe('illegal');
  });
});
