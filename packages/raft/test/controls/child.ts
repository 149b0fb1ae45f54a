import { shapeOf } from '../../src/testkit/campaign.ts';
import { SteadyChecker } from '../../src/testkit/checkers/steady-checker.ts';
import type { Fault, FaultKind } from '../../src/testkit/faults.ts';
import type { ScriptedCall } from '../../src/testkit/operation.ts';
import { scenarios } from '../../src/testkit/scenarios.ts';
import { simulate } from '../../src/testkit/simulation.ts';
import type { Workload } from '../../src/testkit/workload.ts';
import kvWorkload from '../../../kv/src/simulation/kv-workload.ts';
import type { Ordeal } from './control.ts';
import type { Finding, Outcome, Task } from './runner.ts';

// Bundled with the library, patched, into one file: runs whole hosts until a seed is found to break a promise, and prints it.

const { ordeal, seeds } = JSON.parse(process.argv[2] as string) as Task;

let found: Finding | null = null;
for (const seed of seeds) {
  found = await judged(seed, ordeal);
  if (found !== null) break;
}
const outcome: Outcome = { found, cpuMs: process.cpuUsage().user / 1000 };
process.stdout.write(JSON.stringify(outcome));

async function judged(
  seed: number,
  { steady, schedule, bursts, workload, scenario, ...options }: Ordeal,
): Promise<Finding | null> {
  const { violation, atMs } = await simulate({
    ...shapeOf(seed),
    ...(scenario === undefined ? {} : scenarios[scenario]?.options(seed)),
    ...options,
    ...(workload === 'kv' ? { workload: keyValues() } : {}),
    ...(schedule === undefined ? {} : { schedule: schedule.map((fault) => faultOf(seed, fault)) }),
    ...(bursts === undefined ? {} : { clients: { script: bursts.flatMap(callsOf), count: 0 } }),
    ...(steady === undefined ? {} : { checkers: [new SteadyChecker(steady)] }),
    seed,
  });
  return violation === null ? null : { seed, atMs, promise: violation.promise, message: violation.message };
}

/** Its types are those of the built library; what runs is the patched one. */
function keyValues(): Workload {
  const workload: unknown = kvWorkload();
  return workload as Workload;
}

function faultOf(seed: number, { kind, atMs, forMs }: NonNullable<Ordeal['schedule']>[number]): Fault {
  return { kind: kind as FaultKind, atMs, forMs, seed };
}

function callsOf({ atMs, writes }: NonNullable<Ordeal['bursts']>[number]): ScriptedCall[] {
  return Array.from({ length: writes * 3 }, (_, at) => {
    const payload = new Uint8Array([1, at % 6, at, 0, 0, 0]);
    return { atMs, client: at, group: 1, place: at % 3, kind: 'write', payload, forward: false };
  });
}
