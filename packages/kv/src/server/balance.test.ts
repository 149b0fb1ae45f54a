import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeHost } from '../../test/support/fake-host.ts';
import { ShardMap } from '../router/shards.ts';
import { Balancer, preferredLeader } from './balance.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function setUp() {
  const host = new FakeHost({ groups: 6 });
  host.addPeer('n2');
  host.addPeer('n3');
  const balancer = new Balancer(host, new ShardMap(6), 100, silent);
  return { host, balancer };
}

test('the leaders of the shards are spread over the members', () => {
  const voters = ['n3', 'n1', 'n2'] as never[];
  expect([0, 1, 2, 3].map((shard) => preferredLeader(shard, { voters }))).toEqual(['n1', 'n2', 'n3', 'n1']);
});

test('a node that leads all hands over, one shard at a time, to nodes that have been there for a while', async () => {
  const { host, balancer } = setUp();
  await vi.advanceTimersByTimeAsync(4000);
  expect(host.transfers).toEqual([]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(host.transfers).toEqual([{ group: 2, to: 'n2' }]);
  host.leaders.set(2, 'n2');
  await vi.advanceTimersByTimeAsync(2000);
  expect(host.transfers.at(-1)).toEqual({ group: 3, to: 'n3' });
  balancer.stop();
});

test('nothing is handed to a node that is away', async () => {
  const { host, balancer } = setUp();
  host.addPeer('n2', { connected: false });
  host.addPeer('n3', { connected: false });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(host.transfers).toEqual([]);
  balancer.stop();
});

test('only nodes of the highest priority that are there are given anything', async () => {
  const { host, balancer } = setUp();
  host.addPeer('n2', { priority: 200 });
  host.addPeer('n3', { priority: 300, connected: false });
  for (let round = 0; round < 10; round += 1) {
    await vi.advanceTimersByTimeAsync(2000);
    for (const { group, to } of host.transfers) host.leaders.set(group, to);
  }
  expect(new Set(host.transfers.map(({ to }) => to))).toEqual(new Set(['n2']));
  expect(host.transfers.map(({ group }) => group)).toEqual([1, 2, 3, 4, 5, 6]);
  balancer.stop();
});
