import type { Call } from './call.ts';
import { Fifo } from './fifo.ts';
import { Lane } from './lane.ts';
import type { Router } from './router.ts';

/** What waits its turn in a session: a call of one slot, or something that needs the session for itself. */
type Held = Call | Exclusive;

/** A command over many shards. It starts when everything before it is done, and nothing after it starts until then. */
export interface Exclusive {
  /** Calls `finished` exactly once. */
  run(finished: () => void): void;
}

/**
 * The commands of one connection. Those of one slot keep their order (see Lane), those of different slots overlap, and
 * a command over the whole database is alone.
 */
export class Session {
  readonly #router: Router;
  readonly #lanes: Map<number, Lane> = new Map();
  readonly #spare: Lane[] = [];
  readonly #held: Fifo<Held> = new Fifo();
  #exclusive = false;
  #closed = false;
  #nextSequence = 0;

  constructor(router: Router) {
    this.#router = router;
  }

  start(call: Call): void {
    call.sequence = this.#nextSequence;
    this.#nextSequence += 1;
    if (this.#exclusive || this.#held.length > 0) this.#held.push(call);
    else this.#laneOf(call.slot).start(call);
  }

  startExclusive(exclusive: Exclusive): void {
    this.#held.push(exclusive);
    this.#advance();
  }

  /** The client is gone: what was not handed to a group yet is dropped. */
  close(): void {
    this.#closed = true;
    this.#held.clear();
    for (const lane of this.#lanes.values()) lane.abandon();
  }

  #laneOf(slot: number): Lane {
    let lane = this.#lanes.get(slot);
    if (lane === undefined) {
      lane = this.#spare.pop() ?? new Lane(this.#router, (empty) => this.#onEmpty(empty));
      lane.slot = slot;
      this.#lanes.set(slot, lane);
    }
    return lane;
  }

  #onEmpty(lane: Lane): void {
    this.#lanes.delete(lane.slot);
    this.#spare.push(lane);
    if (this.#held.length > 0) this.#advance();
  }

  #advance(): void {
    while (!this.#exclusive && !this.#closed) {
      const next = this.#held.peek();
      if (next === undefined) return;
      if ('run' in next) {
        if (this.#lanes.size > 0) return;
        this.#held.shift();
        this.#exclusive = true;
        next.run(() => {
          this.#exclusive = false;
          this.#advance();
        });
      } else {
        this.#held.shift();
        this.#laneOf(next.slot).start(next);
      }
    }
  }
}
