import type { PlannedOperation, RecordedCall, Workload } from 'nori-raft/testkit';
import { KvStateMachine } from '../state/kv-state-machine.ts';
import { answerOf, planned, wordsOf } from './planned.ts';
import { onRegister, pairKeys, sequential } from './sequential.ts';
import { ShadowStore } from './shadow-store.ts';

type Prng = Parameters<Workload['next']>[0];
type Words = readonly (string | number)[];

const numberKeys = 3;
const textKeys = 2;
const timedKeys = 3;
const pairShare = 0.15;
const readShare = 0.4;

/** Keys that begin with n hold numbers, with s texts, with t whatever lives for a while; two with p are used together. */
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
  p: [
    (_prng, _key, id) => ['MSET', pairKeys[0], `${id}a`, pairKeys[1], `${id}b`],
    (_prng, _key, id) => ['MSETNX', pairKeys[0], `${id}a`, pairKeys[1], `${id}b`],
    (_prng, key, id) => ['SET', key, id],
    (_prng, key) => ['RENAME', key, pairKeys.find((other) => other !== key) as string],
    (_prng, key) => ['RENAMENX', key, pairKeys.find((other) => other !== key) as string],
    () => ['DEL', ...pairKeys],
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
  if (key.startsWith('p')) return ['MGET', ...pairKeys];
  return [key.startsWith('t') && prng.fraction() < 0.3 ? 'PTTL' : 'GET', key];
}

function drawKey(prng: Prng): string {
  if (prng.fraction() < pairShare) return pairKeys[prng.between(0, 1)] as string;
  const at = prng.between(0, numberKeys + textKeys + timedKeys - 1);
  if (at < numberKeys) return `n${at}`;
  return at < numberKeys + textKeys ? `s${at}` : `t${at}`;
}

/** The words of docs/history-format.md; a key of another group is another key. It has none for other keys than registers. */
function recorded(call: PlannedOperation, group: number, result: Uint8Array | null): RecordedCall | null {
  if (!onRegister(call)) return null;
  const [name = '', key = '', ...rest] = wordsOf(call);
  return { command: [name, `g${group}:${key}`, ...rest], result: result === null ? null : answerOf(result) };
}

const textMax = 100;

function shortened(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}...`;
}
