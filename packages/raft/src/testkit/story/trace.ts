import type { SimulationResult } from '../simulation.ts';
import type { TraceLine } from '../timeline.ts';
import type { Workload } from '../workload.ts';

/** Something that happened. `kind` says what else it has: see docs/simulator.md. */
export interface TraceEvent {
  readonly atMs: number;
  /** Empty for what happens to no node, or to all. */
  readonly node: string;
  readonly kind: string;
  readonly [name: string]: unknown;
}

export interface Trace {
  readonly format: 'nori-raft-trace';
  readonly version: 1;
  readonly seed: number;
  readonly hash: string;
  readonly nodes: readonly string[];
  readonly groups: readonly number[];
  readonly endMs: number;
  readonly violation: { readonly promise: string; readonly message: string; readonly atMs: number } | null;
  readonly schedule: SimulationResult['schedule'];
  readonly events: readonly TraceEvent[];
}

/** Lines whose name differs from the kind of the event. */
const kinds: Readonly<Record<string, string>> = {
  starts: 'start',
  'is up': 'up',
  'is asked to stop': 'stopping',
  'does not start': 'startFailed',
  'log cut': 'logCut',
  'disk troubled': 'diskTroubled',
  'disk well': 'diskWell',
  'disk wiped': 'diskWiped',
  'bit flipped': 'bitFlipped',
  'clock drifts': 'clockDrift',
  'wall clock stepped': 'wallClockStep',
};

/** A traced run as others can read it. */
export function traceOf(
  result: SimulationResult,
  shape: { readonly nodes: number; readonly groups: number; readonly workload: Workload },
): Trace {
  const { seed, hash, violation, schedule, atMs, trace } = result;
  const calls = callTexts(result, shape.workload);
  return {
    format: 'nori-raft-trace',
    version: 1,
    seed,
    hash,
    nodes: Array.from({ length: shape.nodes }, (_, place) => `n${place + 1}`),
    groups: Array.from({ length: shape.groups }, (_, at) => at + 1),
    endMs: atMs,
    violation: violation === null ? null : { promise: violation.promise, message: violation.message, atMs },
    schedule,
    events: (trace ?? []).map((line) => eventOf(line, calls)),
  };
}

/** One event per line: a trace is long, and lines can be searched. */
export function encodeTrace({ events, ...head }: Trace): string {
  const lines = events.map((event) => JSON.stringify(event)).join(',\n');
  return `${JSON.stringify(head).slice(0, -1)},"events":[\n${lines}\n]}\n`;
}

interface CallTexts {
  readonly asked: ReadonlyMap<number, string>;
  readonly answered: ReadonlyMap<number, string>;
}

/** What calls and answers say, for workloads that have words for them. */
export function callTexts({ operations }: SimulationResult, workload: Workload): CallTexts {
  const asked = new Map<number, string>();
  const answered = new Map<number, string>();
  for (const { id, kind, payload, outcome, result } of operations) {
    const call = { kind, payload };
    asked.set(id, workload.text?.(call) ?? `${kind} of ${payload.length} bytes`);
    if (outcome === 'ok') answered.set(id, workload.answerText?.(call, result) ?? `${result.length} bytes`);
  }
  return { asked, answered };
}

function eventOf({ atMs, node, what, detail }: TraceLine, texts: CallTexts): TraceEvent {
  const head = { atMs: Math.round(atMs * 1000) / 1000, node };
  const id = detail['id'] as number;
  if (what === 'write' || what === 'read')
    return { ...head, kind: 'call', call: what, ...detail, text: texts.asked.get(id) };
  const [call, outcome] = what.split(' ');
  if ((call === 'write' || call === 'read') && outcome !== undefined && 'id' in detail) {
    const text = outcome === 'ok' ? { text: texts.answered.get(id) } : {};
    return { ...head, kind: 'answer', call, outcome, ...detail, ...text };
  }
  if (what === 'crashes' || what === 'loses power') {
    return { ...head, kind: 'down', cause: what === 'crashes' ? 'crash' : 'power' };
  }
  if (what.startsWith('fault ')) return { ...head, kind: 'fault', fault: what.slice(6), ...detail };
  if (what.startsWith('end of ')) return { ...head, kind: 'faultEnd', fault: what.slice(7) };
  if (what.startsWith('disk ') && 'path' in detail)
    return { ...head, kind: 'disk', operation: what.slice(5), ...detail };
  if ('type' in detail) return { ...head, kind: 'observed', ...detail };
  return { ...head, kind: kinds[what] ?? what, ...detail };
}
