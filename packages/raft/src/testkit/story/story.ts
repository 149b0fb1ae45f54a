import type { ClientOperation } from '../operation.ts';
import type { Shrunk, Size } from '../shrink/shrink.ts';
import type { SimulationResult } from '../simulation.ts';
import type { Recorder } from './recorder.ts';
import { enumerated, seconds, sentenceOf } from './sentences.ts';
import type { Trace, TraceEvent } from './trace.ts';

/** Longer stories are told from their end. */
const sentencesMax = 400;

export interface StoryParts {
  readonly trace: Trace;
  readonly result: SimulationResult;
  readonly recorder: Recorder;
  readonly shrunk: Shrunk | null;
}

/** A run for people: what broke, what happened in which order, and what became of what clients were told. */
export function storyOf(parts: StoryParts): string {
  const { trace, shrunk } = parts;
  const { violation } = trace;
  return [
    violation === null ? `Seed ${trace.seed}: every promise was kept.` : `Seed ${trace.seed}: ${violation.message}`,
    '',
    ...(shrunk === null ? [] : [cutDown(shrunk), '']),
    ...told(trace.events),
    '',
    ...summary(parts),
    '',
  ].join('\n');
}

export function sizeText({ nodes, groups, faults, calls, seconds: long }: Size): string {
  const count = (number: number, one: string): string => `${number} ${one}${number === 1 ? '' : 's'}`;
  const sizes = [count(nodes, 'node'), count(groups, 'group'), count(faults, 'fault'), count(calls, 'call')];
  return `${sizes.join(', ')}, ${Number(long.toFixed(1))} s`;
}

export function cutDown({ before, after, tries }: Shrunk): string {
  return `Cut down from ${sizeText(before)} to ${sizeText(after)}, in ${tries} runs.`;
}

function told(events: readonly TraceEvent[]): string[] {
  const lines: { readonly atMs: number; readonly sentence: string }[] = [];
  for (const group of together(events)) {
    const [first] = group as [TraceEvent];
    const sentence = sentenceOf({ ...first, node: enumerated(group.map(({ node }) => node)) });
    if (sentence !== null) lines.push({ atMs: first.atMs, sentence: group.length > 1 ? plural(sentence) : sentence });
  }
  const left = lines
    .slice(-sentencesMax)
    .map(({ atMs, sentence }) => `${seconds(atMs).padStart(10)}  ${indented(sentence)}`);
  return lines.length > sentencesMax
    ? [`(${lines.length - sentencesMax} sentences before these are left out)`, ...left]
    : left;
}

/** What happens to several nodes in the same way, one after the other, is told once. */
const shared: ReadonlySet<string> = new Set(['start', 'up', 'down', 'paused', 'suspended', 'resumed']);

function together(events: readonly TraceEvent[]): TraceEvent[][] {
  const groups: TraceEvent[][] = [];
  for (const event of events) {
    if (sentenceOf(event) === null) continue;
    const last = groups.at(-1);
    const [first] = last ?? [];
    const joins =
      first?.kind === event.kind &&
      shared.has(event.kind) &&
      first['cause'] === event['cause'] &&
      event.atMs - first.atMs < 50 &&
      last?.every(({ node }) => node !== event.node) === true;
    if (joins) last.push(event);
    else groups.push([event]);
  }
  return groups;
}

function plural(sentence: string): string {
  return sentence
    .replace(' starts.', ' start.')
    .replace(' is up.', ' are up.')
    .replace(' goes ', ' go ')
    .replace(' loses ', ' lose ')
    .replace(' stands ', ' stand ')
    .replace(/ is suspended, .*/, ' are suspended.');
}

function indented(sentence: string): string {
  return sentence.replaceAll('\n', `\n${' '.repeat(12)}`);
}

function summary({ trace, result, recorder }: StoryParts): string[] {
  const { operations } = result;
  const writes = operations.filter(({ kind }) => kind === 'write');
  const of = (outcome: ClientOperation['outcome']): readonly ClientOperation[] =>
    writes.filter((one) => one.outcome === outcome);
  const majority = Math.floor(trace.nodes.length / 2) + 1;
  const lines = [
    `Writes: ${of('ok').length} acknowledged, ${of('refused').length} refused for certain, ${of('unknown').length} unknown to their clients, ${of('pending').length} without an answer.`,
  ];
  for (const write of of('ok')) {
    const holders = recorder.holders(write, trace.nodes);
    if (holders.length >= majority) continue;
    const where = holders.length === 0 ? 'no log has it' : `only the log of ${enumerated(holders)} has it`;
    lines.push(`Call ${write.id} was acknowledged at index ${write.index}, and at the end ${where}.`);
  }
  return lines;
}
