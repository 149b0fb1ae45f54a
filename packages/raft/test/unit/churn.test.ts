import { expect, test } from 'vitest';
import { scenarios } from '../../src/testkit/scenarios.ts';
import { simulate } from '../../src/testkit/simulation.ts';

// What they found is told in host-members.test.ts, where it does not depend on what a seed draws.
test.each([
  [8, 'a wiped node that had been removed was let in again, and founded its cluster anew'],
  [13, 'a removed node refused as a stranger whoever added it again'],
  [37, 'a learner that had lost its leader refused the new one as a stranger'],
  [658, 'a wiped node was let in by what it left, though it still voted in another group'],
])('changes of members under every fault, seed %i: %s', async (seed) => {
  const scenario = scenarios['churn'];
  const result = await simulate({ seed, ...scenario?.options(seed) });
  expect(result.violation?.message).toBeUndefined();
  expect(result.sights.get('change of members OK')).toBeGreaterThan(0);
});
