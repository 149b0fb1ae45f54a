import type { Life } from './life.ts';

/** Something that will happen. */
export interface SimEvent {
  readonly atMs: number;
  /** Decides between events of one moment: drawn from the seed. */
  readonly tie: number;
  readonly serial: number;
  /** Whose event it is: it comes to nothing when that life is over. Null for the world's own. */
  readonly life: Life | null;
  /** Null once it was called off. */
  run: (() => void) | null;
}

/** Events by (time, tie, serial), earliest first: a binary heap. */
export class EventQueue {
  private readonly heap: SimEvent[] = [];
  private serial = 0;

  get length(): number {
    return this.heap.length;
  }

  add(atMs: number, tie: number, life: Life | null, run: () => void): SimEvent {
    this.serial += 1;
    const event: SimEvent = { atMs, tie, serial: this.serial, life, run };
    this.rise(event, this.heap.length);
    return event;
  }

  peek(): SimEvent | undefined {
    return this.heap[0];
  }

  take(): SimEvent | undefined {
    const first = this.heap[0];
    const last = this.heap.pop();
    if (first !== undefined && last !== undefined && first !== last) this.sink(last);
    return first;
  }

  private rise(event: SimEvent, from: number): void {
    const { heap } = this;
    let at = from;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as SimEvent;
      if (!isBefore(event, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = event;
  }

  private sink(event: SimEvent): void {
    const { heap } = this;
    const { length } = heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1] as SimEvent, heap[child] as SimEvent)) child += 1;
      if (!isBefore(heap[child] as SimEvent, event)) break;
      heap[at] = heap[child] as SimEvent;
      at = child;
    }
    heap[at] = event;
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  return left.tie !== right.tie ? left.tie < right.tie : left.serial < right.serial;
}
