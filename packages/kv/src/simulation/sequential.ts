import type { PlannedOperation, SequentialModel } from 'nori-raft/testkit';
import { type Facts, type Model, register, type RegisterCommand } from 'nori-raft/testkit/linearizability';
import { pair, type PairCommand } from './pair.ts';
import { answerOf, wordsOf } from './planned.ts';
import { type TimedCommand, timedKey } from './timed-key.ts';

type Answer = string | number | null;

/** What a call is to the part of the store that it touches. */
interface Part {
  readonly model: Model<unknown, unknown, Answer>;
  readonly key: string;
  readonly command: unknown;
  /** Its answer says nothing that the model of this part knows of. */
  readonly mute?: boolean;
}

/**
 * Keys that begin with t have lifetimes, those that begin with p are a pair, and every other is a register. States of
 * different kinds never meet: every key, or the pair, is judged alone, and none exists at first.
 */
export const sequential: SequentialModel = {
  init: null,
  step: (state, call, result) => {
    const { model, command, mute } = partOf(call);
    return model.step(state, command, result === undefined || mute === true ? undefined : answerOf(result));
  },
  key: (call) => partOf(call).key,
  identity: (state) => JSON.stringify(state),
  text: (call) => wordsOf(call).join(' '),
  facts: (call, result): Facts<unknown> => {
    const { model, command, mute } = partOf(call);
    const answer = result === undefined || mute === true ? undefined : answerOf(result);
    return model.facts?.(command, answer) as Facts<unknown>;
  },
};

/** True for the only kind of key that docs/history-format.md has words for. */
export function onRegister(call: PlannedOperation): boolean {
  return !/^[tp]/.test(keyOf(wordsOf(call)));
}

function partOf(call: PlannedOperation): Part {
  const words = wordsOf(call);
  const key = keyOf(words);
  switch (key[0]) {
    case 'p':
      return { model: pair as Part['model'], key: 'p', command: pairCommand(words) };
    case 't':
      // PTTL tells whether the key is there, like a GET that does not say what it holds.
      return { model: timedKey as Part['model'], key, command: timedCommand(words), mute: words[0] === 'PTTL' };
    default:
      return { model: register as Part['model'], key, command: registerCommand(words) };
  }
}

function keyOf(words: readonly string[]): string {
  return words[1] as string;
}

function pairCommand([name, key = '', ...rest]: readonly string[]): PairCommand {
  const at = key === pairKeys[0] ? 0 : 1;
  switch (name) {
    case 'MSET':
    case 'MSETNX':
      return { name, values: [rest[0] as string, rest[2] as string] };
    case 'SET':
      return { name, at, value: rest[0] as string };
    case 'RENAME':
    case 'RENAMENX':
      return { name, at };
    default:
      return { name: name as 'DEL' | 'MGET' };
  }
}

/** The two keys; a command on both names them in this order. */
export const pairKeys = ['p0', 'p1'] as const;

function timedCommand([name, key = '', value = '', option]: readonly string[]): TimedCommand {
  switch (name) {
    case 'SET':
      return { name, key, value, lives: option === 'PX' };
    case 'PTTL':
      return { name: 'GET', key };
    default:
      return { name: name as 'GET' | 'DEL' | 'PERSIST' | 'PEXPIRE', key };
  }
}

function registerCommand([name, key = '', value = '', option, expected = '']: readonly string[]): RegisterCommand {
  switch (name) {
    case 'INCR':
      return { name: 'INCRBY', key, by: 1n };
    case 'DECR':
      return { name: 'INCRBY', key, by: -1n };
    case 'INCRBY':
      return { name, key, by: BigInt(value) };
    case 'SET':
      return option === 'IFEQ' ? { name: 'CAS', key, value, expected } : { name, key, value };
    case 'SETNX':
    case 'APPEND':
      return { name, key, value };
    default:
      return { name: name as 'GET' | 'DEL', key };
  }
}
