import { Prng } from '../base/prng.ts';
import { SteadyChecker } from './checkers/steady-checker.ts';
import { churn, churnSights } from './churn-scenario.ts';
import type { Fault, FaultKind } from './faults.ts';
import { pick, spread } from './random.ts';
import type { SimulationOptions } from './simulation.ts';

/** A run whose faults are written down instead of drawn; the seed only decides who is hit, and how hard. */
export interface Scenario {
  /** In a sentence: what is done, and what holds nevertheless. */
  readonly about: string;
  options(seed: number): SimulationOptions;
  /** What a campaign of it must have seen, or it has failed. Default: nothing. */
  readonly sights?: readonly string[];
}

/** Named schedules, for `npm run sim -- --scenario NAME`. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  'election-storm': {
    about: 'wall clocks skewed by up to 200 ms either way while leaders fall one after another: one leader per term',
    options: electionStorm,
  },
  bridge: {
    about: 'two halves that only one node sees both of: a leader stays, terms stand still, writes are acknowledged',
    options: (seed) => steady('bridge', seed),
  },
  ring: {
    about: 'five nodes, each of which sees two others: a leader stays, terms stand still, writes are acknowledged',
    options: (seed) => steady('ring', seed),
  },
  star: {
    about: 'one node that sees all, and nobody else sees another: it leads, terms stand still, writes are acknowledged',
    options: (seed) => steady('star', seed),
  },
  rot: {
    about:
      'bits flip and sectors go blank, on disks and in states: the groups they hit are refilled by the others and vote again',
    options: rot,
    sights: [
      'GroupQuarantined',
      'GroupRefilling',
      'GroupRefilled',
      'damaged state found',
      'damaged disk healed',
      'damaged disk refused',
    ],
  },
  churn: {
    about: 'groups change to any one to seven voters, again and again, through every fault, transfers and snapshots',
    options: churn,
    sights: churnSights,
  },
  moves: {
    about: 'members are said to be at another address while groups change as in churn: who they are stays the same',
    options: moves,
    sights: ['fault moveMember', 'move OK', 'change of members OK', 'log replaced by a snapshot'],
  },
};

function moves(seed: number): SimulationOptions {
  const options = churn(seed);
  return { ...options, faults: { ...options.faults, changeMembers: 10, moveMember: 40 } };
}

/** One disk at a time rots, again and again, while nodes come and go and logs are short. */
function rot(seed: number): SimulationOptions {
  const prng = new Prng(seed ^ 0x0072_6f74);
  const faults: Partial<Record<FaultKind, number>> = { rot: spread(prng, 5, 20), zeroedSector: spread(prng, 0, 3) };
  faults.stateRot = spread(prng, 2, 10);
  const usual: readonly FaultKind[] = [
    'crash',
    'powerCut',
    'crashAtCompletion',
    'orderlyRestart',
    'isolate',
    'split',
    'messageLoss',
    'messageChaos',
    'slowDisk',
    'transfer',
    'snapshot',
    'staleSector',
  ];
  for (const kind of usual) if (prng.fraction() < 0.5) faults[kind] = spread(prng, 0.5, 5);
  return { seed, nodes: pick(prng, [3, 3, 5]), groups: pick(prng, [1, 2, 3]), faults };
}

const stormSeconds = 30;

/** The specification's storm: clocks that disagree by 200 ms and change speed, and every second something ends an office. */
function electionStorm(seed: number): SimulationOptions {
  const prng = new Prng(seed);
  const fault = (kind: FaultKind, atMs: number, forMs: number): Fault => ({ kind, atMs, forMs, seed: prng.uint32() });
  const endMs = stormSeconds * 1000;
  const schedule = [fault('skew', 0, endMs)];
  for (let atMs = 0; atMs < endMs; atMs += 1000) schedule.push(fault('drift', atMs, 5000));
  for (let atMs = 2000; atMs < endMs; atMs += spread(prng, 200, 1200)) {
    const kind = pick(prng, ['isolate', 'deaf', 'mute', 'crash', 'pause', 'transfer'] as const);
    schedule.push(fault(kind, atMs, spread(prng, 200, 1500)));
  }
  return { seed, nodes: 5, groups: 1, seconds: stormSeconds, schedule };
}

const steadyFromMs = 4000;
const steadyForMs = 12_000;
/** Until check-quorum has spoken and the one who can has been elected, whoever led before. */
const settledAfterMs = 4000;

/** One topology that lets a majority work, kept for a while. */
function steady(kind: FaultKind, seed: number): SimulationOptions {
  const toMs = steadyFromMs + steadyForMs;
  const limits = { fromMs: steadyFromMs + settledAfterMs, toMs: toMs - 1, termsMax: 0, silenceMsMax: 2500 };
  return {
    seed,
    nodes: 5,
    groups: 1,
    seconds: toMs / 1000,
    clients: { count: 5, thinkMsMax: 100 },
    schedule: [{ kind, atMs: steadyFromMs, forMs: steadyForMs, seed: new Prng(seed).uint32() }],
    checkers: [new SteadyChecker(limits)],
  };
}
