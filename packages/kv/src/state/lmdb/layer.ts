import type { Entry } from '../entry.ts';
import type { Generation } from './layout.ts';

/** What became of a key: a new entry, or null when it was deleted. */
export interface Change {
  readonly key: string;
  readonly slot: number;
  readonly entry: Entry | null;
  /** The expiry of what this replaces in the layers and the tree below, or 0: its mark has to be taken away there. */
  readonly replacedExpireMs: number;
}

/** What an entry costs in memory beside key and value, roughly. */
const changeOverheadBytes = 160;

/** Changes that are not in the tree yet. Written to while it is the topmost, then only read. */
export class Layer {
  readonly generation: Generation;
  readonly slots: Map<number, Map<string, Change>> = new Map();
  bytes = 0;
  size = 0;

  constructor(generation: Generation) {
    this.generation = generation;
  }

  get(slot: number, key: string): Change | undefined {
    return this.slots.get(slot)?.get(key);
  }

  set(change: Change): void {
    let keys = this.slots.get(change.slot);
    if (keys === undefined) {
      keys = new Map();
      this.slots.set(change.slot, keys);
    }
    const before = keys.size;
    keys.set(change.key, change);
    this.size += keys.size - before;
    this.bytes += changeOverheadBytes + change.key.length + (change.entry?.value.length ?? 0);
  }

  *changes(): Generator<Change, void, void> {
    for (const keys of this.slots.values()) yield* keys.values();
  }
}

/** The newest change of a key, from the top layer down; undefined: it is as the tree has it. */
export function changeOf(layers: readonly Layer[], slot: number, key: string): Change | undefined {
  for (let at = layers.length - 1; at >= 0; at -= 1) {
    const change = (layers[at] as Layer).get(slot, key);
    if (change !== undefined) return change;
  }
  return undefined;
}

/** The newest changes of all keys in the layers. */
export function* newestChanges(layers: readonly Layer[]): Generator<Change, void, void> {
  for (let at = layers.length - 1; at >= 0; at -= 1) {
    const above = layers.slice(at + 1);
    for (const change of (layers[at] as Layer).changes())
      if (changeOf(above, change.slot, change.key) === undefined) yield change;
  }
}
