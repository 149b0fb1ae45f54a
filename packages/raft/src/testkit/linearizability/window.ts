import { factsOf, type Model, type Operation } from './model.ts';
import { judge, type SearchLimits } from './search.ts';

/** The smallest part of an illegal history that was found to be illegal by itself. */
export interface FailingWindow<Command, Result> {
  /** No order of these explains what their clients saw, whenever all other commands took effect, if at all. */
  readonly operations: readonly Operation<Command, Result>[];
  /** Others that made a state one of them saw or needed. They explain the story; the contradiction stands without. */
  readonly context: readonly Operation<Command, Result>[];
  readonly from: number;
  /** When the history became illegal. */
  readonly to: number;
}

const contextMax = 12;
/** What one check may cost: a single hard one must not use up the budget of all. */
const stepsMaxPerCheck = 50_000;
const stepsMaxPerOperation = 10;

/** Finds the window of an illegal history of one key. Every step keeps it illegal, so it may stop at any time. */
export function failingWindow<State, Command, Result>(
  model: Model<State, Command, Result>,
  operations: readonly Operation<Command, Result>[],
  limits: SearchLimits,
): FailingWindow<Command, Result> {
  const isIllegal = illegality(model, limits);
  const prefix = shortestPrefix(operations, isIllegal);
  const others = prefix.filter(({ returnedAt }) => returnedAt === Infinity);
  const returned = prefix.filter(({ returnedAt }) => returnedAt !== Infinity);
  const stillFails = (kept: readonly Operation<Command, Result>[]): boolean => {
    const keptOnes = new Set(kept);
    // The others may happen at any time or never, which is sound to suppose: who can explain the whole history explains
    // this too. What changes nothing may be left out altogether.
    const supposed = returned.filter((one) => !keptOnes.has(one) && factsOf(model, one).makes.kind !== 'none');
    return isIllegal([...kept, ...others, ...supposed.map(withoutOutcome)]);
  };
  // Those whose needs are unclear make every other check slow, and are seldom needed.
  const clear = returned.filter((one) => factsOf(model, one).needs.kind !== 'unclear');
  const needed = smallest(stillFails(clear) ? clear : returned, stillFails);
  const context = contextOf(model, prefix, needed);
  const shown = [...needed, ...context];
  return {
    operations: needed,
    context,
    from: Math.min(...shown.map(({ calledAt }) => calledAt)),
    to: Math.max(...needed.map(({ returnedAt }) => returnedAt)),
  };
}

type IsIllegal<Command, Result> = (operations: readonly Operation<Command, Result>[]) => boolean;

/** All checks of one window share one budget; once it is spent, nothing is illegal any more. */
function illegality<State, Command, Result>(
  model: Model<State, Command, Result>,
  limits: SearchLimits,
): IsIllegal<Command, Result> {
  let left = limits.stepsMax;
  return (operations) => {
    if (left <= 0 || limits.expired()) return false;
    const { verdict, steps } = judge(model, operations, {
      stepsMax: Math.min(left, stepsMaxPerCheck + stepsMaxPerOperation * operations.length),
      expired: limits.expired,
    });
    left -= steps + operations.length;
    return verdict === 'illegal';
  };
}

/** A history that is illegal stays so, whatever comes after: the first return that made it so is found by halving. */
function shortestPrefix<Command, Result>(
  operations: readonly Operation<Command, Result>[],
  isIllegal: IsIllegal<Command, Result>,
): readonly Operation<Command, Result>[] {
  const returns = operations.map(({ returnedAt }) => returnedAt).filter((at) => at !== Infinity);
  returns.sort((a, b) => a - b);
  let legal = -1;
  let illegal = returns.length - 1;
  while (illegal - legal > 1) {
    const middle = (legal + illegal) >>> 1;
    if (isIllegal(until(operations, returns[middle] as number))) illegal = middle;
    else legal = middle;
  }
  return until(operations, returns[illegal] ?? Infinity);
}

/** What was known at that time. */
function until<Command, Result>(
  operations: readonly Operation<Command, Result>[],
  time: number,
): readonly Operation<Command, Result>[] {
  return operations
    .filter(({ calledAt }) => calledAt <= time)
    .map((one) => (one.returnedAt > time ? withoutOutcome(one) : one));
}

function withoutOutcome<Command, Result>(operation: Operation<Command, Result>): Operation<Command, Result> {
  return { ...operation, result: undefined, returnedAt: Infinity };
}

/** Leaves out ever smaller pieces, as long as the rest still fails (Zeller and Hildebrandt 2002). */
function smallest<T>(items: readonly T[], fails: (kept: readonly T[]) => boolean): readonly T[] {
  let kept = items;
  for (let piece = kept.length >>> 1; piece >= 1; ) {
    const before = kept.length;
    for (let at = 0; at < kept.length; ) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + piece)];
      if (fails(rest)) kept = rest;
      else at += piece;
    }
    if (piece > 1) piece = Math.min(piece >>> 1, Math.max(1, kept.length >>> 1));
    else if (kept.length === before) break;
  }
  return kept;
}

function contextOf<State, Command, Result>(
  model: Model<State, Command, Result>,
  prefix: readonly Operation<Command, Result>[],
  needed: readonly Operation<Command, Result>[],
): readonly Operation<Command, Result>[] {
  const wanted = new Set<string>();
  for (const { needs } of needed.map((one) => factsOf(model, one))) {
    if (needs.kind === 'state') wanted.add(model.identity(needs.state));
  }
  const known = new Set(needed.map((one) => idOf(one)));
  return prefix
    .filter((one) => {
      const { makes } = factsOf(model, one);
      return !known.has(idOf(one)) && makes.kind === 'state' && wanted.has(model.identity(makes.state));
    })
    .slice(-contextMax);
}

/** A client does one thing at a time, or at least starts one thing at a time. */
function idOf({ client, calledAt }: Operation<unknown, unknown>): string {
  return `${calledAt} ${client}`;
}
