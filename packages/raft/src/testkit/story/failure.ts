import { type CaseSurroundings, encodeCase, optionsOf, type SimulationCase } from '../shrink/case.ts';
import { shrink, type ShrinkLimits, type Shrunk } from '../shrink/shrink.ts';
import { simulate, type SimulationResult } from '../simulation.ts';
import { registerWorkload } from '../register-workload.ts';
import { Recorder } from './recorder.ts';
import { storyOf } from './story.ts';
import { type Trace, traceOf } from './trace.ts';

/** A run as others can read it. */
export interface Account {
  readonly result: SimulationResult;
  readonly story: string;
  readonly trace: Trace;
}

export interface Failure extends Account {
  readonly shrunk: Shrunk;
  /** The case as JSON: what a replay takes. */
  readonly replay: string;
}

/** Runs a case again, looked at closely. */
export async function account(
  one: SimulationCase,
  surroundings: CaseSurroundings,
  shrunk: Shrunk | null = null,
): Promise<Account> {
  const recorder = new Recorder();
  const result = await simulate({ ...optionsOf(one, surroundings), traced: true, witness: recorder });
  const { nodes, groups } = one;
  const trace = traceOf(result, { nodes, groups, workload: surroundings.workload ?? registerWorkload() });
  return { result, trace, story: storyOf({ trace, result, recorder, shrunk }) };
}

/** Cuts a failing run down and tells what is left of it. `surroundings` are made anew for every run. */
export async function explain(
  result: SimulationResult,
  shape: { readonly nodes: number; readonly groups: number; readonly seconds: number; readonly workloadName: string },
  surroundings: () => CaseSurroundings,
  limits: ShrinkLimits = {},
): Promise<Failure> {
  const shrunk = await shrink(result, shape, surroundings, limits);
  const told = await account(shrunk.case, surroundings(), shrunk);
  return { ...told, shrunk, replay: encodeCase(shrunk.case) };
}
