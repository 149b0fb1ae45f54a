import { unreachable } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { Model, Operation } from '../../src/testkit/linearizability/model.ts';
import {
  register,
  type RegisterCommand,
  type RegisterResult,
  type RegisterState,
} from '../../src/testkit/linearizability/register.ts';

export type RegisterOperation = Operation<RegisterCommand, RegisterResult>;

export interface Shape {
  readonly clients: number;
  readonly operationsPerClient: number;
  readonly keys: number;
  /** How many different values are written; 0: every one is new. */
  readonly values: number;
  readonly unknownShare: number;
  readonly commands: readonly RegisterCommand['name'][];
}

/**
 * What clients of a correct store would see: every client calls, the register acts at a time in between, the client
 * hears of it. Calls of one client follow each other, calls of different clients overlap.
 */
export function legalHistory(prng: Prng, shape: Shape): RegisterOperation[] {
  const calls = [];
  for (let client = 0; client < shape.clients; client += 1) {
    let now = prng.between(0, 20);
    for (let at = 0; at < shape.operationsPerClient; at += 1) {
      const calledAt = now;
      const actsAt = calledAt + prng.fraction() * 20;
      const returnedAt = actsAt + prng.fraction() * 20;
      now = returnedAt + prng.fraction() * 3;
      calls.push({ client, calledAt, actsAt, returnedAt, id: `${client}.${at}` });
    }
  }
  calls.sort((a, b) => a.actsAt - b.actsAt);
  const states = new Map<string, RegisterState>();
  const written = new Map<string, string[]>();
  return calls.map(({ client, calledAt, returnedAt, id }) => {
    const key = `k${prng.between(0, shape.keys - 1)}`;
    const values = written.get(key) ?? [];
    written.set(key, values);
    const command = anyCommand(prng, { key, id, shape, values, current: states.get(key) ?? null });
    if (prng.fraction() < shape.unknownShare) {
      if (prng.between(0, 1) === 1) states.set(key, act(states.get(key) ?? null, command).state);
      return { client, command, result: undefined, calledAt, returnedAt: Infinity };
    }
    const { state, result } = act(states.get(key) ?? null, command);
    states.set(key, state);
    return { client, command, result, calledAt, returnedAt };
  });
}

interface Choice {
  readonly key: string;
  readonly id: string;
  readonly shape: Shape;
  readonly values: string[];
  readonly current: RegisterState;
}

function anyCommand(prng: Prng, { key, id, shape, values, current }: Choice): RegisterCommand {
  const name = shape.commands[prng.between(0, shape.commands.length - 1)] as RegisterCommand['name'];
  const value = shape.values === 0 ? id : String(prng.between(1, shape.values));
  switch (name) {
    case 'GET':
    case 'DEL':
      return { name, key };
    case 'INCRBY':
      // On what is no number it would be an error: a failed call, which a history does not hold.
      if (current !== null && !/^-?\d+$/.test(current)) return { name: 'SET', key, value: String(prng.between(1, 9)) };
      return { name, key, by: BigInt(prng.between(1, 2)) };
    case 'CAS': {
      const guess = values[prng.between(0, Math.max(0, values.length - 1))] ?? 'nothing';
      values.push(value);
      return { name, key, expected: prng.between(0, 2) === 0 ? guess : (current ?? guess), value };
    }
    default:
      values.push(value);
      return { name, key, value };
  }
}

/** The register by itself, written a second time on purpose: it answers, where the model only checks answers. */
export function act(
  state: RegisterState,
  command: RegisterCommand,
): { readonly state: RegisterState; readonly result: RegisterResult | undefined } {
  switch (command.name) {
    case 'GET':
      return { state, result: state };
    case 'SET':
      return { state: command.value, result: 'OK' };
    case 'DEL':
      return { state: null, result: state === null ? 0 : 1 };
    case 'CAS':
      return state === command.expected ? { state: command.value, result: 'OK' } : { state, result: null };
    case 'SETNX':
      return state === null ? { state: command.value, result: 1 } : { state, result: 0 };
    case 'INCRBY': {
      const sum = String(BigInt(state ?? '0') + command.by);
      return { state: sum, result: Number(sum) };
    }
    case 'APPEND': {
      const next = (state ?? '') + command.value;
      return { state: next, result: next.length };
    }
    default:
      return unreachable(command);
  }
}

export function bruteForce(operations: readonly RegisterOperation[]): 'legal' | 'illegal' {
  return bruteForceOf(register, operations);
}

/** Tries every order, and for every operation of unknown outcome both that it happened and that it did not. */
export function bruteForceOf<State, Command, Result>(
  model: Pick<Model<State, Command, Result>, 'init' | 'step'>,
  operations: readonly Operation<Command, Result>[],
): 'legal' | 'illegal' {
  const explains = (left: readonly Operation<Command, Result>[], state: State): boolean => {
    if (left.every(({ returnedAt }) => returnedAt === Infinity)) return true;
    return left.some((one) => {
      if (left.some((other) => other.returnedAt < one.calledAt)) return false;
      const [ok, next] = model.step(state, one.command, one.result);
      return (
        ok &&
        explains(
          left.filter((other) => other !== one),
          next,
        )
      );
    });
  };
  return explains(operations, model.init) ? 'legal' : 'illegal';
}
