import { campaign, type CampaignResult, type MissingSights, type SeedSummary, shapeOf, Tally } from './campaign.ts';
import { type FailureFiles, replayCase, writeFailure } from './cli-failure.ts';
import { historyLines } from './history/history-lines.ts';
import { registerWorkload } from './register-workload.ts';
import { scenarios } from './scenarios.ts';
import { missingSights, seedsForSights } from './sights.ts';
import { simulate, type SimulationOptions, type SimulationResult } from './simulation.ts';
import type { CaseSurroundings } from './shrink/case.ts';
import { Recorder } from './story/recorder.ts';
import { encodeTrace, traceOf } from './story/trace.ts';
import type { Workload } from './workload.ts';

/** What the command line needs of its process. */
export interface CliIo {
  print(line: string): void;
  writeFile(path: string, text: string): void;
  readFile(path: string): string;
  /** Processor time this process has used, in ms. */
  cpuMs(): number;
  /** Runs this command in a process of its own and hands over each line it prints. Rejects when that process fails. */
  runWorker(args: readonly string[], onLine: (line: string) => void): Promise<void>;
  /** A module whose default export makes a Workload. */
  loadWorkload(path: string): Promise<() => Workload>;
}

interface Arguments {
  readonly seed: number | null;
  readonly seeds: number;
  readonly from: number;
  readonly scenario: string | null;
  readonly minutes: number | null;
  readonly workers: number;
  /** Which of the workers this process is, or null. */
  readonly worker: number | null;
  /** All arguments as they were given, for the workers. */
  readonly given: readonly string[];
  readonly nodes: number | null;
  readonly groups: number | null;
  readonly seconds: number;
  readonly trace: string | null;
  readonly workload: string | null;
  readonly twice: boolean;
  readonly history: string | null;
  readonly replay: string | null;
  readonly out: string;
  readonly shrink: boolean;
  readonly calm: boolean;
}

export const usage: string = `npm run sim -- [options]
  --seed N          run one seed, twice, and print the hash of its history
  --trace FILE      with --seed: write everything that happened as JSON
  --seeds N         run N seeds (default 100)
  --from N          the first of them (default 1)
  --scenario NAME   a schedule with a name instead of drawn faults: ${Object.keys(scenarios).join(', ')}
  --minutes N       run seeds until so much real time has passed
  --workers N       run the seeds in N processes (default 1); what a seed gives does not change
  --nodes N         default: drawn from the seed, most often 3
  --groups N        default: drawn from the seed, most often 1
  --seconds N       simulated seconds of faults in each run (default 60)
  --twice           run every seed twice and compare the hashes
  --calm            no faults and a moderate load, about 20 calls a second: for the speed alone
  --history FILE    with --seed: write what clients did, for nori-kv check-history
  --replay FILE     run a case that a failure left behind; with --trace, write its trace
  --out DIR         where cases, stories and traces of failures go (default: here)
  --no-shrink       leave a failing run as it was drawn
  --workload FILE   a module whose default export makes a Workload (default: registers)`;

