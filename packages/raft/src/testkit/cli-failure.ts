import { type CaseSurroundings, type SimulationCase, decodeCase } from './shrink/case.ts';
import type { SimulationResult } from './simulation.ts';
import { account, explain } from './story/failure.ts';
import { cutDown } from './story/story.ts';
import { encodeTrace } from './story/trace.ts';
import type { Workload } from './workload.ts';

interface Io {
  print(line: string): void;
  writeFile(path: string, text: string): void;
  readFile(path: string): string;
}

/** Where a failure is written, and how it was asked for. */
export interface FailureFiles {
  readonly out: string;
  readonly workload: string | null;
  readonly scenario: string | null;
  readonly shrink: boolean;
}

/** Cuts a failing run down, writes what is left of it as case, story and trace, and says how to replay it. */
export async function writeFailure(
  result: SimulationResult,
  failing: {
    readonly shape: { readonly nodes: number; readonly groups: number; readonly seconds: number };
    /** New for every run. */
    readonly surroundings: () => CaseSurroundings;
    readonly makeWorkload: () => Workload;
    readonly files: FailureFiles;
  },
  io: Io,
): Promise<void> {
  const { shape, makeWorkload, files } = failing;
  const workloadName = makeWorkload().name;
  const surroundings = (): CaseSurroundings => ({ ...failing.surroundings(), workload: makeWorkload() });
  const limits = files.shrink ? {} : { triesMax: 0 };
  const { shrunk, replay, story, trace } = await explain(
    result,
    { nodes: shape.nodes, groups: shape.groups, seconds: shape.seconds, workloadName },
    surroundings,
    limits,
  );
  const name = `${files.out === '.' ? '' : `${files.out}/`}sim-seed-${result.seed}`;
  io.writeFile(`${name}.case.json`, replay);
  io.writeFile(`${name}.story.txt`, story);
  io.writeFile(`${name}.trace.json`, encodeTrace(trace));
  io.print(`seed ${result.seed}: ${cutDown(shrunk)}`);
  io.print(`  the story: ${name}.story.txt, the trace: ${name}.trace.json`);
  const workload = files.workload === null ? '' : ` --workload ${files.workload}`;
  const scenario = files.scenario === null ? '' : ` --scenario ${files.scenario}`;
  io.print(`  replay it: npm run sim -- --replay ${name}.case.json${workload}${scenario}`);
}

/** Runs a case again. Exit code 1 when it breaks a promise, 2 when it cannot be run. */
export async function replayCase(
  asked: {
    readonly path: string;
    readonly trace: string | null;
    readonly makeWorkload: () => Workload;
    /** What a scenario has around its cases. */
    readonly surroundings: (seed: number) => CaseSurroundings;
  },
  io: Io,
): Promise<number> {
  const workload = asked.makeWorkload();
  let one: SimulationCase;
  try {
    one = decodeCase(io.readFile(asked.path));
  } catch (cause) {
    io.print(`${asked.path}: ${cause instanceof Error ? cause.message : String(cause)}`);
    return 2;
  }
  if (one.workload !== workload.name) {
    io.print(`${asked.path} is a case of the workload ${one.workload}, not ${workload.name}: name it with --workload`);
    return 2;
  }
  const { result, story, trace } = await account(one, { ...asked.surroundings(one.seed), workload });
  if (asked.trace !== null) io.writeFile(asked.trace, encodeTrace(trace));
  for (const line of story.trimEnd().split('\n')) io.print(line);
  io.print(`hash ${result.hash}`);
  return result.violation === null ? 0 : 1;
}
