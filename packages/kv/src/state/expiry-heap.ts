import type { Entry } from './entry.ts';

/** The entries that will expire, the soonest on top. Each entry knows its place, so none has to be searched for. */
export class ExpiryHeap {
  readonly #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get top(): Entry | undefined {
    return this.#entries[0];
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#rise(entry, this.#entries.length - 1);
  }

  remove(entry: Entry): void {
    const at = entry.heapAt;
    const last = this.#entries.pop() as Entry;
    entry.heapAt = -1;
    if (last === entry) return;
    this.#place(last, at);
  }

  /** Puts `next` where `previous` was: cheaper than removing and adding when a time is only put off. */
  replace(previous: Entry, next: Entry): void {
    const at = previous.heapAt;
    previous.heapAt = -1;
    this.#place(next, at);
  }

  #place(entry: Entry, at: number): void {
    const parent = this.#entries[(at - 1) >> 1];
    if (at > 0 && parent !== undefined && entry.expireMs < parent.expireMs) this.#rise(entry, at);
    else this.#sink(entry, at);
  }

  #rise(entry: Entry, from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#entries[above] as Entry;
      if (parent.expireMs <= entry.expireMs) break;
      this.#set(parent, at);
      at = above;
    }
    this.#set(entry, at);
  }

  #sink(entry: Entry, from: number): void {
    const count = this.#entries.length;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= count) break;
      let child = this.#entries[below] as Entry;
      const right = this.#entries[below + 1];
      if (right !== undefined && right.expireMs < child.expireMs) {
        below += 1;
        child = right;
      }
      if (child.expireMs >= entry.expireMs) break;
      this.#set(child, at);
      at = below;
    }
    this.#set(entry, at);
  }

  #set(entry: Entry, at: number): void {
    this.#entries[at] = entry;
    entry.heapAt = at;
  }
}
