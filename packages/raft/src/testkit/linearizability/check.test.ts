import { describe, expect, test } from 'vitest';
import { unreachable } from '../../base/assert.ts';
import { Prng } from '../../base/prng.ts';
import { checkHistory } from './check.ts';
import {
  bruteForce,
  legalHistory,
  type RegisterOperation,
  type Shape,
} from '../../../test/support/history-generator.test-support.ts';
import { factsOf } from './model.ts';
import { register, type RegisterCommand } from './register.ts';

const everything: Shape['commands'] = ['GET', 'SET', 'DEL', 'CAS', 'SETNX', 'INCRBY', 'APPEND'];
const readsAndWrites: Shape['commands'] = ['GET', 'GET', 'SET', 'CAS'];

describe('random histories', () => {
  test('what a correct register answered is always legal', () => {
    for (let seed = 1; seed <= 400; seed += 1) {
      const prng = new Prng(seed);
      const history = legalHistory(prng, {
        clients: prng.between(1, 8),
        operationsPerClient: prng.between(1, 30),
        keys: prng.between(1, 3),
        values: prng.between(0, 3),
        unknownShare: prng.between(0, 2) * 0.1,
        commands: prng.between(0, 1) === 0 ? everything : readsAndWrites,
      });
      expect(checkHistory(register, history).verdict, `seed ${seed}`).toBe('legal');
    }
  });

  test('small histories, correct or damaged, are judged as by trying every order, and windows hold what they say', () => {
    const counts = { legal: 0, illegal: 0 };
    for (let seed = 1; seed <= 6000; seed += 1) {
      const prng = new Prng(seed);
      const history = legalHistory(prng, {
        clients: prng.between(1, 4),
        operationsPerClient: 2,
        keys: 1,
        values: prng.between(0, 2),
        unknownShare: prng.between(0, 2) * 0.2,
        commands: [everything, readsAndWrites][prng.between(0, 1)] as Shape['commands'],
      });
      const damaged = history.map((one) => (prng.between(0, 3) === 0 ? damage(prng, one) : one));
      const expected = bruteForce(damaged);
      counts[expected] += 1;
      const report = checkHistory(register, damaged);
      expect(report.verdict, `seed ${seed}`).toBe(expected);
      const window = report.keys[0]?.window;
      if (window === null || window === undefined) continue;
      expect(bruteForce(window.operations.concat(supposed(damaged, window))), `window of seed ${seed}`).toBe('illegal');
    }
    expect(counts.legal).toBeGreaterThan(500);
    expect(counts.illegal).toBeGreaterThan(500);
  });
});

/** Everything outside the window, as the window supposes it: at any time or never. */
function supposed(
  history: readonly RegisterOperation[],
  { operations, to }: { readonly operations: readonly RegisterOperation[]; readonly to: number },
): RegisterOperation[] {
  return history
    .filter((one) => !operations.includes(one) && one.calledAt <= to && factsOf(register, one).makes.kind !== 'none')
    .map((one) => ({ ...one, result: undefined, returnedAt: Infinity }));
}

function damage(prng: Prng, operation: RegisterOperation): RegisterOperation {
  const { command, result, calledAt, returnedAt } = operation;
  switch (prng.between(0, 3)) {
    case 0:
      return { ...operation, result: otherResult(prng, command, result) };
    case 1:
      return { ...operation, calledAt: calledAt - 15, returnedAt: returnedAt - 15 };
    case 2:
      return { ...operation, returnedAt: calledAt };
    default:
      return { ...operation, calledAt: calledAt + 10, returnedAt: returnedAt + 10 };
  }
}

function otherResult(
  prng: Prng,
  command: RegisterCommand,
  result: RegisterOperation['result'],
): RegisterOperation['result'] {
  if (result === undefined) return undefined;
  switch (command.name) {
    case 'GET':
      return [null, '1', '2', '0.0', '1.0'][prng.between(0, 4)] as string | null;
    case 'SET':
      return result;
    case 'CAS':
      return result === null ? 'OK' : null;
    case 'DEL':
    case 'SETNX':
      return 1 - Number(result);
    case 'INCRBY':
    case 'APPEND':
      return Number(result) + prng.between(-2, 2);
    default:
      return unreachable(command);
  }
}

describe('size', () => {
  const timed = (history: RegisterOperation[]): { verdict: string; elapsedMs: number; steps: number } => {
    const startMs = performance.now();
    const report = checkHistory(register, history);
    const steps = report.keys.reduce((sum, key) => sum + key.steps, 0);
    return { verdict: report.verdict, elapsedMs: performance.now() - startMs, steps };
  };

  test.each([
    ['reads, writes and swaps', readsAndWrites, 0],
    ['reads, writes and swaps, a hundredth unknown', readsAndWrites, 0.01],
    ['all commands whose answer tells the state', ['GET', 'SET', 'DEL', 'SETNX', 'CAS'], 0.005],
    ['a counter', ['GET', 'INCRBY'], 0],
  ] as const)('16 clients with 2,000 operations each on one key, %s, take seconds', (_name, commands, unknownShare) => {
    const history = legalHistory(new Prng(7), {
      clients: 16,
      operationsPerClient: 2000,
      keys: 1,
      values: 0,
      unknownShare,
      commands,
    });
    const legal = timed(history);
    expect(legal.verdict).toBe('legal');
    expect(legal.elapsedMs).toBeLessThan(10_000);
  });

  test('100,000 operations on 1,000 keys take seconds', () => {
    const history = legalHistory(new Prng(9), {
      clients: 16,
      operationsPerClient: 6250,
      keys: 1000,
      values: 0,
      unknownShare: 0.005,
      commands: readsAndWrites,
    });
    const { verdict, elapsedMs } = timed(history);
    expect(verdict).toBe('legal');
    expect(elapsedMs).toBeLessThan(10_000);
  });
});
