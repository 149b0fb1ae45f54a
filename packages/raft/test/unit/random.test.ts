import { expect, test } from 'vitest';
import { sights } from './checker.ts';
import { runSeed } from './random.ts';

const seeds = Number(process.env['SIM_SEEDS'] ?? 300);
const firstSeed = Number(process.env['SIM_FIRST_SEED'] ?? 1);

test('every promise of Raft holds through random faults, and the cluster recovers when they end', {
  timeout: seeds * 1_000,
}, () => {
  const seen = new Map<string, number>();
  let steps = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    try {
      const report = runSeed(seed);
      steps += report.steps;
      for (const [sight, count] of report.checker.seen) seen.set(sight, (seen.get(sight) ?? 0) + count);
    } catch (error) {
      throw new Error(`seed ${seed}: replay with SIM_FIRST_SEED=${seed} SIM_SEEDS=1`, { cause: error });
    }
  }
  if (process.env['SIM_SEEDS'] !== undefined) console.log(`${seeds} seeds, ${steps} steps`, Object.fromEntries(seen));
  if (seeds < 100) return;
  expect(sights.filter((sight) => !seen.has(sight))).toEqual([]);
});

test('one seed gives one history', () => {
  for (const seed of [3, 14, 159]) expect(digest(seed)).toEqual(digest(seed));
});

function digest(seed: number): unknown {
  const { checker, steps } = runSeed(seed);
  return { steps, seen: [...checker.seen], committed: checker.canonical.map((at) => at?.entry.term) };
}
