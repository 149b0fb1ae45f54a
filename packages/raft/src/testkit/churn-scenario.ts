import { Prng } from '../base/prng.ts';
import { drawRates, faultKinds, scenarioFaults } from './faults.ts';
import { pick, spread } from './random.ts';
import type { SimulationOptions } from './simulation.ts';

const churnMachines = 7;
/** Every configuration that is asked for has a majority of the others, so these may forget what they vouched for. */
const churnFragile = 2;

/**
 * Groups that change to any one to seven voters while every kind of fault strikes, with logs that end soon. The load is
 * small: it is changes that are to meet faults, and every call costs seven replicas.
 */
export function churn(seed: number): SimulationOptions {
  const prng = new Prng(seed ^ 0x6368_7572);
  const faults = { ...drawRates(prng), changeMembers: spread(prng, 20, 80) };
  faults.transfer ??= spread(prng, 2, 10);
  return {
    seed,
    nodes: churnMachines,
    fragile: churnFragile,
    groups: pick(prng, [1, 1, 2]),
    seconds: 30,
    faults,
    clients: { count: prng.between(1, 4), thinkMsMax: pick(prng, [200, 1000]), stalks: prng.fraction() < 0.3 },
    host: {
      snapshotEntries: pick(prng, [10, 20, 60]),
      snapshotTailEntries: pick(prng, [0, 0, 5]),
      snapshotChunkBytes: pick(prng, [16, 1024]),
      snapshotBytesPerSecond: pick(prng, [1000, 1_000_000]),
    },
  };
}

/** Beside the kinds of faults: what changes of members are known to have met, or a campaign of them shows little. */
export const churnSights: readonly string[] = [
  ...faultKinds.filter((kind) => !scenarioFaults.has(kind)).map((kind) => `fault ${kind}`),
  ...Array.from({ length: churnMachines }, (_, at) => `configuration of ${at + 1} voters`),
  'change of members OK',
  'change given up OK',
  'joint configuration entered',
  'joint configuration recovered after a restart',
  'leader elected inside a joint configuration',
  'leader elected while learners caught up',
  'leader removed itself',
  'configuration rolled back',
  'transfer succeeded',
  'log replaced by a snapshot',
  'snapshot install interrupted then completed',
];
