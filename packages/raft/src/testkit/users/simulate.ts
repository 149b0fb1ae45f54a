import type { StateMachine } from '../../ports/state-machine.ts';
import type { HostConfig } from '../../host/options.ts';
import type { Checker } from '../checker.ts';
import type { ClientOptions } from '../clients.ts';
import type { FaultRates } from '../faults.ts';
import { type CaseSurroundings, decodeCase } from '../shrink/case.ts';
import type { ShrinkLimits } from '../shrink/shrink.ts';
import { simulate as simulateSeed, type SimulationResult } from '../simulation.ts';
import { type Account, account, explain } from '../story/failure.ts';
import type { Trace } from '../story/trace.ts';
import { AuditChecker } from './audit-checker.ts';
import { ShadowChecker } from './shadow-checker.ts';
import { type UserWorkload, userWorkload } from './user-workload.ts';

export interface SimulateOptions<Machine extends StateMachine = StateMachine> {
  /** A new one, empty. Called once for every start of a replica. */
  readonly stateMachine: () => Machine;
  readonly workload: UserWorkload;
  /** What must hold of every replica after everything it applies: says what is wrong, or null. */
  readonly audit?: (machine: Machine) => string | null;
  /** How many, beginning with 1; or exactly these. */
  readonly seeds: number | readonly number[];
  /** `all` (default): drawn anew for every seed. `gentle`: nothing that hurts a disk. Or rates per simulated minute. */
  readonly faults?: 'none' | 'gentle' | 'all' | FaultRates;
  /** Default 3. */
  readonly nodes?: number;
  /** Default 1. */
  readonly groups?: number;
  /** How long faults go on in each run, in simulated seconds. Default 30. */
  readonly seconds?: number;
  readonly clients?: ClientOptions;
  readonly host?: Partial<HostConfig>;
  /** More to look on, made anew for every run. */
  readonly checkers?: () => readonly Checker[];
  /** Stops when so many seeds have failed. Default 1. */
  readonly violationsMax?: number;
  /** What cutting a failure down may cost. */
  readonly shrink?: ShrinkLimits;
  readonly onProgress?: (progress: { readonly seed: number; readonly done: number; readonly failed: number }) => void;
}

export interface ViolationReport {
  readonly seed: number;
  /** The promise that was broken, by its name in docs/simulator.md. */
  readonly promise: string;
  readonly message: string;
  /** What happened, cut down to what it takes. */
  readonly story: string;
  /** The same for machines. */
  readonly trace: Trace;
  /** What `replay` takes: JSON. */
  readonly replay: string;
}

export interface SimulateReport {
  readonly ok: boolean;
  readonly runs: number;
  readonly violations: readonly ViolationReport[];
  /** How often what happened: a run in which nothing did has shown nothing. */
  readonly coverage: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly simulatedSeconds: number;
  readonly eventsPerSecond: number;
}

/** Runs a cluster of your state machine under each seed, with faults, and judges everything it promises. */
export async function simulate<Machine extends StateMachine>(
  options: SimulateOptions<Machine>,
): Promise<SimulateReport> {
  const { seeds, nodes = 3, groups = 1, seconds = 30, violationsMax = 1 } = options;
  const shape = { nodes, groups, seconds };
  const violations: ViolationReport[] = [];
  const coverage: Record<string, number> = {};
  const total = { runs: 0, acknowledged: 0, simulatedMs: 0, realMs: 0, events: 0 };
  for (const seed of typeof seeds === 'number' ? Array.from({ length: seeds }, (_, at) => at + 1) : seeds) {
    const result = await simulateSeed({ ...shape, ...faultsOf(options), ...surroundingsOf(options), seed });
    total.runs += 1;
    total.acknowledged += result.acknowledged;
    total.simulatedMs += result.simulatedMs;
    total.realMs += result.realMs;
    total.events += result.events;
    for (const [sight, times] of result.sights) coverage[sight] = (coverage[sight] ?? 0) + times;
    if (result.violation !== null) violations.push(await reportOf(options, result, shape));
    options.onProgress?.({ seed, done: total.runs, failed: violations.length });
    if (violations.length >= violationsMax) break;
  }
  return {
    ok: violations.length === 0,
    runs: total.runs,
    violations,
    coverage,
    acknowledged: total.acknowledged,
    simulatedSeconds: Math.round(total.simulatedMs / 1000),
    eventsPerSecond: Math.round(total.events / Math.max(total.realMs / 1000, 0.001)),
  };
}

/** Runs a case that `simulate` reported, with the same options. */
export async function replay<Machine extends StateMachine>(
  options: Omit<SimulateOptions<Machine>, 'seeds'>,
  text: string,
): Promise<Account> {
  const one = decodeCase(text);
  return account(one, surroundingsOf(options));
}

async function reportOf<Machine extends StateMachine>(
  options: SimulateOptions<Machine>,
  result: SimulationResult,
  shape: { readonly nodes: number; readonly groups: number; readonly seconds: number },
): Promise<ViolationReport> {
  const { seed, violation } = result;
  const limits = { secondsMax: 15, ...options.shrink };
  const failure = await explain(result, { ...shape, workloadName: 'user' }, () => surroundingsOf(options), limits);
  const { promise, message } = failure.result.violation ?? (violation as NonNullable<typeof violation>);
  return { seed, promise, message, story: failure.story, trace: failure.trace, replay: failure.replay };
}

/** Everything of a run that has a memory, made anew. */
function surroundingsOf<Machine extends StateMachine>(
  options: Omit<SimulateOptions<Machine>, 'seeds'>,
): CaseSurroundings {
  const { stateMachine, workload, audit, clients, host, checkers } = options;
  const auditor = new AuditChecker((machine) => audit?.(machine as Machine) ?? null);
  const judgeShadow = (machine: StateMachine): void => auditor.judge(machine, 'a replica restored from a snapshot');
  const shadow = new ShadowChecker(stateMachine, judgeShadow);
  return {
    workload: userWorkload(stateMachine, workload, (group, index, timeMs) => shadow.onTime(group, index, timeMs)),
    checkers: [auditor, shadow, ...(checkers?.() ?? [])],
    ...(clients === undefined ? {} : { clients }),
    ...(host === undefined ? {} : { host }),
  };
}

const gentleRates: FaultRates = {
  crash: 3,
  orderlyRestart: 1,
  pause: 2,
  isolate: 3,
  slowNetwork: 2,
  resets: 1,
  transfer: 3,
};

function faultsOf({ faults = 'all' }: Pick<SimulateOptions, 'faults'>): { readonly faults?: FaultRates } {
  if (faults === 'all') return {};
  if (faults === 'none') return { faults: {} };
  return { faults: faults === 'gentle' ? gentleRates : faults };
}
