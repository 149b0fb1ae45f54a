import { Prng } from '../base/prng.ts';
import { realNowMs } from './guards.ts';
import { pick } from './random.ts';
import { simulate, type SimulationOptions, type SimulationResult } from './simulation.ts';
import { missingSights } from './sights.ts';

export interface CampaignOptions extends Omit<SimulationOptions, 'seed' | 'traced' | 'schedule'> {
  readonly firstSeed: number;
  /** How many at most. */
  readonly seeds: number;
  /** Ends when so much real time has passed. */
  readonly minutes?: number;
  /** Runs every seed twice and compares the histories. */
  readonly twice?: boolean;
  /** What one seed has different. */
  readonly optionsOf?: (seed: number) => Partial<SimulationOptions>;
  readonly onResult?: (result: SimulationResult, done: number) => void;
}

export interface CampaignResult {
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly message: string }[];
  readonly sights: ReadonlyMap<string, number>;
  readonly missing: readonly string[];
  readonly simulatedMs: number;
  readonly realMs: number;
  readonly events: number;
  readonly acknowledged: number;
}

/** The cluster a seed stands for when nobody says otherwise: most have three nodes and one group. */
export function shapeOf(seed: number): { readonly nodes: number; readonly groups: number } {
  const prng = new Prng(seed ^ 0x7368_6170);
  return { nodes: pick(prng, [3, 3, 3, 3, 5, 5, 4, 2]), groups: pick(prng, [1, 1, 1, 2, 4]) };
}

const ignore = (): void => undefined;

/** Many seeds, one after another, and what was seen in all of them. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { firstSeed, seeds, minutes = Number.POSITIVE_INFINITY, twice = false, onResult = ignore } = options;
  const { optionsOf, ...rest } = options;
  const startMs = realNowMs();
  const failures: { seed: number; message: string }[] = [];
  const sights = new Map<string, number>();
  const total = { simulatedMs: 0, realMs: 0, events: 0, acknowledged: 0 };
  let done = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds && realNowMs() - startMs < minutes * 60_000; seed += 1) {
    const shaped = (): SimulationOptions => ({ ...shapeOf(seed), ...rest, ...optionsOf?.(seed), seed });
    const result = await simulate(shaped());
    done += 1;
    total.simulatedMs += result.simulatedMs;
    total.realMs += result.realMs;
    total.events += result.events;
    total.acknowledged += result.acknowledged;
    for (const [sight, times] of result.sights) sights.set(sight, (sights.get(sight) ?? 0) + times);
    if (result.violation !== null) failures.push({ seed, message: result.violation.message });
    else if (twice) {
      const again = await simulate(shaped());
      if (again.hash !== result.hash) {
        failures.push({ seed, message: `Determinism: hash ${result.hash}, then ${again.hash}` });
      }
    }
    onResult(result, done);
  }
  return { ...total, seeds: done, failures, sights, missing: missingSights(sights, done) };
}
