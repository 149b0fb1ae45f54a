import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Edit, Ordeal } from './control.ts';
import type { PatchedBuilds } from './patched-build.ts';

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
export async function runPatched(
  builds: PatchedBuilds,
  bug: { readonly edits: readonly Edit[]; readonly seeds: number; readonly ordeal?: Ordeal },
  child: string = fileURLToPath(new URL('child.mjs', import.meta.url)),
): Promise<Outcome> {
  const build = builds.build(bug.edits);
  try {
    return JSON.parse(
      await output(process.execPath, [child, build, JSON.stringify({ ordeal: bug.ordeal ?? {}, seeds: bug.seeds })]),
    ) as Outcome;
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
