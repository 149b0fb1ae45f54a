import { EntryList } from './entry-list.ts';
import { type Fact, factsOf, type Model, nothing, type Operation } from './model.ts';
import { Seen } from './seen.ts';
import { Supply, type Trade } from './supply.ts';

export type Verdict = 'legal' | 'illegal' | 'undecided';

export interface SearchLimits {
  /** How many operations the search may try before it gives up. */
  readonly stepsMax: number;
  /** Asked now and then: whether the time for this search is over. */
  readonly expired: () => boolean;
}

export interface Judgement {
  readonly verdict: Verdict;
  readonly steps: number;
}

const stepsBetweenClocks = 1024;

/**
 * Is there an order of the operations, each at one point between its call and its return, that the model accepts? Wing
 * and Gong's search (1993) over Lowe's list, with his memory of configurations already seen (2017). `operations` are on
 * one key.
 */
export function judge<State, Command, Result>(
  model: Model<State, Command, Result>,
  operations: readonly Operation<Command, Result>[],
  limits: SearchLimits,
): Judgement {
  const search = new Search(model, operations);
  if (search.hopeless()) return { verdict: 'illegal', steps: 0 };
  for (let steps = 1; steps <= limits.stepsMax; steps += 1) {
    if (search.done()) return { verdict: 'legal', steps };
    if (!search.advance() && !search.retreat()) return { verdict: 'illegal', steps };
    if (steps % stepsBetweenClocks === 0 && limits.expired()) return { verdict: 'undecided', steps };
  }
  return { verdict: 'undecided', steps: limits.stepsMax };
}

/** A point on the way: the operation that took effect there, and what to go back to. */
interface Frame {
  readonly operation: number;
  readonly uncertain: boolean;
  /** Taken because it could do no harm: then there is nothing else to try in its place. */
  readonly forced: boolean;
  readonly stateBefore: number;
  readonly lastTakenBefore: number;
}

interface Entry<State, Command, Result> extends Trade<State> {
  readonly operation: Operation<Command, Result>;
  /** The number of a state that there must be right before or right behind it, or -1. */
  readonly goal: number;
}

class Search<State, Command, Result> {
  private readonly model: Model<State, Command, Result>;
  private readonly states: State[] = [];
  private readonly stateNumbers = new Map<string, number>();
  private readonly seen = new Seen();
  private readonly supply = new Supply<State>();
  private readonly certain: readonly Entry<State, Command, Result>[];
  private readonly list: EntryList;
  private readonly path: Frame[] = [];
  private owed: number;
  private state: number;
  private lastTaken = -1;

  /** Outcome unknown; of those that do the same, the one called first goes first: it can stand in for the others. */
  private readonly uncertain: readonly Entry<State, Command, Result>[];
  private readonly uncertainPlaces: Int32Array;
  private readonly twinBefore: Int32Array;
  private readonly used: Uint32Array;

  /** Where to go on looking in the present configuration. */
  private nextCertain = -1;
  private nextUncertain = -1;
  private fresh = true;

  constructor(model: Model<State, Command, Result>, operations: readonly Operation<Command, Result>[]) {
    this.model = model;
    this.state = this.numberOf(model.init);
    const sorted = [...operations].sort((a, b) => a.calledAt - b.calledAt).map((operation) => this.entryOf(operation));
    this.certain = sorted.filter(({ operation }) => operation.returnedAt !== Infinity);
    // What an operation of unknown outcome needs is nobody's claim: it may never happen.
    this.uncertain = worthTrying(sorted).map((entry) => ({ ...entry, needs: -1 }));
    this.owed = this.certain.length;
    for (const entry of [...this.certain, ...this.uncertain]) this.supply.add(entry);
    this.uncertainPlaces = new Int32Array(this.uncertain.length);
    this.twinBefore = twinsOf(this.uncertain.map(({ operation }) => model.text(operation.command)));
    this.used = new Uint32Array(Math.ceil(this.uncertain.length / 32));
    this.list = new EntryList(
      this.certain.map(({ operation }) => operation),
      this.uncertain.map(({ operation }) => operation),
      this.uncertainPlaces,
    );
  }

  done(): boolean {
    return this.owed === 0;
  }

