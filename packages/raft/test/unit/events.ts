/** What an event asks of the node whose event it is. */
export interface Actor {
  readonly life: number;
  readonly up: boolean;
  readonly pausedUntilMs: number;
}

export interface Event {
  readonly atMs: number;
  readonly run: () => void;
  /** Whose event it is: it waits while that node stands still, and dies with it. Null for the world's. */
  readonly node: Actor | null;
  readonly life: number;
}

interface Queued {
  readonly event: Event;
  readonly order: number;
}

/** Events by time, and by the order they were planned in at one time: a binary heap. */
export class EventQueue {
  private readonly heap: Queued[] = [];
  private planned = 0;

  get nextAtMs(): number {
    return this.heap[0]?.event.atMs ?? Number.POSITIVE_INFINITY;
  }

  push(event: Event): void {
    const { heap } = this;
    const queued = { event, order: this.planned };
    this.planned += 1;
    let at = heap.length;
    heap.push(queued);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(queued, heap[parent] as Queued)) break;
      heap[at] = heap[parent] as Queued;
      at = parent;
    }
    heap[at] = queued;
  }

  pop(): Event | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) this.sink(last);
    return first.event;
  }

  private sink(queued: Queued): void {
    const { heap } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Queued)) child += 1;
      if (!isBefore(heap[child] as Queued, queued)) break;
      heap[at] = heap[child] as Queued;
      at = child;
    }
    heap[at] = queued;
  }
}

function isBefore(one: Queued, other: Queued): boolean {
  if (one.event.atMs !== other.event.atMs) return one.event.atMs < other.event.atMs;
  return one.order < other.order;
}
