import { expect, test } from 'vitest';
import { foundedElsewhere } from './cluster-ready.ts';
import { planNodes } from './start.ts';

const options = { nodes: 3, shards: 8, data: '/data', routing: 'forward', engine: 'lmdb', restart: true };
const membersAt = (basePort: number) =>
  planNodes({ ...options, basePort }).map(({ id, peer }) => ({ id, address: peer }));

test('a cluster that was founded at other ports is told which', () => {
  expect(foundedElsewhere(planNodes({ ...options, basePort: 7500 }), 7500, membersAt(7000))).toBe(
    'the data is of a cluster whose nodes look for n1 at 127.0.0.1:7201, not at 127.0.0.1:7701; ' +
      'give --base-port 7000 as before, or another directory with --data',
  );
});

test('a cluster at the ports it was founded with, or not founded yet, is let be', () => {
  expect(foundedElsewhere(planNodes({ ...options, basePort: 7000 }), 7000, membersAt(7000))).toBeNull();
  expect(foundedElsewhere(planNodes({ ...options, basePort: 7000 }), 7000, [])).toBeNull();
});
