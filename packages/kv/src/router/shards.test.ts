import { expect, test } from 'vitest';
import { ShardMap } from './shards.ts';
import { slotCount } from '../commands/key-slot.ts';

test.each([1, 3, 8, 1000, 16_384])('%i shards cover every slot exactly once, in equal contiguous ranges', (count) => {
  const map = new ShardMap(count);
  let next = 0;
  for (let shard = 0; shard < count; shard += 1) {
    const [from, to] = map.rangeOf(shard);
    expect(from).toBe(next);
    expect(map.shardOf(from)).toBe(shard);
    expect(map.shardOf(to)).toBe(shard);
    expect(Math.abs(to - from + 1 - slotCount / count)).toBeLessThan(1);
    next = to + 1;
  }
  expect(next).toBe(slotCount);
});
