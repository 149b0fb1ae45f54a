import { expect, test } from 'vitest';
import { HostStorm, type StormFacts } from '../support/host-storm.test-support.ts';

// HOST_SEEDS=n runs n seeds; HOST_SEED=s runs only that one.
const count = Number(process.env['HOST_SEEDS'] ?? 24);
const only = process.env['HOST_SEED'];
const base = Number(process.env['HOST_SEED_FROM'] ?? 1);

const seeds = only === undefined ? Array.from({ length: count }, (_, at) => base + at) : [Number(only)];

test('in any storm nothing acknowledged is lost, nothing is applied twice, no read goes back, and all is well afterwards', {
  timeout: 60_000 + count * 5_000,
}, async () => {
  const total: Partial<Record<keyof StormFacts, number>> = {};
  for (const seed of seeds) {
    const facts = await HostStorm.run(seed, 2500);
    for (const [name, value] of Object.entries(facts) as [keyof StormFacts, number][]) {
      total[name] = (total[name] ?? 0) + value;
    }
  }
  if (count > 24) console.log(total);
  // A storm in which nothing happened proves nothing.
  const idle = Object.entries(total).filter(([, value]) => value === 0);
  expect(only === undefined ? idle : []).toEqual([]);
});