  /** Somebody saw a state that nobody can have made, or one from before a state that was seen earlier. */
  hopeless(): boolean {
    return (
      this.states.some((state, number) => number !== this.state && this.supply.lost(number, state)) || this.goesBack()
    );
  }

  private goesBack(): boolean {
    const { model, states, certain } = this;
    if (model.reaches === undefined) return false;
    const returned = [...certain].sort((a, b) => a.operation.returnedAt - b.operation.returnedAt);
    /** The newest state that was seen by those who had returned. */
    let newest = this.state;
    let at = 0;
    for (const { operation, goal } of certain) {
      for (; (returned[at] as (typeof certain)[0]).operation.returnedAt < operation.calledAt; at += 1) {
        const seen = (returned[at] as (typeof certain)[0]).goal;
        if (seen >= 0 && model.reaches(states[newest] as State, states[seen] as State)) newest = seen;
      }
      if (goal >= 0 && goal !== newest && !model.reaches(states[newest] as State, states[goal] as State)) return true;
    }
    return false;
  }

  /** Lets one more operation take effect; false when none can that leads to a new configuration. */
  advance(): boolean {
    if (this.fresh) {
      this.fresh = false;
      if (this.takeHarmless()) return true;
      this.nextCertain = this.list.first();
      this.nextUncertain = 0;
    }
    while (this.nextCertain >= 0) {
      const operation = this.nextCertain;
      this.nextCertain = this.list.after(operation);
      if (this.take(operation, false)) return true;
    }
    if (this.nextUncertain >= this.uncertain.length) return false;
    const firstReturn = this.list.firstReturn();
    while (this.nextUncertain < this.uncertain.length) {
      const operation = this.nextUncertain;
      if ((this.uncertainPlaces[operation] as number) > firstReturn) break;
      this.nextUncertain += 1;
      if (this.mayUse(operation) && this.take(operation, true)) return true;
    }
    return false;
  }

  /** Takes the last operation back; false when there is none. */
  retreat(): boolean {
    for (;;) {
      const frame = this.path.pop();
      if (frame === undefined) return false;
      this.undo(frame);
      if (frame.forced) continue;
      this.fresh = false;
      this.nextCertain = frame.uncertain ? -1 : this.list.after(frame.operation);
      this.nextUncertain = frame.uncertain ? frame.operation + 1 : 0;
      return true;
    }
  }

  /** An operation that fits now and never changes anything can as well come now: whatever comes later does not notice. */
  private takeHarmless(): boolean {
    for (let at = this.list.first(); at >= 0; at = this.list.after(at)) {
      const entry = this.certain[at] as Entry<State, Command, Result>;
      if (entry.facts.makes.kind !== 'none' || this.stateAfter(entry) < 0) continue;
      this.apply({ operation: at, uncertain: false, forced: true, ...this.here() }, this.state);
      return true;
    }
    return false;
  }

  private take(operation: number, uncertain: boolean): boolean {
    const entry = (uncertain ? this.uncertain : this.certain)[operation] as Entry<State, Command, Result>;
    const next = this.stateAfter(entry);
    // One of unknown outcome that changes nothing here might as well not happen here.
    if (next < 0 || (uncertain && next === this.state)) return false;
    const frame: Frame = { operation, uncertain, forced: false, ...this.here() };
    this.apply(frame, next);
    const lost = next !== frame.stateBefore && this.loses(frame.stateBefore);
    if (!lost && !this.strays() && this.seen.add(this.configuration(), this.used)) return true;
    this.undo(frame);
    return false;
  }

  /**
   * Whether somebody who saw a state can no longer see it, because it lies behind. Those that may come next are asked:
   * one of them is next, apart from what has no known outcome, so that no way leads past all of them.
   */
  private strays(): boolean {
    const { model, states, certain, list } = this;
    if (model.reaches === undefined) return false;
    const state = states[this.state] as State;
    for (let at = list.first(); at >= 0; at = list.after(at)) {
      const { goal } = certain[at] as Entry<State, Command, Result>;
      if (goal >= 0 && goal !== this.state && !model.reaches(state, states[goal] as State)) return true;
    }
    return false;
  }

