import type { GroupId } from 'nori-raft';
import { slotCount } from '../commands/key-slot.ts';

/** A range of slots, both ends included. */
export type SlotRange = readonly [from: number, to: number];

/** Which shard serves a slot: contiguous ranges, as equal as whole numbers allow. */
export class ShardMap {
  readonly count: number;
  readonly #shardOfSlot: Uint16Array;
  readonly #ranges: readonly SlotRange[];

  constructor(count: number) {
    this.count = count;
    this.#shardOfSlot = new Uint16Array(slotCount);
    const ranges: SlotRange[] = [];
    for (let shard = 0; shard < count; shard += 1) {
      const from = Math.floor((shard * slotCount) / count);
      const to = Math.floor(((shard + 1) * slotCount) / count) - 1;
      this.#shardOfSlot.fill(shard, from, to + 1);
      ranges.push([from, to]);
    }
    this.#ranges = ranges;
  }

  shardOf(slot: number): number {
    return this.#shardOfSlot[slot] as number;
  }

  rangeOf(shard: number): SlotRange {
    return this.#ranges[shard] as SlotRange;
  }

  /** The Raft group of a shard. Groups count from 1, shards from 0. */
  groupOf(shard: number): GroupId {
    return shard + 1;
  }
}
