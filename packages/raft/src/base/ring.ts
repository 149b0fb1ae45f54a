import { assert } from './assert.ts';

/** A queue over a power-of-two array: push and shift in constant time, where `Array.shift` copies. */
export class Ring<T> {
  private slots: (T | undefined)[];
  private head = 0;
  private count = 0;

  constructor(capacity = 16) {
    let size = 1;
    while (size < capacity) size *= 2;
    this.slots = Array.from({ length: size });
  }

  get length(): number {
    return this.count;
  }

  push(value: T): void {
    if (this.count === this.slots.length) this.grow();
    this.slots[(this.head + this.count) & (this.slots.length - 1)] = value;
    this.count += 1;
  }

  /** The oldest value, left in place. */
  peek(): T | undefined {
    return this.count === 0 ? undefined : this.slots[this.head];
  }

  /** Takes the oldest value out. */
  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const value = this.slots[this.head];
    this.slots[this.head] = undefined;
    this.head = (this.head + 1) & (this.slots.length - 1);
    this.count -= 1;
    return value;
  }

  /** The value `at` places behind the oldest. */
  at(at: number): T {
    assert(at >= 0 && at < this.count, 'ring index within its length');
    return this.slots[(this.head + at) & (this.slots.length - 1)] as T;
  }

  clear(): void {
    this.slots.fill(undefined);
    this.head = 0;
    this.count = 0;
  }

  private grow(): void {
    const wider: (T | undefined)[] = Array.from({ length: this.slots.length * 2 });
    for (let i = 0; i < this.count; i += 1) wider[i] = this.slots[(this.head + i) & (this.slots.length - 1)];
    this.slots = wider;
    this.head = 0;
  }
}
