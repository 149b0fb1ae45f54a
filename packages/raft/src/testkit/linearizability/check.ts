import { assert } from '../../base/assert.ts';
import type { Model, Operation } from './model.ts';
import { judge, type SearchLimits, type Verdict } from './search.ts';
import { type FailingWindow, failingWindow } from './window.ts';

export interface CheckOptions {
  /** How many operations the search may try per key. */
  readonly stepsMax?: number;
  /** How long the whole check may take, on `nowMs`. Without a clock only steps count. */
  readonly timeMsMax?: number;
  readonly nowMs?: () => number;
}

export interface KeyReport<Command, Result> {
  readonly key: string;
  /** `undecided` when the search grew beyond its limits: never a pass. */
  readonly verdict: Verdict;
  readonly operations: number;
  readonly unknownOutcomes: number;
  readonly steps: number;
  /** Of an illegal key. */
  readonly window: FailingWindow<Command, Result> | null;
}

export interface HistoryReport<Command, Result> {
  /** Illegal when one key is; else undecided when one key is. */
  readonly verdict: Verdict;
  /** In the order in which the keys appear in the history. */
  readonly keys: readonly KeyReport<Command, Result>[];
  readonly operations: number;
  readonly unknownOutcomes: number;
}

const stepsMaxDefault = 20_000_000;
const stepsMaxOfWindow = 20_000_000;

/** Judges a history: is every key linearizable? Keys are independent, so the whole is when every key is. */
export function checkHistory<State, Command, Result>(
  model: Model<State, Command, Result>,
  history: Iterable<Operation<Command, Result>>,
  options: CheckOptions = {},
): HistoryReport<Command, Result> {
  const limits = limitsOf(options);
  const keys = [...byKey(model, history)].map(([key, operations]) => checkKey(model, key, operations, limits));
  const verdicts = new Set(keys.map(({ verdict }) => verdict));
  return {
    verdict: verdicts.has('illegal') ? 'illegal' : verdicts.has('undecided') ? 'undecided' : 'legal',
    keys,
    operations: keys.reduce((sum, { operations }) => sum + operations, 0),
    unknownOutcomes: keys.reduce((sum, { unknownOutcomes }) => sum + unknownOutcomes, 0),
  };
}

function checkKey<State, Command, Result>(
  model: Model<State, Command, Result>,
  key: string,
  operations: readonly Operation<Command, Result>[],
  limits: SearchLimits,
): KeyReport<Command, Result> {
  const { verdict, steps } = judge(model, operations, limits);
  return {
    key,
    verdict,
    operations: operations.length,
    unknownOutcomes: operations.filter(({ returnedAt }) => returnedAt === Infinity).length,
    steps,
    window: verdict === 'illegal' ? failingWindow(model, operations, { ...limits, stepsMax: stepsMaxOfWindow }) : null,
  };
}

function limitsOf({ stepsMax = stepsMaxDefault, timeMsMax, nowMs }: CheckOptions): SearchLimits {
  if (timeMsMax === undefined || nowMs === undefined) return { stepsMax, expired: () => false };
  const deadlineMs = nowMs() + timeMsMax;
  return { stepsMax, expired: () => nowMs() >= deadlineMs };
}

function byKey<State, Command, Result>(
  model: Model<State, Command, Result>,
  history: Iterable<Operation<Command, Result>>,
): Map<string, Operation<Command, Result>[]> {
  const keys = new Map<string, Operation<Command, Result>[]>();
  for (const operation of history) {
    assert(operation.calledAt <= operation.returnedAt, 'a call comes before its return');
    const key = model.key(operation.command);
    const operations = keys.get(key);
    if (operations === undefined) keys.set(key, [operation]);
    else operations.push(operation);
  }
  return keys;
}
