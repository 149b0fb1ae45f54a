import type { Operation } from './model.ts';

const end = -1;

/**
 * Calls and returns in the order of time, as a linked list (Lowe 2017): an operation that took effect is lifted out and
 * can be put back, in the reverse order, in constant time. Entry `i` is the call of operation `i`, entry `count + i` its
 * return.
 */
export class EntryList {
  readonly count: number;
  /** Where an entry stands in time; ties between a call and a return are taken as overlap. */
  private readonly places: Int32Array;
  private readonly nexts: Int32Array;
  private readonly previous: Int32Array;
  private head: number = end;

  /** `operations` have all returned; `others` only have a place in time. Both are sorted by their calls. */
  constructor(
    operations: readonly Operation<unknown, unknown>[],
    others: readonly Operation<unknown, unknown>[],
    otherPlaces: Int32Array,
  ) {
    this.count = operations.length;
    this.places = new Int32Array(this.count * 2);
    this.nexts = new Int32Array(this.count * 2).fill(end);
    this.previous = new Int32Array(this.count * 2).fill(end);
    const returns = operations.map((_, at) => at);
    const returnOf = (at: number): number => (operations[at] as Operation<unknown, unknown>).returnedAt;
    returns.sort((a, b) => returnOf(a) - returnOf(b));
    let last = end;
    let place = 0;
    let call = 0;
    let other = 0;
    for (const at of returns) {
      for (; (operations[call]?.calledAt ?? Infinity) <= returnOf(at); call += 1)
        last = this.append(call, last, place++);
      for (; (others[other]?.calledAt ?? Infinity) <= returnOf(at); other += 1) otherPlaces[other] = place++;
      last = this.append(this.count + at, last, place++);
    }
    for (; other < others.length; other += 1) otherPlaces[other] = place++;
  }

  /** The first operation that may come next, or -1. */
  first(): number {
    return this.isCall(this.head) ? this.head : end;
  }

  /** The operation called after this one, if no return stands between them, or -1. */
  after(operation: number): number {
    const next = this.nexts[operation] as number;
    return this.isCall(next) ? next : end;
  }

  /** The place of the first return: what was called before it may come next. */
  firstReturn(): number {
    let at = this.head;
    while (this.isCall(at)) at = this.nexts[at] as number;
    return at === end ? Infinity : (this.places[at] as number);
  }

  /** The operations still listed that were called before `operation`, appended to `into`. */
  before(operation: number, into: number[]): void {
    const place = this.places[operation] as number;
    for (let at = this.head; at !== end && (this.places[at] as number) < place; at = this.nexts[at] as number) {
      if (at < this.count) into.push(at);
    }
  }

  lift(operation: number): void {
    this.unlink(operation);
    this.unlink(this.count + operation);
  }

  unlift(operation: number): void {
    this.relink(this.count + operation);
    this.relink(operation);
  }

  private isCall(entry: number): boolean {
    return entry !== end && entry < this.count;
  }

  private append(entry: number, last: number, place: number): number {
    this.places[entry] = place;
    this.previous[entry] = last;
    if (last === end) this.head = entry;
    else this.nexts[last] = entry;
    return entry;
  }

  private unlink(entry: number): void {
    const next = this.nexts[entry] as number;
    const previous = this.previous[entry] as number;
    if (previous === end) this.head = next;
    else this.nexts[previous] = next;
    if (next !== end) this.previous[next] = previous;
  }

  private relink(entry: number): void {
    const next = this.nexts[entry] as number;
    const previous = this.previous[entry] as number;
    if (previous === end) this.head = entry;
    else this.nexts[previous] = entry;
    if (next !== end) this.previous[next] = entry;
  }
}
