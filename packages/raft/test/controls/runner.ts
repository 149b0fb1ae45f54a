import { spawn } from 'node:child_process';
import type { Edit, Ordeal } from './control.ts';
import type { PatchedBuilds } from './patched-build.ts';

/** What a process of the patched build is to do: these seeds, in this order, until one breaks a promise. */
export interface Task {
  readonly ordeal: Ordeal;
  readonly seeds: readonly number[];
  /** The text of a trace to be told instead, or null. */
  readonly story: string | null;
}

export interface Finding {
  readonly seed: number;
  readonly atMs: number;
  readonly promise: string;
  readonly message: string;
}

export interface Outcome {
  readonly found: Finding | null;
  /** What it took, in ms of one processor. */
  readonly cpuMs: number;
}

/** Longer than any control should take: a bug may also make the simulation never end. */
const hungMs = 900_000;

/** Runs the seeds of a patched build in a process of its own, until a promise is broken. */
export async function runPatched(builds: PatchedBuilds, edits: readonly Edit[], task: Task): Promise<Outcome> {
  const { core, trace } = task.ordeal;
  const whole = core === undefined && trace === undefined;
  const build = await builds.build(whole ? 'child.ts' : 'core-child.ts', edits);
  try {
    return JSON.parse(await output(process.execPath, [build, JSON.stringify(task)])) as Outcome;
  } finally {
    builds.discard(build);
  }
}

function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: hungMs });
    let said = '';
    let complained = '';
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      complained += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(said);
      else reject(new Error(`the simulation ended with ${code ?? 'a signal'}: ${complained.slice(-2000)}`));
    });
  });
}
