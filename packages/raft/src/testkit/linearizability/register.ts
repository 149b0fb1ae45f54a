import { unreachable } from '../../base/assert.ts';
import { utf8 } from '../../base/text.ts';
import { type Fact, type Facts, type Model, nothing, unclear } from './model.ts';

/** The commands of a key-value store, each on one key. */
export type RegisterCommand =
  | { readonly name: 'GET'; readonly key: string }
  | { readonly name: 'SET'; readonly key: string; readonly value: string }
  | { readonly name: 'DEL'; readonly key: string }
  /** SET key value IFEQ expected. */
  | { readonly name: 'CAS'; readonly key: string; readonly expected: string; readonly value: string }
  | { readonly name: 'SETNX'; readonly key: string; readonly value: string }
  | { readonly name: 'INCRBY'; readonly key: string; readonly by: bigint }
  | { readonly name: 'APPEND'; readonly key: string; readonly value: string };

/**
 * GET: the value, or null. SET: 'OK'. CAS: 'OK', or null when the key held something else. DEL and SETNX: 1 or 0.
 * INCRBY: the new number. APPEND: the new length in bytes.
 */
export type RegisterResult = string | number | bigint | null;

/** Null: the key does not exist. */
export type RegisterState = string | null;

type Step = readonly [ok: boolean, next: RegisterState];

/** Registers with Redis' semantics, one per key, that do not exist at first. */
export const register: Model<RegisterState, RegisterCommand, RegisterResult> = {
  init: null,
  step,
  key: (command) => command.key,
  identity: (state) => (state === null ? '' : `=${state}`),
  text,
  facts,
};

function step(state: RegisterState, command: RegisterCommand, result: RegisterResult | undefined): Step {
  switch (command.name) {
    case 'GET':
      return [result === undefined || result === state, state];
    case 'SET':
      return [result === undefined || result === 'OK', command.value];
    case 'DEL':
      return [matches(result, state === null ? 0 : 1), null];
    case 'CAS': {
      const swaps = state === command.expected;
      return [matches(result, swaps ? 'OK' : null), swaps ? command.value : state];
    }
    case 'SETNX':
      return [matches(result, state === null ? 1 : 0), state ?? command.value];
    case 'INCRBY':
      return increment(state, command.by, result);
    case 'APPEND': {
      const next = (state ?? '') + command.value;
      return [result === undefined || matches(result, utf8(next).length), next];
    }
    default:
      return unreachable(command);
  }
}

function matches(result: RegisterResult | undefined, expected: string | number | null): boolean {
  return result === undefined || (result === null ? expected === null : String(result) === String(expected));
}

const wholeNumber = /^(0|-?[1-9][0-9]{0,18})$/;
const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

/** A value that is no 64-bit number is left alone, and so is a sum that would not be one: Redis answers an error. */
function increment(state: RegisterState, by: bigint, result: RegisterResult | undefined): Step {
  const refused: Step = [result === undefined, state];
  if (state !== null && !wholeNumber.test(state)) return refused;
  const sum = BigInt(state ?? '0') + by;
  if (sum < smallest || sum > largest) return refused;
  const next = String(sum);
  return [result === undefined || (result !== null && String(result) === next), next];
}

function facts(command: RegisterCommand, result: RegisterResult | undefined): Facts<RegisterState> {
  const failed = result === null || String(result) === '0';
  switch (command.name) {
    case 'GET':
      return { needs: result === undefined ? nothing : one(result as RegisterState), makes: nothing };
    case 'SET':
      return { needs: nothing, makes: one(command.value) };
    case 'DEL':
      if (result === undefined) return { needs: nothing, makes: one(null) };
      return failed ? { needs: one(null), makes: nothing } : { needs: unclear, makes: one(null) };
    case 'CAS':
      if (failed) return { needs: unclear, makes: nothing };
      return { needs: one(command.expected), makes: one(command.value) };
    case 'SETNX':
      if (failed) return { needs: unclear, makes: nothing };
      return { needs: one(null), makes: one(command.value) };
    case 'INCRBY':
      return incrementFacts(command.by, result);
    case 'APPEND':
      return { needs: unclear, makes: { kind: 'some', could: (state) => endsIn(state, command.value, result) } };
    default:
      return unreachable(command);
  }
}

function endsIn(state: RegisterState, value: string, length: RegisterResult | undefined): boolean {
  return state !== null && state.endsWith(value) && (length === undefined || utf8(state).length === Number(length));
}

function incrementFacts(by: bigint, result: RegisterResult | undefined): Facts<RegisterState> {
  if (result === undefined || result === null || !wholeNumber.test(String(result))) {
    return { needs: unclear, makes: { kind: 'some', could: (state) => state !== null && wholeNumber.test(state) } };
  }
  const before = BigInt(result) - by;
  // Zero may have been no key at all.
  return { needs: before === 0n ? unclear : one(String(before)), makes: one(String(result)) };
}

function one(state: RegisterState): Fact<RegisterState> {
  return { kind: 'state', state };
}

function text(command: RegisterCommand): string {
  const { name, key } = command;
  switch (command.name) {
    case 'GET':
    case 'DEL':
      return `${name} ${quoted(key)}`;
    case 'SET':
    case 'SETNX':
    case 'APPEND':
      return `${name} ${quoted(key)} ${quoted(command.value)}`;
    case 'CAS':
      return `SET ${quoted(key)} ${quoted(command.value)} IFEQ ${quoted(command.expected)}`;
    case 'INCRBY':
      return command.by === 1n ? `INCR ${quoted(key)}` : `INCRBY ${quoted(key)} ${command.by}`;
    default:
      return unreachable(command);
  }
}

function quoted(word: string): string {
  return /^[\w.:{}-]+$/.test(word) ? word : JSON.stringify(word);
}
