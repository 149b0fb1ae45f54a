import { expect, test } from 'vitest';
import { FakeHost, failure } from '../../test/support/fake-host.ts';
import { ShardMap } from '../router/shards.ts';
import { orderMember } from './members.ts';

const timeoutMs = 1000;

function twoShards(): { host: FakeHost; map: ShardMap } {
  return { host: new FakeHost({ groups: 2 }), map: new ShardMap(2) };
}

test('a node that is what was asked for already is left alone, and the answer tells', async () => {
  const { host, map } = twoShards();
  const outcomes = await orderMember(host, map, { action: 'add', id: 'n1', address: '127.0.0.1:7201' }, timeoutMs);
  expect(outcomes).toEqual([0, 1].map((shard) => ({ shard, changed: false, error: null })));
  expect(await orderMember(host, map, { action: 'remove', id: 'n9' }, timeoutMs)).toEqual(outcomes);
  expect(host.changes).toEqual([]);
});

test('what is not so yet is asked for in every shard', async () => {
  const { host, map } = twoShards();
  const outcomes = await orderMember(host, map, { action: 'remove', id: 'n1' }, timeoutMs);
  expect(outcomes).toEqual([0, 1].map((shard) => ({ shard, changed: true, error: null })));
  expect(host.changes.map(({ change }) => change)).toEqual([{ remove: ['n1'] }, { remove: ['n1'] }]);
});

test('a member at another address is not taken for the one that is to be added', async () => {
  const { host, map } = twoShards();
  const outcomes = await orderMember(host, map, { action: 'add', id: 'n1', address: '127.0.0.1:9' }, timeoutMs);
  expect(outcomes.map(({ error }) => [error?.code, error?.message])).toEqual(
    [0, 1].map(() => ['CONFIGURATION_INVALID', 'n1 is a member at 127.0.0.1:7201 already']),
  );
  expect(host.changes).toEqual([]);
});

test('a member moves where it is not there yet', async () => {
  const { host, map } = twoShards();
  const there = { action: 'move', id: 'n1', address: '127.0.0.1:7201' } as const;
  expect((await orderMember(host, map, there, timeoutMs)).map(({ changed }) => changed)).toEqual([false, false]);
  await orderMember(host, map, { ...there, address: '127.0.0.1:9' }, timeoutMs);
  expect(host.changes.map(({ change }) => change)).toEqual([
    { move: { n1: '127.0.0.1:9' } },
    { move: { n1: '127.0.0.1:9' } },
  ]);
});

test('an order that waits for another change says what is under way and what to do', async () => {
  const { host, map } = twoShards();
  const groupStatus = host.groupStatus.bind(host);
  const change = { phase: 'catchingUp', voters: ['n1', 'n2', 'n9'], joined: ['n9'], catchingUp: [] };
  const n9 = { id: 'n9', address: '127.0.0.1:7209', role: 'joining' };
  host.groupStatus = (group) => {
    const status = groupStatus(group);
    return { ...status, change, members: [...status.members, n9] } as unknown as typeof status;
  };
  host.changeMembers = () => Promise.reject(failure('CHANGE_IN_PROGRESS'));
  const [outcome] = await orderMember(host, map, { action: 'remove', id: 'n2' }, 150);
  expect(outcome?.error).toMatchObject({
    code: 'CHANGE_IN_PROGRESS',
    message: 'n9 (127.0.0.1:7209) is to vote, and must catch up first',
  });
  expect(outcome?.error?.remedy).toContain('nori-kv member remove n9 gives this up');
});

test('an order whose answer was lost is looked after, and given again where it is not carried out', async () => {
  const { host, map } = twoShards();
  const changeMembers = host.changeMembers.bind(host);
  const lost = new Set<number>();
  host.changeMembers = (group, change) => {
    if (lost.has(group)) return changeMembers(group, change);
    lost.add(group);
    return Promise.reject(failure('OUTCOME_UNKNOWN'));
  };
  const outcomes = await orderMember(host, map, { action: 'remove', id: 'n1' }, timeoutMs);
  expect(outcomes).toEqual([0, 1].map((shard) => ({ shard, changed: true, error: null })));
  expect(host.changes).toHaveLength(2);
});
