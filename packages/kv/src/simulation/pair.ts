import type { Fact, Facts, Model } from 'nori-raft/testkit/linearizability';

/** The commands on two keys that are only ever touched by commands which may touch both. `at` tells which. */
export type PairCommand =
  | { readonly name: 'MSET' | 'MSETNX'; readonly values: readonly [string, string] }
  | { readonly name: 'SET'; readonly at: 0 | 1; readonly value: string }
  /** From the one at `at` to the other. */
  | { readonly name: 'RENAME' | 'RENAMENX'; readonly at: 0 | 1 }
  /** Both. */
  | { readonly name: 'DEL' | 'MGET' };

/** Of MGET both values as JSON, of a RENAME without a source the text of an error. */
export type PairResult = string | number | null;

/** What the two keys hold. Null: neither exists. */
export type PairState = readonly [string | null, string | null] | null;

/**
 * Two keys as one object: a client that sees half of a command on both has seen what never was. Registers cannot tell,
 * since each key is judged alone there.
 */
export const pair: Model<PairState, PairCommand, PairResult> = {
  init: null,
  step: (state, command, result) => {
    const [answer, next] = apply(state, command);
    return [result === undefined || result === answer, next];
  },
  key: () => 'pair',
  identity: (state) => JSON.stringify(state),
  text: (command) => JSON.stringify(command),
  facts,
};

function apply(state: PairState, command: PairCommand): readonly [PairResult, PairState] {
  const [first, second] = state ?? [null, null];
  const count = Number(first !== null) + Number(second !== null);
  switch (command.name) {
    case 'MSET':
      return ['OK', command.values];
    case 'MSETNX':
      return count === 0 ? [1, command.values] : [0, state];
    case 'SET':
      return ['OK', command.at === 0 ? [command.value, second] : [first, command.value]];
    case 'RENAME':
    case 'RENAMENX': {
      const [from, to] = command.at === 0 ? [first, second] : [second, first];
      if (from === null) return ['(error) ERR no such key', state];
      if (command.name === 'RENAMENX' && to !== null) return [0, state];
      return [command.name === 'RENAME' ? 'OK' : 1, command.at === 0 ? [null, from] : [from, null]];
    }
    case 'DEL':
      return [count, null];
    default:
      return [JSON.stringify([first, second]), state];
  }
}

const none = { kind: 'none' } as const;
const unclear = { kind: 'unclear' } as const;

function facts(command: PairCommand, result: PairResult | undefined): Facts<PairState> {
  switch (command.name) {
    case 'MSET':
      return { needs: none, makes: one(command.values) };
    case 'MSETNX':
      return result === 0 ? { needs: unclear, makes: none } : { needs: one(null), makes: one(command.values) };
    case 'DEL':
      return result === 0 ? { needs: one(null), makes: none } : { needs: unclear, makes: one(null) };
    case 'MGET': {
      if (result === undefined) return { needs: none, makes: none };
      const [first, second] = JSON.parse(String(result)) as NonNullable<PairState>;
      return { needs: one(first === null && second === null ? null : [first, second]), makes: none };
    }
    default:
      return { needs: unclear, makes: unclear };
  }
}

function one(state: PairState): Fact<PairState> {
  return { kind: 'state', state };
}
