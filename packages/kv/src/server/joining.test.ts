import { expect, test } from 'vitest';
import { knownMembers } from './joining.ts';

test('who was in the cluster when this node joined is looked for, unless this node is now where it was', () => {
  const joined = { clusterId: '00', shards: 1, members: { n1: 'a:1', n2: 'b:1', n4: 'd:1' } };
  expect(knownMembers(joined, { n4: 'a:1' })).toEqual({ n2: 'b:1', n4: 'a:1' });
  expect(knownMembers(null, { n1: 'a:1' })).toEqual({ n1: 'a:1' });
});
