import { fileURLToPath } from 'node:url';
import type { Control } from './control.ts';
import { PatchedBuilds } from './patched-build.ts';
import { type Outcome, runPatched } from './runner.ts';
import { controls } from './table.ts';

const usage = 'npm run sim:controls -- [name...] [--jobs N]: breaks each rule on purpose and runs the simulator on it';

interface Row {
  readonly control: Control;
  readonly outcome: Outcome | null;
  readonly problem: string | null;
}

/** Runs the controls and prints a line for each; true when every one was caught by a checker that it names. */
export async function main(args: readonly string[], package_: string): Promise<boolean> {
  const jobsAt = args.indexOf('--jobs');
  const jobs = jobsAt < 0 ? 2 : Number(args[jobsAt + 1]);
  const names = args.filter((arg, at) => !arg.startsWith('--') && (jobsAt < 0 || at !== jobsAt + 1));
  if (args.includes('--help')) {
    console.log(usage);
    return true;
  }
  const wanted = controls.filter(({ name }) => names.length === 0 || names.includes(name));
  const builds = new PatchedBuilds(fileURLToPath(new URL('src/', package_)));
  const child = fileURLToPath(new URL('test/controls/child.mjs', package_));
  const rows: Row[] = [];
  const queue = [...wanted];
  const work = async (): Promise<void> => {
    for (let control = queue.shift(); control !== undefined; control = queue.shift()) {
      const row = await run(builds, control, child);
      rows.push(row);
      say(row);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    builds.discardAll();
  }
  const caught = rows.filter(isCaught);
  console.log(`${caught.length} of ${rows.length} caught`);
  return caught.length === rows.length;
}

async function run(builds: PatchedBuilds, control: Control, child: string): Promise<Row> {
  try {
    return { control, outcome: await runPatched(builds, control, child), problem: null };
  } catch (error) {
    return { control, outcome: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

function isCaught({ control, outcome }: Row): boolean {
  return outcome?.found != null && control.caughtBy.test(outcome.found.promise);
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