  private loses(state: number): boolean {
    return this.supply.lost(state, this.states[state] as State);
  }

  private here(): { stateBefore: number; lastTakenBefore: number } {
    return { stateBefore: this.state, lastTakenBefore: this.lastTaken };
  }

  private apply(frame: Frame, next: number): void {
    const { operation, uncertain } = frame;
    this.supply.take((uncertain ? this.uncertain : this.certain)[operation] as Trade<State>);
    if (uncertain) this.flip(operation);
    else {
      this.list.lift(operation);
      this.owed -= 1;
      if (operation > this.lastTaken) this.lastTaken = operation;
    }
    this.state = next;
    this.path.push(frame);
    this.fresh = true;
  }

  private undo(frame: Frame): void {
    const { operation, uncertain } = frame;
    if (this.path.at(-1) === frame) this.path.pop();
    this.supply.putBack((uncertain ? this.uncertain : this.certain)[operation] as Trade<State>);
    if (uncertain) this.flip(operation);
    else {
      this.list.unlift(operation);
      this.owed += 1;
    }
    this.state = frame.stateBefore;
    this.lastTaken = frame.lastTakenBefore;
    this.fresh = false;
  }

  private mayUse(operation: number): boolean {
    const twin = this.twinBefore[operation] as number;
    return !this.isUsed(operation) && (twin < 0 || this.isUsed(twin));
  }

  private isUsed(operation: number): boolean {
    return (((this.used[operation >>> 5] as number) >>> (operation & 31)) & 1) === 1;
  }

  private flip(operation: number): void {
    (this.used[operation >>> 5] as number) ^= 1 << (operation & 31);
  }

  /** The number of the state after it, or -1 when it cannot have had its result. */
  private stateAfter({ operation }: Entry<State, Command, Result>): number {
    const [ok, next] = this.model.step(this.states[this.state] as State, operation.command, operation.result);
    return ok ? this.numberOf(next) : -1;
  }

  /**
   * The certain part of the configuration. All that was called before the last operation taken has taken effect, except
   * what is still listed: never more than there were clients.
   */
  private configuration(): string {
    const parts = [this.state, this.lastTaken];
    if (this.lastTaken >= 0) this.list.before(this.lastTaken, parts);
    let key = '';
    for (const part of parts) key += String.fromCharCode(part >>> 16, part & 0xffff);
    return key;
  }

  private numberOf(state: State): number {
    const identity = this.model.identity(state);
    let number = this.stateNumbers.get(identity);
    if (number === undefined) {
      number = this.states.push(state) - 1;
      this.stateNumbers.set(identity, number);
    }
    return number;
  }

  private entryOf(given: Operation<Command, Result>): Entry<State, Command, Result> {
    const operation = given.returnedAt === Infinity ? { ...given, result: undefined } : given;
    const facts = factsOf(this.model, operation);
    const numberOf = (fact: Fact<State> = nothing): number => (fact.kind === 'state' ? this.numberOf(fact.state) : -1);
    const needs = numberOf(facts.needs);
    const goal = needs >= 0 ? needs : numberOf(facts.leaves);
    return { operation, facts, needs, makes: numberOf(facts.makes), goal };
  }
}

/**
 * The operations of unknown outcome that can matter. One that changes nothing cannot. One that makes a state nobody
 * needs cannot either, as long as everybody's needs are known: take it out of an order and nobody notices.
 */
function worthTrying<State, Command, Result>(
  sorted: readonly Entry<State, Command, Result>[],
): Entry<State, Command, Result>[] {
  const possible = sorted.filter(
    ({ operation, facts }) => operation.returnedAt === Infinity && facts.makes.kind !== 'none',
  );
  if (sorted.some(({ facts }) => facts.needs.kind === 'unclear')) return possible;
  const needed = new Set(sorted.map(({ needs }) => needs));
  return possible.filter(({ facts, makes }) => facts.makes.kind !== 'state' || needed.has(makes));
}

/** For every text, where the same one came before, or -1. */
function twinsOf(texts: readonly string[]): Int32Array {
  const last = new Map<string, number>();
  return Int32Array.from(texts, (text, at) => {
    const twin = last.get(text) ?? -1;
    last.set(text, at);
    return twin;
  });
}
