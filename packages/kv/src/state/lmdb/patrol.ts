import { isStoreDamaged, type Store } from '../store.ts';

/** So much longer than it looks at keys, it lets others work. */
const restShare = 4;
const stretchMs = 2;

const delay = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms).unref());

/** Looks at whole stores in the background, one after another, and condemns those that are not what was written. */
export class Patrol {
  readonly #stores: Store[] = [];
  #running = false;
  #stopped = false;

  add(store: Store): void {
    this.#stores.push(store);
    if (!this.#running) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Whoever opens the stores gets on with it first.
    await delay(0);
    for (let store = this.#stores.shift(); store !== undefined && !this.#stopped; store = this.#stores.shift()) {
      try {
        await this.#look(store);
      } catch (error) {
        // What else can go wrong here goes wrong for others, too, who have somebody to tell.
        if (isStoreDamaged(error)) store.condemn(error);
      }
    }
    this.#running = false;
  }

  async #look(store: Store): Promise<void> {
    if (store.damage !== null) return;
    const capture = store.capture();
    try {
      let sinceMs = performance.now();
      for (const _entry of capture.entries()) {
        const spentMs = performance.now() - sinceMs;
        if (spentMs < stretchMs) continue;
        await delay(spentMs * restShare);
        if (this.#stopped) return;
        sinceMs = performance.now();
      }
    } finally {
      capture.close();
    }
  }
}
