/** What a command demands of the state before it, or leaves behind, as far as one value can say it. */
export type Fact<State> =
  | { readonly kind: 'none' }
  | { readonly kind: 'state'; readonly state: State }
  /** One of those that it could be. */
  | { readonly kind: 'some'; readonly could: (state: State) => boolean }
  /** Something, but not one known state. Always true, and never wrong to say. */
  | { readonly kind: 'unclear' };

export interface Facts<State> {
  /**
   * The one state in which the command can have had this result; without a result, the state it has an effect in.
   * `none`: any state will do, and what the command leaves behind does not depend on it.
   */
  readonly needs: Fact<State>;
  /** `none`: it never changes the state. `state`: when it changes the state, then to this one. */
  readonly makes: Fact<State>;
  /** The state right behind the command, changed or not, when its answer tells: what `reaches` is asked about. */
  readonly leaves?: Fact<State>;
}

/** The sequential object that the clients believe they talk to. Everything here is pure. */
export interface Model<State, Command, Result> {
  readonly init: State;
  /**
   * Whether the command can have had this result in this state, and the state after it. The result is undefined when
   * the client never saw it: then the answer is always true.
   */
  step(state: State, command: Command, result: Result | undefined): readonly [ok: boolean, next: State];
  /** The part of the object the command touches. Parts are independent: every one is judged alone. */
  key(command: Command): string;
  /** The same text for the same state, another for another. */
  identity(state: State): string;
  /** The command for human eyes; the same text for commands that do the same. */
  text(command: Command): string;
  /** Optional knowledge that makes the search much shorter; it never changes a verdict. */
  facts?(command: Command, result: Result | undefined): Facts<State>;
  /**
   * Optional too: whether the one state, or what comes of it, can ever be the other. True is never wrong to say; false
   * keeps the search from going on behind a state that somebody still has to see, as with a version that only grows.
   */
  reaches?(from: State, to: State): boolean;
}

/** One call of one client. Calls that certainly were not applied do not belong into a history. */
export interface Operation<Command, Result> {
  readonly client: string | number;
  readonly command: Command;
  /** Undefined: the client never saw it. */
  readonly result: Result | undefined;
  /** Any clock that all clients share. */
  readonly calledAt: number;
  /** Infinity: the outcome is unknown. It took effect at any time after the call, or never. */
  readonly returnedAt: number;
}

export const nothing: { readonly kind: 'none' } = { kind: 'none' };
export const unclear: { readonly kind: 'unclear' } = { kind: 'unclear' };

/** `needs` speaks of what a search may rely on: a call that returned with an answer nobody noted relies on nothing. */
export function factsOf<State, Command, Result>(
  model: Model<State, Command, Result>,
  { command, result, returnedAt }: Operation<Command, Result>,
): Facts<State> {
  const facts = model.facts?.(command, result) ?? { needs: unclear, makes: unclear };
  const blind = returnedAt !== Infinity && result === undefined && facts.needs.kind === 'state';
  return blind ? { needs: unclear, makes: facts.makes } : facts;
}
