import type { ChangeStatus, MemberStatus } from 'nori-raft';
import { expect, test } from 'vitest';
import { changeUnderWay } from './change-under-way.ts';

const member = (id: string, role: MemberStatus['role']): MemberStatus =>
  ({ id, address: `${id}:7201`, role }) as unknown as MemberStatus;
const change = (fields: object): ChangeStatus =>
  ({ phase: 'catchingUp', voters: [], joined: [], catchingUp: [], ...fields }) as ChangeStatus;

test('a node that must catch up is named with its address, how far it is, and the order that gives it up', () => {
  const members = [member('n1', 'voter'), member('n4', 'joining')];
  const rounds = [{ id: 'n4', round: 1, matchIndex: 10, targetIndex: 200 }];
  expect(changeUnderWay(members, change({ joined: ['n4'], catchingUp: rounds }))).toEqual({
    message: 'n4 (n4:7201, at entry 10 of 200) is to vote, and must catch up first',
    remedy:
      'wait while it gets on, or see that it runs and is reached at that address; nori-kv member remove n4 gives this up',
  });
  // One that was a learner before stays one.
  expect(changeUnderWay(members, change({}))?.remedy).toContain('nori-kv member demote n4 gives this up');
});

test('a joint phase says whose majorities it takes, and without a change there is nothing to say', () => {
  const members = [member('n1', 'voter'), member('n2', 'leaving'), member('n3', 'voter')];
  const found = changeUnderWay(members, change({ phase: 'joint', voters: ['n1', 'n3'] }));
  expect(found?.message).toBe('the voters change to n1, n3, without n2, and that is not committed yet');
  expect(found?.remedy).toContain('a majority of the old voters and one of the new');
  expect(changeUnderWay(members, null)).toBeNull();
});
