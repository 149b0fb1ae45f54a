import type { PlannedOperation, RecordedCall, SequentialModel, Workload } from 'nori-raft/testkit';
import {
  type Facts,
  register,
  type RegisterCommand,
  type RegisterResult,
  type RegisterState,
} from 'nori-raft/testkit/linearizability';
import { KvStateMachine } from '../state/kv-state-machine.ts';
import { answerOf, planned, wordsOf } from './planned.ts';
import { ShadowStore } from './shadow-store.ts';
import { type TimedCommand, timedKey, type TimedResult, type TimedState } from './timed-key.ts';

type Prng = Parameters<Workload['next']>[0];
type Words = readonly (string | number)[];

const numberKeys = 3;
const textKeys = 2;
const timedKeys = 3;
const readShare = 0.4;

/** Keys that begin with n hold numbers, with s texts, with t whatever lives for a while. */
const writes: Readonly<Record<string, readonly ((prng: Prng, key: string, id: number) => Words)[]>> = {
  n: [
    (_prng, key, id) => ['SET', key, id],
    (_prng, key) => ['INCR', key],
    (_prng, key) => ['DECR', key],
    (prng, key) => ['INCRBY', key, prng.between(-50, 50)],
    (_prng, key, id) => ['SETNX', key, id],
    (prng, key, id) => ['SET', key, id, 'IFEQ', id - prng.between(1, 9)],
    (_prng, key) => ['DEL', key],
  ],
  s: [
    (_prng, key, id) => ['SET', key, `<${id}>`],
    (prng, key, id) => ['SET', key, `<${id}>${'.'.repeat(prng.between(0, 3000))}`],
    (_prng, key, id) => ['APPEND', key, `<${id}>`],
    (_prng, key, id) => ['SETNX', key, `<${id}>`],
    (_prng, key) => ['DEL', key],
  ],
  t: [
    (_prng, key, id) => ['SET', key, id],
    (prng, key, id) => ['SET', key, id, 'PX', prng.between(1, 3000)],
    (prng, key, id) => ['SET', key, id, 'PX', prng.between(1, 3000)],
    (prng, key) => ['PEXPIRE', key, prng.between(1, 3000)],
    (_prng, key) => ['PERSIST', key],
    (_prng, key) => ['DEL', key],
  ],
};

/**
 * The in-memory state machine of nori-kv under the simulator, asked with the commands and bytes of the server: its
 * answers are compared with a shadow store as of each index, and clients' histories with registers.
 */
export default function kvWorkload(): Workload {
  return {
    name: 'kv',
    stateMachine: () => new KvStateMachine({ random: () => 0 }),
    next: plan,
    model: () => new ShadowStore(),
    sequential,
    text: (call) => shortened(wordsOf(call).join(' ')),
    answerText: (_call, result) => shortened(String(answerOf(result) ?? '(nil)')),
    recorded,
  };
}

function plan(prng: Prng, id: number): PlannedOperation {
  return prng.fraction() < readShare ? planned('read', drawQuery(prng)) : planned('write', drawCommand(prng, id));
}

/** The words of the next write; `id` is part of what it writes. */
export function drawCommand(prng: Prng, id: number): Words {
  const key = drawKey(prng);
  const choices = writes[key[0] as string] as NonNullable<(typeof writes)[string]>;
  return (choices[prng.between(0, choices.length - 1)] as (typeof choices)[number])(prng, key, id);
}

export function drawQuery(prng: Prng): Words {
  const key = drawKey(prng);
  return [key.startsWith('t') && prng.fraction() < 0.3 ? 'PTTL' : 'GET', key];
}

function drawKey(prng: Prng): string {
  const at = prng.between(0, numberKeys + textKeys + timedKeys - 1);
  if (at < numberKeys) return `n${at}`;
  return at < numberKeys + textKeys ? `s${at}` : `t${at}`;
}

/** Both kinds of key as one object. States of keys never meet: every key is judged alone. */
const sequential: SequentialModel = {
  init: null,
  step: (state, call, result) => {
    const answer = result === undefined ? undefined : answerOf(result);
    const timed = timedCommandOf(call);
    return timed === null
      ? register.step(state as RegisterState, registerCommandOf(call), answer as RegisterResult)
      : timedKey.step(state as TimedState, timed, timedAnswer(call, answer));
  },
  key: (call) => wordsOf(call)[1] as string,
  identity: (state) =>
    typeof state === 'object' && state !== null
      ? timedKey.identity(state as TimedState)
      : register.identity(state as RegisterState),
  text: (call) => shortened(wordsOf(call).join(' ')),
  facts: (call, result): Facts<unknown> => {
    const answer = result === undefined ? undefined : answerOf(result);
    const timed = timedCommandOf(call);
    const facts =
      timed === null
        ? register.facts?.(registerCommandOf(call), answer as RegisterResult)
        : timedKey.facts?.(timed, timedAnswer(call, answer));
    return facts as Facts<unknown>;
  },
};

/** PTTL tells whether the key is there, like a GET that does not say what it holds. */
function timedAnswer(call: PlannedOperation, answer: RegisterResult | undefined): TimedResult | undefined {
  if (wordsOf(call)[0] !== 'PTTL') return answer as TimedResult | undefined;
  return undefined;
}

function timedCommandOf(call: PlannedOperation): TimedCommand | null {
  const [name, key = '', value = '', option] = wordsOf(call);
  if (!key.startsWith('t')) return null;
  switch (name) {
    case 'SET':
      return { name, key, value, lives: option === 'PX' };
    case 'PTTL':
      return { name: 'GET', key };
    default:
      return { name: name as 'GET' | 'DEL' | 'PERSIST' | 'PEXPIRE', key };
  }
}

function registerCommandOf(call: PlannedOperation): RegisterCommand {
  const [name, key = '', value = '', option, expected = ''] = wordsOf(call);
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

/** The words of docs/history-format.md; a key of another group is another key. It has none for keys with lifetimes, which are registers no more. */
function recorded(call: PlannedOperation, group: number, result: Uint8Array | null): RecordedCall | null {
  if (timedCommandOf(call) !== null) return null;
  const [name = '', key = '', ...rest] = wordsOf(call);
  return { command: [name, `g${group}:${key}`, ...rest], result: result === null ? null : answerOf(result) };
}

const textMax = 100;

function shortened(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}...`;
}
