import type { SimulationCase } from './case.ts';

export interface Gap {
  readonly fromMs: number;
  readonly byMs: number;
}

/** A cluster needs this long to elect its first leader. */
const startMs = 1500;
const restMs = 400;

/** The stretches of a run in which nothing is done to it, longest first, and by how much each can be shortened. */
export function gapsOf({ schedule, calls, seconds }: SimulationCase): Gap[] {
  const endMs = seconds * 1000;
  const moments = [
    0,
    ...schedule.flatMap(({ atMs, forMs }) => [atMs, Math.min(atMs + forMs, endMs)]),
    ...(calls ?? []).map(({ atMs }) => atMs),
    endMs,
  ].sort((left, right) => left - right);
  const gaps: Gap[] = [];
  for (let at = 1; at < moments.length; at += 1) {
    const fromMs = moments[at - 1] as number;
    const byMs = (moments[at] as number) - fromMs - (fromMs === 0 ? startMs : restMs);
    if (byMs > 0) gaps.push({ fromMs, byMs });
  }
  return gaps.sort((left, right) => right.byMs - left.byMs);
}

/** The same run with those gaps shortened. */
export function closed(one: SimulationCase, gaps: readonly Gap[]): SimulationCase {
  const earlier = (atMs: number): number =>
    gaps.reduce((sum, { fromMs, byMs }) => (atMs > fromMs ? sum - byMs : sum), atMs);
  return {
    ...one,
    seconds: earlier(one.seconds * 1000) / 1000,
    schedule: one.schedule.map((fault) => ({ ...fault, atMs: earlier(fault.atMs) })),
    calls: one.calls?.map((call) => ({ ...call, atMs: earlier(call.atMs) })) ?? null,
  };
}
