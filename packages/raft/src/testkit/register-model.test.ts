import { describe, expect, test } from 'vitest';
import { Prng } from '../base/prng.ts';
import { bruteForceOf } from '../../test/support/history-generator.test-support.ts';
import { checkHistory } from './linearizability/check.ts';
import type { Operation } from './linearizability/model.ts';
import { judge } from './linearizability/search.ts';
import { registerSequential } from './register-model.ts';
import type { PlannedOperation } from './workload.ts';

type Call = Operation<PlannedOperation, Uint8Array>;

describe('the registers of the simulator', () => {
  test('small histories, correct or damaged, are judged as by trying every order', () => {
    const counts = { legal: 0, illegal: 0 };
    for (let seed = 1; seed <= 1500; seed += 1) {
      const prng = new Prng(seed);
      const shape = {
        clients: prng.between(2, 4),
        callsPerClient: 2,
        unknownShare: prng.between(0, 2) * 0.3,
        operands: 3,
      };
      const history = legalHistory(prng, shape).map((call) => (prng.between(0, 4) === 0 ? damaged(prng, call) : call));
      const expected = bruteForceOf(registerSequential, history);
      counts[expected] += 1;
      expect(checkHistory(registerSequential, history).verdict, `seed ${seed}`).toBe(expected);
    }
    expect(counts.legal).toBeGreaterThan(200);
    expect(counts.illegal).toBeGreaterThan(200);
  });

  test('long histories with many unknown outcomes are decided in about one step per call', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const shape = { clients: 24, callsPerClient: 80, unknownShare: 0.02 * (1 + (seed % 4)), operands: 1_000_000 };
      const history = legalHistory(new Prng(seed), shape);
      const { verdict, keys } = checkHistory(registerSequential, history, { stepsMax: 200_000 });
      expect(verdict, `seed ${seed}`).toBe('legal');
      expect(keys[0]?.steps, `seed ${seed}`).toBeLessThan(history.length * 10);
    }
  });

  test('one stale answer makes a long history illegal, however many outcomes are unknown', () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const shape = { clients: 16, callsPerClient: 60, unknownShare: 0.02, operands: 1_000_000 };
      const history = legalHistory(new Prng(seed), shape);
      const late = history.findLast(({ result }) => result !== undefined) as Call;
      const before = history.findLast(
        ({ result, returnedAt }) => result !== undefined && returnedAt < late.calledAt - 100,
      ) as Call;
      const stale = history.map((call) =>
        call === late ? { ...call, command: read, result: before.result as Uint8Array } : call,
      );
      const { verdict } = judge(registerSequential, stale, { stepsMax: 200_000, expired: () => false });
      expect(verdict, `seed ${seed}`).toBe('illegal');
    }
  });
});

const read: PlannedOperation = { kind: 'read', payload: new Uint8Array([0]) };

function write(opcode: number, operand: number): PlannedOperation {
  const payload = new Uint8Array(6);
  payload[0] = opcode;
  new DataView(payload.buffer).setUint32(2, operand, true);
  return { kind: 'write', payload };
}

interface Shape {
  readonly clients: number;
  readonly callsPerClient: number;
  readonly unknownShare: number;
  /** How many different ones. */
  readonly operands: number;
}

/** What clients of one correct register would see; those without an answer call on all the same. */
function legalHistory(prng: Prng, { clients, callsPerClient, unknownShare, operands }: Shape): Call[] {
  const calls = [];
  for (let client = 0; client < clients; client += 1) {
    let nowMs = prng.between(0, 20);
    for (let at = 0; at < callsPerClient; at += 1) {
      const calledAt = nowMs;
      const actsAt = calledAt + prng.fraction() * 20;
      const returnedAt = actsAt + prng.fraction() * 20;
      nowMs = returnedAt + prng.fraction() * 3;
      const unknown = prng.fraction() < unknownShare;
      const operand = prng.between(1, operands);
      const command = prng.fraction() < 0.4 && !unknown ? read : write(prng.between(1, 2), operand);
      calls.push({
        client,
        command,
        calledAt,
        returnedAt,
        unknown,
        actsAt: actsAt + (unknown ? prng.between(0, 60) : 0),
      });
    }
  }
  calls.sort((left, right) => left.actsAt - right.actsAt);
  let state = registerSequential.init as { value: number; version: number };
  return calls.map(({ client, command, calledAt, returnedAt, unknown }) => {
    const happens = !unknown || prng.between(0, 2) > 0;
    if (happens) state = registerSequential.step(state, command, undefined)[1] as typeof state;
    if (unknown) return { client, command, result: undefined, calledAt, returnedAt: Infinity };
    return { client, command, result: answerOf(state.value, state.version), calledAt, returnedAt };
  });
}

function answerOf(value: number, version: number): Uint8Array {
  const answer = new Uint8Array(8);
  const view = new DataView(answer.buffer);
  view.setUint32(0, value, true);
  view.setUint32(4, version, true);
  return answer;
}

function damaged(prng: Prng, call: Call): Call {
  const { result, calledAt, returnedAt } = call;
  if (result !== undefined && prng.between(0, 1) === 0) {
    const view = new DataView(result.buffer);
    const versionOff = prng.between(-1, 1);
    return {
      ...call,
      result: answerOf(view.getUint32(0, true) + prng.between(0, 1), Math.max(0, view.getUint32(4, true) + versionOff)),
    };
  }
  const byMs = prng.between(-15, 15);
  return { ...call, calledAt: calledAt + byMs, returnedAt: returnedAt + byMs };
}
