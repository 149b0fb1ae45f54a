import { readFileSync, writeFileSync } from 'node:fs';
import type { Control, Ordeal } from './control.ts';
import { PatchedBuilds } from './patched-build.ts';
import { type Finding, type Outcome, runPatched, type Task } from './runner.ts';
import { controls } from './table.ts';

const usage = `npm run controls -- [name...]: breaks the library's rules on purpose, one by one, and runs the simulator on it

  --jobs N    so many at a time (2)
  --search    tries seeds from 1 on instead of the one that found the bug last
  --record    writes down which seed found which bug
  --sound     runs the seed that finds the bug on the sound library too, which must pass
`;

/** Seeds that found the bug before: tried first. They go stale when the simulator draws anew, and are only a shortcut. */
const knownSeedsFile = new URL('known-seeds.json', import.meta.url);

interface Row {
  readonly control: Control;
  readonly outcome: Outcome | null;
  readonly problem: string | null;
}

/** Runs the controls and prints a line for each; true when every one was caught by a checker that it names. */
export async function main(args: readonly string[]): Promise<boolean> {
  const flags = new Set(args.filter((arg) => arg.startsWith('--')));
  const jobsAt = args.indexOf('--jobs');
  const jobs = jobsAt < 0 ? 2 : Number(args[jobsAt + 1]);
  const names = args.filter((arg, at) => !arg.startsWith('--') && (jobsAt < 0 || at !== jobsAt + 1));
  if (flags.has('--help')) {
    console.log(usage);
    return true;
  }
  const unknown = names.filter((name) => controls.every((control) => control.name !== name));
  if (unknown.length > 0) throw new Error(`no control is called ${unknown.join(', ')}`);
  const known = JSON.parse(readFileSync(knownSeedsFile, 'utf8')) as Record<string, number>;
  const builds = new PatchedBuilds();
  const rows: Row[] = [];
  const queue = controls.filter(({ name }) => names.length === 0 || names.includes(name));
  const work = async (): Promise<void> => {
    for (let control = queue.shift(); control !== undefined; control = queue.shift()) {
      const first = flags.has('--search') ? undefined : known[control.name];
      const row = await run(builds, control, { first, sound: flags.has('--sound') });
      rows.push(row);
      say(row);
      if (flags.has('--record')) record(known, row);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    builds.discardAll();
  }
  const caught = rows.filter(isCaught);
  const cpuMs = rows.reduce((sum, { outcome }) => sum + (outcome?.cpuMs ?? 0), 0);
  console.log(`${caught.length} of ${rows.length} caught, in ${(cpuMs / 1000).toFixed(0)} s of processor time`);
  return caught.length === rows.length;
}

async function run(
  builds: PatchedBuilds,
  control: Control,
  how: { readonly first: number | undefined; readonly sound: boolean },
): Promise<Row> {
  const { edits, ordeal = {} } = control;
  const seeds = seedsOf(control, how.first);
  try {
    const outcome = await runPatched(builds, edits, taskOf(ordeal, seeds));
    // Where clocks are as no node reckons with, the sound library promises nothing either.
    const promised = typeof ordeal.core !== 'object';
    const problem =
      how.sound && promised && outcome.found !== null ? await complaint(builds, control, outcome.found) : null;
    return { control, outcome, problem };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { control, outcome: null, problem: `Mend the control "${control.name}" in test/controls: ${message}` };
  }
}

/** The one that found it last, then all that are allowed. */
export function seedsOf({ seeds }: Pick<Control, 'seeds'>, first: number | undefined): number[] {
  const all = Array.from({ length: seeds }, (_, at) => at + 1);
  return first === undefined || first < 1 ? all : [first, ...all];
}

export function taskOf(ordeal: Ordeal, seeds: readonly number[]): Task {
  const { trace } = ordeal;
  const story = trace === undefined ? null : readFileSync(new URL(`../traces/${trace}.txt`, import.meta.url), 'utf8');
  return { ordeal, seeds, story };
}

const soundRuns = new Map<string, Promise<Outcome>>();

/** What the sound library does wrong under the same ordeal, or null: a control that fails without its bug shows nothing. */
async function complaint(builds: PatchedBuilds, { ordeal = {} }: Control, { seed }: Finding): Promise<string | null> {
  const key = JSON.stringify([ordeal, seed]);
  let run = soundRuns.get(key);
  if (run === undefined) {
    run = runPatched(builds, [], taskOf(ordeal, [seed]));
    soundRuns.set(key, run);
  }
  const { found } = await run;
  return found === null ? null : `without the bug, too: ${found.message}`;
}

function isCaught({ control, outcome, problem }: Row): boolean {
  return problem === null && outcome?.found != null && control.caughtBy.test(outcome.found.promise);
}

function say(row: Row): void {
  const { control, outcome, problem } = row;
  const { found = null, cpuMs = 0 } = outcome ?? {};
  const by = found?.promise ?? (problem === null ? `nothing in ${control.seeds} seeds` : 'the control itself');
  const where = found === null ? '' : `seed ${found.seed}`;
  console.log(
    `${isCaught(row) ? 'caught' : 'MISSED'}  ${control.name.padEnd(36)} ${by.padEnd(24)} ${where.padEnd(10)} ${(cpuMs / 1000).toFixed(1)} s`,
  );
  if (!isCaught(row)) console.log(`        ${control.bug}\n        ${problem ?? found?.message ?? ''}`);
}

/** At once: a run that is stopped has found something all the same. */
function record(known: Record<string, number>, row: Row): void {
  const { name } = row.control;
  if (isCaught(row)) known[name] = row.outcome?.found?.seed as number;
  else delete known[name];
  const ours = controls.filter(({ name }) => known[name] !== undefined).map(({ name }) => [name, known[name]]);
  writeFileSync(knownSeedsFile, `${JSON.stringify(Object.fromEntries(ours), null, 2)}\n`);
}
