import { expect, test } from 'vitest';
import { planNodes } from './start.ts';

const options = {
  nodes: 3,
  shards: 8,
  data: '/data',
  basePort: 7000,
  routing: 'forward',
  engine: 'lmdb',
  restart: true,
};

test('a local cluster has the ports the documentation says', () => {
  const plans = planNodes(options);
  expect(plans.map(({ id, resp, http, peer }) => [id, resp, http, peer])).toEqual([
    ['n1', '127.0.0.1:7001', '127.0.0.1:7101', '127.0.0.1:7201'],
    ['n2', '127.0.0.1:7002', '127.0.0.1:7102', '127.0.0.1:7202'],
    ['n3', '127.0.0.1:7003', '127.0.0.1:7103', '127.0.0.1:7203'],
  ]);
  expect(plans[0]?.args.join(' ')).toContain(
    '--members n1=127.0.0.1:7201,n2=127.0.0.1:7202,n3=127.0.0.1:7203 --shards 8',
  );
});

test('a plan that cannot work is refused', () => {
  expect(() => planNodes({ ...options, basePort: 65_400 })).toThrow('--base-port');
  expect(() => planNodes({ ...options, routing: 'none' })).toThrow('--routing');
  expect(() => planNodes({ ...options, engine: 'none' })).toThrow('--engine');
});
