// Wing and Gong's search with Lowe's memory of configurations already seen (Testing for linearizability, 2017): is there
// an order of the operations, each at one point between its call and its return, that the model accepts? Registers are
// independent, so every key is judged alone.

/** What an operation did to one register, as its client saw it. Null: the key does not exist. */
export type RegisterAction =
  | { readonly kind: 'read'; readonly value: string | null }
  | { readonly kind: 'write'; readonly value: string }
  /** Compare-and-set. `swapped` is null when the answer never came. */
  | { readonly kind: 'swap'; readonly expected: string; readonly value: string; readonly swapped: boolean | null };

export interface Operation {
  readonly action: RegisterAction;
  /** Any clock that all clients share. */
  readonly calledAt: number;
  /** Infinity when the outcome is unknown: it took effect at any time after the call, or never. */
  readonly returnedAt: number;
}

export type Verdict = 'linearizable' | 'illegal' | 'undecided';

const stepsMax = 500_000;

/**
 * Judges the history of one register that did not exist before. `undecided` when the search grew beyond its bound: a
 * failure of the test, not a pass. Operations that certainly had no effect, and reads that failed, do not belong here.
 */
export function judgeRegister(history: readonly Operation[], searchMax: number = stepsMax): Verdict {
  const search = new Search([...history].sort((a, b) => a.calledAt - b.calledAt));
  for (let steps = 0; steps < searchMax; steps += 1) {
    if (search.done()) return 'linearizable';
    if (!search.advance() && !search.retreat()) return 'illegal';
  }
  return 'undecided';
}

interface Step {
  readonly at: number;
  readonly valueBefore: string | null;
  readonly firstOpenBefore: number;
}

/** One configuration (which operations have taken effect, and the value they left), and the way that led to it. */
class Search {
  readonly #operations: readonly Operation[];
  readonly #blots: ReadonlySet<number>;
  readonly #taken: Uint8Array;
  readonly #path: Step[] = [];
  readonly #seen: Set<string> = new Set();
  /** Operations whose answer came and that have not taken effect yet: when there are none, the order is found. */
  #owed: number;
  /** Everything before it has taken effect. */
  #firstOpen = 0;
  #value: string | null = null;
  /** The candidates of every configuration on the path, what is left of them. */
  readonly #candidates: number[][];

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    this.#blots = blotsIn(operations);
    this.#taken = new Uint8Array(operations.length);
    this.#owed = operations.filter(({ returnedAt }) => returnedAt !== Infinity).length;
    this.#candidates = [this.#minimal()];
  }

  done(): boolean {
    return this.#owed === 0;
  }

  /** Lets one more operation take effect; false when none can that leads to a new configuration. */
  advance(): boolean {
    const candidates = this.#candidates.at(-1) as number[];
    for (let at = candidates.pop(); at !== undefined; at = candidates.pop()) {
      const { action, returnedAt } = this.#operations[at] as Operation;
      const after = apply(this.#value, action);
      if (after === undefined) continue;
      this.#path.push({ at, valueBefore: this.#value, firstOpenBefore: this.#firstOpen });
      this.#taken[at] = 1;
      if (returnedAt !== Infinity) this.#owed -= 1;
      this.#value = after;
      while (this.#taken[this.#firstOpen] === 1) this.#firstOpen += 1;
      this.#candidates.push([]);
      if (this.#isNew()) {
        this.#candidates[this.#candidates.length - 1] = this.#minimal();
        return true;
      }
      this.retreat();
    }
    return false;
  }

  /** Takes the last operation back; false when there is none. */
  retreat(): boolean {
    const step = this.#path.pop();
    if (step === undefined) return false;
    this.#candidates.pop();
    this.#taken[step.at] = 0;
    if ((this.#operations[step.at] as Operation).returnedAt !== Infinity) this.#owed += 1;
    this.#value = step.valueBefore;
    this.#firstOpen = step.firstOpenBefore;
    return true;
  }

  /**
   * What may come next: operations called before any open one returned. The last is tried first: those that must end
   * soonest, and those that may never have happened only when nothing else helps.
   */
  #minimal(): number[] {
    let firstReturn = Infinity;
    let blot = false;
    const open: number[] = [];
    for (let at = this.#firstOpen; at < this.#operations.length; at += 1) {
      if (this.#taken[at] === 1) continue;
      const { calledAt, returnedAt } = this.#operations[at] as Operation;
      if (calledAt > firstReturn) break;
      if (this.#blots.has(at)) {
        if (blot) continue;
        blot = true;
      }
      open.push(at);
      firstReturn = Math.min(firstReturn, returnedAt);
    }
    const returnOf = (at: number): number => (this.#operations[at] as Operation).returnedAt;
    // Two infinities have no difference.
    return open
      .filter((at) => (this.#operations[at] as Operation).calledAt <= firstReturn)
      .sort((a, b) => (returnOf(a) === returnOf(b) ? b - a : returnOf(b) - returnOf(a)));
  }

  #isNew(): boolean {
    // What is still open before the last that took effect: a short list, as long as the overlap and the unknown.
    const last = this.#taken.lastIndexOf(1);
    const open: number[] = [];
    for (let at = this.#firstOpen; at < last; at += 1) if (this.#taken[at] === 0) open.push(at);
    const key = `${last} ${open.join(',')} ${JSON.stringify(this.#value)}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }
}

/**
 * Unknown writes of values that nobody saw. All they can do is to make a swap fail, and one does it as well as another:
 * the search takes them in the order of their calls, or two dozen of them would double its size two dozen times.
 */
function blotsIn(operations: readonly Operation[]): Set<number> {
  const seen = new Set<string | null>();
  for (const { action } of operations) {
    if (action.kind === 'read') seen.add(action.value);
    if (action.kind === 'swap') seen.add(action.expected);
  }
  const blots = new Set<number>();
  for (const [at, { action, returnedAt }] of operations.entries()) {
    if (action.kind === 'write' && returnedAt === Infinity && !seen.has(action.value)) blots.add(at);
  }
  return blots;
}

/** The value after the action, or undefined when the client cannot have seen what it saw. */
function apply(value: string | null, action: RegisterAction): string | null | undefined {
  if (action.kind === 'read') return action.value === value ? value : undefined;
  if (action.kind === 'write') return action.value;
  const matches = action.expected === value;
  if (action.swapped !== null && action.swapped !== matches) return undefined;
  return matches ? action.value : value;
}