/** Runs the command; the exit code says whether every promise held. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === 'string') {
    io.print(parsed);
    io.print(usage);
    return parsed === '' ? 0 : 2;
  }
  const makeWorkload = parsed.workload === null ? null : await io.loadWorkload(parsed.workload);
  if (parsed.replay !== null) {
    const { replay: path, trace } = parsed;
    const surroundings = (seed: number): CaseSurroundings => surroundingsOf(parsed, seed);
    return replayCase({ path, trace, makeWorkload: makeWorkload ?? registerWorkload, surroundings }, io);
  }
  if (parsed.worker !== null) return runAsWorker(parsed, makeWorkload, io);
  return parsed.seed === null ? runMany(parsed, makeWorkload, io) : runOne(parsed, parsed.seed, makeWorkload, io);
}

async function runOne(
  parsed: Arguments,
  seed: number,
  makeWorkload: (() => Workload) | null,
  io: CliIo,
): Promise<number> {
  const shape = { ...shapeOf(seed), ...shapeFrom(parsed, seed) };
  const workload = (makeWorkload ?? registerWorkload)();
  const traced = parsed.trace !== null;
  const result = await simulate({
    ...shape,
    seed,
    workload,
    ...(traced ? { traced, witness: new Recorder() } : {}),
  });
  if (parsed.trace !== null) io.writeFile(parsed.trace, encodeTrace(traceOf(result, { ...shape, workload })));
  if (parsed.history !== null) {
    const lines = historyLines(workload, result.operations);
    if (lines === null) io.print(`the workload ${workload.name} has no words for histories`);
    else io.writeFile(parsed.history, lines);
  }
  const startCpuMs = io.cpuMs();
  const again = await simulate({ ...shape, ...shapeFrom(parsed, seed), ...workloadFrom(makeWorkload), seed });
  const cpuMs = io.cpuMs() - startCpuMs;
  io.print(`seed ${seed}: ${shape.nodes} nodes, ${shape.groups} groups, ${result.schedule.length} faults`);
  io.print(`hash ${result.hash}`);
  sayCoverage(result.sights, io);
  saySpeed(again, cpuMs, io);
  if (result.hash !== again.hash) io.print(`not deterministic: the second run gave hash ${again.hash}`);
  if (result.violation !== null) await sayFailure(result, parsed, makeWorkload, io);
  return result.violation === null && result.hash === again.hash ? 0 : 1;
}

async function runMany(parsed: Arguments, makeWorkload: (() => Workload) | null, io: CliIo): Promise<number> {
  const startCpuMs = io.cpuMs();
  const tally = new Tally(missingOf(parsed));
  const onResult = (summary: SeedSummary): void => {
    tally.add(summary);
    const { seed, message } = summary;
    if (message !== null) sayBroken(seed, parsed, message, io);
    else if (tally.seeds % 100 === 0) io.print(`${tally.seeds} seeds`);
  };
  const cpuMs =
    parsed.workers > 1
      ? await runWorkers(parsed, io, onResult)
      : await runSeeds(parsed, makeWorkload, onResult).then(() => io.cpuMs() - startCpuMs);
  const result = tally.result();
  await sayFailures(result, parsed, makeWorkload, io);
  sayCoverage(result.sights, io);
  io.print(`${result.seeds} seeds, ${result.failures.length} failed, ${result.acknowledged} calls acknowledged`);
  saySpeed(result, cpuMs, io);
  for (const sight of result.missing) io.print(`never happened: ${sight}`);
  return result.failures.length === 0 && result.missing.length === 0 ? 0 : 1;
}

/** The seeds of one process: all, or every `workers`-th. */
async function runSeeds(
  parsed: Arguments,
  makeWorkload: (() => Workload) | null,
  onResult: (summary: SeedSummary) => void,
): Promise<void> {
  const { from, seeds, workers, worker, minutes, twice } = parsed;
  const share = worker === null ? { first: from, step: 1 } : { first: from + worker, step: workers };
  const count = worker === null ? seeds : Math.ceil((seeds - worker) / workers);
  await campaign({
    ...workloadFrom(makeWorkload),
    optionsOf: (seed) => shapeFrom(parsed, seed),
    firstSeed: share.first,
    seedStep: share.step,
    seeds: minutes === null ? count : Number.MAX_SAFE_INTEGER,
    ...(minutes === null ? {} : { minutes }),
    twice,
    sightsWanted: false,
    onResult,
  });
}

/** Processes of their own, each with its share of the seeds; a seed gives the same wherever it runs. Processor time of all. */
async function runWorkers(parsed: Arguments, io: CliIo, onResult: (summary: SeedSummary) => void): Promise<number> {
  let cpuMs = 0;
  const run = (worker: number): Promise<void> =>
    io.runWorker([...parsed.given, '--worker', String(worker)], (line) => {
      const told = JSON.parse(line) as SeedSummary | { readonly cpuMs: number };
      if ('cpuMs' in told) cpuMs += told.cpuMs;
      else onResult(told);
    });
  await Promise.all(Array.from({ length: parsed.workers }, (_, worker) => run(worker)));
  return cpuMs;
}

