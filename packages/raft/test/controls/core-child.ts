import { runSeed } from '../unit/random.ts';
import { retell } from '../unit/script.ts';
import type { Ordeal } from './control.ts';
import type { Finding, Outcome, Task } from './runner.ts';

// The same as child.ts for cores without hosts: a small file, built in no time.

const { ordeal, seeds, story } = JSON.parse(process.argv[2] as string) as Task;

let found: Finding | null = null;
if (story !== null) found = told(story);
else {
  for (const seed of seeds) {
    found = judged(seed, ordeal.core);
    if (found !== null) break;
  }
}
const outcome: Outcome = { found, cpuMs: process.cpuUsage().user / 1000 };
process.stdout.write(JSON.stringify(outcome));

/** A cluster of cores without hosts: quick, and with more chance in it than hosts allow. */
function judged(seed: number, kind: Ordeal['core']): Finding | null {
  try {
    runSeed(seed, typeof kind === 'object' ? { leases: kind } : { leases: kind === 'leases' });
    return null;
  } catch (error) {
    return broken(seed, error);
  }
}

/** A trace that is told otherwise, or cannot be told to its end. */
function told(story: string): Finding | null {
  try {
    const lines = retell(story).split('\n');
    const at = story.split('\n').findIndex((line, place) => line !== lines[place]);
    if (at < 0) return null;
    return { seed: 0, atMs: 0, promise: 'Trace', message: `line ${at + 1} is told as: ${lines[at]}` };
  } catch (error) {
    return broken(0, error);
  }
}

/** Promises of the cluster of cores are assertions: "Promise: what holds". */
function broken(seed: number, error: unknown): Finding {
  const message = error instanceof Error ? error.message : String(error);
  const promise = /^\w+(?=:)/.exec(message)?.[0] ?? 'Assertion';
  return { seed, atMs: 0, promise, message };
}
