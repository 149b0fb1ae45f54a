import type { Facts, Model } from 'nori-raft/testkit/linearizability';

/** The commands on a key that may have a lifetime, which only the log's own time can end. */
export type TimedCommand =
  | { readonly name: 'GET' | 'DEL' | 'PERSIST' | 'PEXPIRE'; readonly key: string }
  | { readonly name: 'SET'; readonly key: string; readonly value: string; readonly lives: boolean };

export type TimedResult = string | number | null;

/** `mortal`: it may have a lifetime, and that may have ended by now. Null: there is no such key. */
export type TimedState = { readonly value: string; readonly mortal: boolean } | null;

/**
 * A key with a lifetime as a client sees it who knows nothing of log time: from the moment it has one, it may be gone at
 * any time, and once it was seen to be gone it stays so. The shadow store judges the moment itself.
 */
export const timedKey: Model<TimedState, TimedCommand, TimedResult> = {
  init: null,
  step,
  key: ({ key }) => key,
  identity: (state) => (state === null ? '' : `${state.mortal ? '~' : '='}${state.value}`),
  text: (command) => `${command.name} ${command.key}${command.name === 'SET' ? ` ${command.value}` : ''}`,
  facts,
};

function step(
  state: TimedState,
  command: TimedCommand,
  result: TimedResult | undefined,
): readonly [boolean, TimedState] {
  switch (command.name) {
    case 'SET':
      return [result === undefined || result === 'OK', { value: command.value, mortal: command.lives }];
    case 'GET':
      if (result === undefined) return [true, state];
      if (result === null) return [state === null || state.mortal, null];
      return [state?.value === result, state];
    case 'DEL':
      return [found(state, result), null];
    case 'PEXPIRE':
      if (result === 0) return [state === null || state.mortal, null];
      return [found(state, result), state === null ? null : { value: state.value, mortal: true }];
    default:
      // PERSIST answers 1 when it took a lifetime away. Without an answer it may have taken one, or come too late.
      if (result === 1) return [state?.mortal === true, state === null ? null : { value: state.value, mortal: false }];
      return [result === undefined || result === 0, state];
  }
}

function found(state: TimedState, result: TimedResult | undefined): boolean {
  if (result === undefined || state?.mortal === true) return true;
  return result === (state === null ? 0 : 1);
}

function facts(command: TimedCommand): Facts<TimedState> {
  const unclear = { kind: 'unclear' } as const;
  const none = { kind: 'none' } as const;
  if (command.name === 'SET') {
    return { needs: none, makes: { kind: 'state', state: { value: command.value, mortal: command.lives } } };
  }
  return { needs: unclear, makes: unclear };
}