async function runAsWorker(parsed: Arguments, makeWorkload: (() => Workload) | null, io: CliIo): Promise<number> {
  const tell = (told: unknown): void => io.print(JSON.stringify(told));
  await runSeeds(parsed, makeWorkload, tell);
  tell({ cpuMs: io.cpuMs() });
  return 0;
}

/** Cutting one down takes up to half a minute. */
const shrunkMax = 3;

/** Runs the first of the seeds that failed again, to tell their story. */
async function sayFailures(
  { failures }: CampaignResult,
  parsed: Arguments,
  makeWorkload: (() => Workload) | null,
  io: CliIo,
): Promise<void> {
  for (const { seed } of failures.slice(0, shrunkMax)) {
    const again = await simulate({
      ...shapeOf(seed),
      ...workloadFrom(makeWorkload),
      ...shapeFrom(parsed, seed),
      seed,
    });
    if (again.violation !== null) await sayFailure(again, parsed, makeWorkload, io);
  }
}

/** A scenario leaves most things out on purpose, and says itself what must have happened. */
function missingOf(parsed: Arguments): MissingSights {
  if (wantsSights(parsed)) return missingSights;
  const { sights = [] } = (parsed.scenario === null ? undefined : scenarios[parsed.scenario]) ?? {};
  return (seen, seeds) => (seeds < seedsForSights ? [] : sights.filter((sight) => !seen.has(sight)));
}

function wantsSights({ calm, scenario }: Arguments): boolean {
  return !calm && scenario === null;
}

function saySpeed(
  result: {
    readonly simulatedMs: number;
    readonly realMs: number;
    readonly events: number;
    readonly acknowledged: number;
  },
  cpuMs: number,
  io: CliIo,
): void {
  const { simulatedMs, realMs, events, acknowledged } = result;
  // Calls are what a simulation is made of: without their number a speed says nothing.
  const load = acknowledged / (simulatedMs / 1000);
  io.print(`load: ${load.toFixed(1)} calls acknowledged in each simulated second`);
  io.print(`${Math.round(simulatedMs / cpuMs)} simulated seconds per second of processor time`);
  io.print(`${Math.round(simulatedMs / realMs)} times faster than real time`);
  io.print(`${Math.round((events / realMs) * 1000)} events per second`);
}

function sayCoverage(sights: ReadonlyMap<string, number>, io: CliIo): void {
  for (const [sight, times] of [...sights].sort(byName)) io.print(`  ${String(times).padStart(9)}  ${sight}`);
}

function sayBroken(seed: number, parsed: Arguments, message: string, io: CliIo): void {
  io.print(`seed ${seed} failed: ${message}`);
  const shape = Object.entries({ nodes: parsed.nodes, groups: parsed.groups, workload: parsed.workload })
    .flatMap(([name, value]) => (value === null ? [] : [` --${name} ${value}`]))
    .join('');
  const seconds = parsed.seconds === defaultSeconds ? '' : ` --seconds ${parsed.seconds}`;
  const calm = `${parsed.calm ? ' --calm' : ''}${parsed.scenario === null ? '' : ` --scenario ${parsed.scenario}`}`;
  io.print(`  replay it: npm run sim -- --seed ${seed}${shape}${seconds}${calm} --trace trace.json`);
}

const byName = ([left]: readonly [string, number], [right]: readonly [string, number]): number =>
  left < right ? -1 : 1;

