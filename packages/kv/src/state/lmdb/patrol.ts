import { isStoreDamaged, type Store } from '../store.ts';

/** So much longer than it looks at keys, it lets others work. */
const restShare = 4;
const stretchMs = 2;

/** Looks at whole stores in the background, one after another, and condemns those that are not what was written. */
export class Patrol {
  readonly #stores: Store[] = [];
  #round: Promise<void> | null = null;
  #stopped = false;
  #wake: () => void = () => undefined;

  add(store: Store): void {
    this.#stores.push(store);
    this.#round ??= this.#run();
  }

  /** Resolves when it looks at nothing any more: a tree that is closed under it takes the memory that it looks at. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#round;
  }

  async #run(): Promise<void> {
    // Whoever opens the stores gets on with it first.
    await this.#rest(0);
    for (let store = this.#stores.shift(); store !== undefined && !this.#stopped; store = this.#stores.shift()) {
      try {
        await this.#look(store);
      } catch (error) {
        // What else can go wrong here goes wrong for others, too, who have somebody to tell.
        if (isStoreDamaged(error)) store.condemn(error);
      }
    }
    this.#round = null;
  }

  async #look(store: Store): Promise<void> {
    if (store.damage !== null) return;
    const capture = store.capture();
    try {
      let sinceMs = performance.now();
      for (const _entry of capture.entries()) {
        const spentMs = performance.now() - sinceMs;
        if (spentMs < stretchMs) continue;
        await this.#rest(spentMs * restShare);
        // The tree cannot use again what it still shows here, and grows: not on a volume that has no more.
        if (this.#stopped || !store.hasRoom) return;
        sinceMs = performance.now();
      }
    } finally {
      capture.close();
    }
  }

  /** It keeps no process alive. */
  #rest(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
