import { realNowMs } from '../guards.ts';
import { simulate, type SimulationOptions, type SimulationResult } from '../simulation.ts';
import { type CaseSurroundings, optionsOf, scriptOf, type SimulationCase } from './case.ts';
import { fewest } from './delta.ts';
import { closed, gapsOf } from './gaps.ts';

export interface ShrinkLimits {
  /** How many runs at most. Default 300. */
  readonly triesMax?: number;
  /** How long at most, in real time. Default 30. */
  readonly secondsMax?: number;
}

export interface Size {
  readonly nodes: number;
  readonly groups: number;
  readonly faults: number;
  readonly calls: number;
  readonly seconds: number;
}

export interface Shrunk {
  readonly case: SimulationCase;
  readonly before: Size;
  readonly after: Size;
  /** How many runs it took. */
  readonly tries: number;
}

/** Cuts a failing run down to what it needs to break the same promise. `surroundings` are made anew for every run. */
export async function shrink(
  result: SimulationResult,
  options: Pick<SimulationOptions, 'nodes' | 'groups' | 'seconds'> & { readonly workloadName: string },
  surroundings: () => CaseSurroundings,
  limits: ShrinkLimits = {},
): Promise<Shrunk> {
  const { violation, seed, schedule } = result;
  if (violation === null) throw new TypeError(`seed ${seed} broke no promise: there is nothing to shrink`);
  const { nodes = 3, groups = 1, seconds = 60, workloadName: workload } = options;
  const drawn = { seed, nodes, groups, seconds, schedule, calls: null, workload, promise: violation.promise };
  const shrinker = new Shrinker(drawn, result, surroundings, limits);
  await shrinker.run();
  const size = { nodes, groups, seconds, faults: schedule.length, calls: result.operations.length };
  return { case: shrinker.best, before: size, after: shrinker.size, tries: shrinker.tries };
}

class Shrinker {
  best: SimulationCase;
  tries = 0;
  /** When the best case broke its promise, and what was called until then. */
  private brokenMs: number;
  private calls: number;
  private readonly operations: SimulationResult['operations'];
  private readonly surroundings: () => CaseSurroundings;
  private readonly triesMax: number;
  private readonly untilMs: number;

  constructor(
    drawn: SimulationCase,
    failed: SimulationResult,
    surroundings: () => CaseSurroundings,
    limits: ShrinkLimits,
  ) {
    this.best = drawn;
    this.brokenMs = failed.atMs;
    this.calls = failed.operations.length;
    this.operations = failed.operations;
    this.surroundings = surroundings;
    this.triesMax = limits.triesMax ?? 300;
    this.untilMs = realNowMs() + (limits.secondsMax ?? 30) * 1000;
  }

  get size(): Size {
    const { nodes, groups, seconds, schedule } = this.best;
    return { nodes, groups, seconds, faults: schedule.length, calls: this.calls };
  }

  async run(): Promise<void> {
    await this.cutTime();
    await this.fails({
      ...this.best,
      calls: scriptOf(this.operations.filter(({ invokedMs }) => invokedMs <= this.brokenMs)),
    });
    for (let before = ''; before !== this.shape && !this.exhausted; ) {
      before = this.shape;
      await this.fewerFaults();
      await this.fewerNodes();
      await this.fewerCalls();
      await this.closeGaps();
      await this.cutTime();
    }
  }

  private get shape(): string {
    return JSON.stringify(this.size);
  }

  private get exhausted(): boolean {
    return this.tries >= this.triesMax || realNowMs() >= this.untilMs;
  }

  /** Whether a case breaks the same promise; then it is the best so far. */
  private async fails(one: SimulationCase): Promise<boolean> {
    if (this.exhausted) return false;
    this.tries += 1;
    const { violation, atMs, operations } = await simulate(optionsOf(one, this.surroundings()));
    if (violation?.promise !== one.promise) return false;
    this.best = one;
    this.brokenMs = atMs;
    this.calls = operations.length;
    return true;
  }

  /** What would have come after the break does not matter; what is broken only at the end may break sooner. */
  private async cutTime(): Promise<void> {
    const needed = Math.ceil(this.brokenMs + 1) / 1000;
    if (needed < this.best.seconds) await this.fails(until(this.best, needed));
    for (const part of [0.25, 0.5, 0.75]) {
      const cut = until(this.best, Math.ceil(this.best.seconds * part * 1000) / 1000);
      if (this.brokenMs > this.best.seconds * 1000 && (await this.fails(cut))) return;
    }
  }

  private async fewerFaults(): Promise<void> {
    await fewest(this.best.schedule, (schedule) => this.fails({ ...this.best, schedule }));
  }

  private async fewerNodes(): Promise<void> {
    const { groups, calls, nodes } = this.best;
    if (groups > 1) {
      const first = calls?.filter(({ group }) => group === 1) ?? null;
      const merged = calls?.map((call) => ({ ...call, group: 1 })) ?? null;
      if (!(await this.failsWithLuck({ ...this.best, groups: 1, calls: merged }))) {
        await this.failsWithLuck({ ...this.best, groups: 1, calls: first });
      }
    }
    for (let fewer = 1; fewer < nodes; fewer += 1) {
      if (await this.failsWithLuck({ ...this.best, nodes: fewer })) return;
    }
  }

  /** Another shape draws other delays, so what the seed brought about may need another seed now. */
  private async failsWithLuck(one: SimulationCase): Promise<boolean> {
    for (let luck = 0; luck < 3; luck += 1) if (await this.fails({ ...one, seed: one.seed + luck })) return true;
    return false;
  }

  private async fewerCalls(): Promise<void> {
    if (this.best.calls !== null) await fewest(this.best.calls, (calls) => this.fails({ ...this.best, calls }));
  }

  private async closeGaps(): Promise<void> {
    const gaps = gapsOf(this.best);
    if (gaps.length === 0 || (await this.fails(closed(this.best, gaps)))) return;
    for (let tries = 0; tries < 8; tries += 1) {
      const gap = gapsOf(this.best)[tries];
      if (gap === undefined) return;
      if (await this.fails(closed(this.best, [gap]))) tries -= 1;
    }
  }
}

function until(one: SimulationCase, seconds: number): SimulationCase {
  const within = ({ atMs }: { readonly atMs: number }): boolean => atMs <= seconds * 1000;
  return { ...one, seconds, schedule: one.schedule.filter(within), calls: one.calls?.filter(within) ?? null };
}