async function sayFailure(
  result: SimulationResult,
  parsed: Arguments,
  makeWorkload: (() => Workload) | null,
  io: CliIo,
): Promise<void> {
  const files: FailureFiles = {
    out: parsed.out,
    workload: parsed.workload,
    scenario: parsed.scenario,
    shrink: parsed.shrink,
  };
  const shape = { ...shapeOf(result.seed), ...shapeFrom(parsed, result.seed) };
  const surroundings = (): CaseSurroundings => surroundingsOf(parsed, result.seed);
  await writeFailure(result, { shape, surroundings, makeWorkload: makeWorkload ?? registerWorkload, files }, io);
}

function workloadFrom(makeWorkload: (() => Workload) | null): { readonly workload?: Workload } {
  return makeWorkload === null ? {} : { workload: makeWorkload() };
}

type Shape = Omit<SimulationOptions, 'seed' | 'seconds'> & { readonly seconds: number };

function shapeFrom(parsed: Arguments, seed: number): Shape {
  const scenario = parsed.scenario === null ? undefined : scenarios[parsed.scenario];
  if (scenario !== undefined) return { seconds: parsed.seconds, ...scenario.options(seed) };
  return {
    seconds: parsed.seconds,
    ...(parsed.calm ? { faults: {}, clients: { count: 4, thinkMsMax: 800 } } : {}),
    ...(parsed.nodes === null ? {} : { nodes: parsed.nodes }),
    ...(parsed.groups === null ? {} : { groups: parsed.groups }),
  };
}

function surroundingsOf(parsed: Arguments, seed: number): CaseSurroundings {
  const { clients, checkers, host, fragile } = shapeFrom(parsed, seed);
  return {
    ...(clients === undefined ? {} : { clients }),
    ...(checkers === undefined ? {} : { checkers }),
    ...(host === undefined ? {} : { host }),
    ...(fragile === undefined ? {} : { fragile }),
  };
}

const defaultSeconds = 60;
const numbers = new Set(['seed', 'seeds', 'from', 'minutes', 'workers', 'worker', 'nodes', 'groups', 'seconds']);
const counts = new Set(['seeds', 'workers', 'nodes', 'groups']);
const texts = new Set(['scenario', 'trace', 'workload', 'history', 'replay', 'out']);
const flags = new Set(['twice', 'calm', 'no-shrink']);

/** The arguments, or what is wrong with them; empty when help was asked for. */
function parse(args: readonly string[]): Arguments | string {
  const given = new Map<string, string>();
  for (let at = 0; at < args.length; at += 1) {
    const name = (args[at] as string).replace(/^--/, '');
    if (name === 'help' || name === '-h') return '';
    if (flags.has(name)) given.set(name, '');
    else if (numbers.has(name) || texts.has(name)) {
      at += 1;
      const value = args[at];
      const least = counts.has(name) ? 1 : 0;
      const valid = value !== undefined && (texts.has(name) || (Number(value) >= least && value !== ''));
      if (!valid) return `--${name} needs ${texts.has(name) ? 'a value' : `a number of at least ${least}`}`;
      given.set(name, value);
    } else return `unknown option ${args[at]}`;
  }
  const scenario = given.get('scenario');
  if (scenario !== undefined && scenarios[scenario] === undefined) return `there is no scenario ${scenario}`;
  const number = (name: string): number | null => (given.has(name) ? Number(given.get(name)) : null);
  return {
    seed: number('seed'),
    seeds: number('seeds') ?? 100,
    from: number('from') ?? 1,
    scenario: given.get('scenario') ?? null,
    minutes: number('minutes'),
    workers: number('workers') ?? 1,
    worker: number('worker'),
    given: args,
    nodes: number('nodes'),
    groups: number('groups'),
    seconds: number('seconds') ?? defaultSeconds,
    trace: given.get('trace') ?? null,
    workload: given.get('workload') ?? null,
    twice: given.has('twice'),
    history: given.get('history') ?? null,
    replay: given.get('replay') ?? null,
    out: given.get('out') ?? '.',
    shrink: !given.has('no-shrink'),
    calm: given.has('calm'),
  };
}
