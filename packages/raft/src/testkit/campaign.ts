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
  /** From one seed to the next. Default 1. */
  readonly seedStep?: number;
  /** Whether a campaign has failed in which something never happened that should have. Default true. */
  readonly sightsWanted?: boolean;
  readonly onResult?: (summary: SeedSummary, result: SimulationResult) => void;
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

export type MissingSights = (seen: ReadonlyMap<string, number>, seeds: number) => readonly string[];

/** What one seed adds to a campaign; plain, so that it can be told from one process to another. */
export interface SeedSummary {
  readonly seed: number;
  /** What went wrong, or null. */
  readonly message: string | null;
  readonly sights: readonly (readonly [string, number])[];
  readonly simulatedMs: number;
  readonly events: number;
  readonly acknowledged: number;
}

/** Adds up what the seeds of a campaign have shown, in whatever order they end. */
export class Tally {
  private readonly startMs = realNowMs();
  private readonly failures: { readonly seed: number; readonly message: string }[] = [];
  private readonly sights = new Map<string, number>();
  private readonly total = { seeds: 0, simulatedMs: 0, events: 0, acknowledged: 0 };
  private readonly missing: MissingSights;

  /** `missing` names what should have happened in so many seeds and did not. */
  constructor(missing: MissingSights) {
    this.missing = missing;
  }

  get seeds(): number {
    return this.total.seeds;
  }

  add({ seed, message, sights, simulatedMs, events, acknowledged }: SeedSummary): void {
    const { total } = this;
    total.seeds += 1;
    total.simulatedMs += simulatedMs;
    total.events += events;
    total.acknowledged += acknowledged;
    for (const [sight, times] of sights) this.sights.set(sight, (this.sights.get(sight) ?? 0) + times);
    if (message !== null) this.failures.push({ seed, message });
  }

  result(): CampaignResult {
    const { total, sights, failures } = this;
    failures.sort((left, right) => left.seed - right.seed);
    const missing = this.missing(sights, total.seeds);
    return { ...total, realMs: realNowMs() - this.startMs, failures, sights, missing };
  }
}

const ignore = (): void => undefined;
/** Without faults many things do not happen, and need not. */
export const noneMissing: MissingSights = () => [];

/** Many seeds, one after another, and what was seen in all of them. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { firstSeed, seeds, minutes = Number.POSITIVE_INFINITY, twice = false, onResult = ignore } = options;
  const { optionsOf, sightsWanted = true, seedStep = 1, ...rest } = options;
  const startMs = realNowMs();
  const tally = new Tally(sightsWanted ? missingSights : noneMissing);
  while (tally.seeds < seeds && realNowMs() - startMs < minutes * 60_000) {
    const seed = firstSeed + tally.seeds * seedStep;
    const shaped = (): SimulationOptions => ({ ...shapeOf(seed), ...rest, ...optionsOf?.(seed), seed });
    const result = await simulate(shaped());
    let message = result.violation?.message ?? null;
    if (twice && message === null) {
      const again = await simulate(shaped());
      if (again.hash !== result.hash) message = `Determinism: hash ${result.hash}, then ${again.hash}`;
    }
    const { simulatedMs, events, acknowledged } = result;
    const summary = { seed, message, sights: [...result.sights], simulatedMs, events, acknowledged };
    tally.add(summary);
    onResult(summary, result);
  }
  return tally.result();
}
