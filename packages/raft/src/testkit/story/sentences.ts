import type { TraceEvent } from './trace.ts';

type Tell = (event: TraceEvent) => string | null;

const text = (event: TraceEvent, name: string): string => String(event[name]);
const list = (event: TraceEvent, name: string): readonly unknown[] => event[name] as readonly unknown[];
const number = (event: TraceEvent, name: string): number => event[name] as number;

/** "n1, n2 and n3". */
export function enumerated(items: readonly unknown[]): string {
  const words = items.map(String);
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}

const percent = (rate: number): string => `${Math.max(1, Math.round(rate * 100))} %`;

/** Faults that are not told by what they do to a node. */
const weathers: Readonly<Record<string, string>> = {
  slowNetwork: 'The network becomes slow.',
  messageLoss: 'Single messages get lost.',
  messageChaos: 'Messages are doubled, held back and reordered.',
  resets: 'Connections break in the middle.',
  refusals: 'New connections are refused.',
};

const troubles: readonly (readonly [name: string, tell: (value: number, event: TraceEvent) => string])[] = [
  [
    'syncMsMax',
    (value, event) => `takes ${Math.round(number(event, 'syncMsMin'))} to ${Math.round(value)} ms for a sync`,
  ],
  ['syncHeldUntilMs', (value) => `answers no sync until ${seconds(value)}`],
  ['syncErrorRate', (rate) => `fails ${percent(rate)} of all syncs`],
  ['writeErrorRate', (rate) => `fails ${percent(rate)} of all writes`],
  ['readErrorRate', (rate) => `fails ${percent(rate)} of all reads`],
  ['shortWriteRate', (rate) => `writes less than it was asked in ${percent(rate)} of all cases`],
  ['capacityBytes', () => 'is full'],
];

function trouble(event: TraceEvent): string {
  const said = troubles.filter(([name]) => name in event).map(([name, tell]) => tell(number(event, name), event));
  return `The disk of ${event.node} ${said.join(' and ')}.`;
}

function range(event: TraceEvent): string {
  const from = number(event, 'from');
  const to = number(event, 'to');
  const calls = list(event, 'calls');
  const of = calls.length === 0 ? '' : ` (call${calls.length > 1 ? 's' : ''} ${enumerated(calls)})`;
  return `${from === to ? `entry ${from}` : `entries ${from} to ${to}`} of group ${text(event, 'group')}${of}`;
}

function answer(event: TraceEvent): string {
  const id = text(event, 'id');
  const code = text(event, 'code');
  switch (event['outcome']) {
    case 'ok': {
      const where =
        event['call'] === 'write'
          ? `acknowledged at index ${text(event, 'index')}`
          : `from the state of index ${text(event, 'index')}`;
      return `${event.node} answers call ${id}: ${text(event, 'text')}, ${where}.`;
    }
    case 'refused':
      return `${event.node} refuses call ${id} with ${code}: it will never be applied.`;
    case 'failed':
      return `Call ${id} gets no answer (${code}).`;
    default:
      return `The outcome of call ${id} stays unknown to its client (${code}).`;
  }
}

function role(event: TraceEvent): string | null {
  const at = `group ${text(event, 'group')} in term ${text(event, 'term')}`;
  if (event['role'] === 'leader')
    return `${event.node} leads ${at}, with the votes of ${enumerated(list(event, 'votes'))}.`;
  return event['role'] === 'candidate' ? `${event.node} asks for votes to lead ${at}.` : null;
}

function cut(event: TraceEvent): string {
  const from = enumerated(list(event, 'from'));
  const to = enumerated(list(event, 'to'));
  return event['bothWays'] === true
    ? `The network is cut between ${from} and ${to}.`
    : `Nothing from ${from} reaches ${to} any more.`;
}

function mended(event: TraceEvent): string {
  const from = enumerated(list(event, 'from'));
  const to = enumerated(list(event, 'to'));
  return event['bothWays'] === true ? `${from} and ${to} are joined again.` : `${to} hears ${from} again.`;
}

const tellers: Readonly<Record<string, Tell>> = {
  start: ({ node }) => `${node} starts.`,
  up: ({ node }) => `${node} is up.`,
  stopping: ({ node }) => `${node} is asked to stop.`,
  startFailed: (event) => `${event.node} does not start (${text(event, 'code')}).`,
  down: (event) => (event['cause'] === 'power' ? `${event.node} loses power.` : `${event.node} goes down.`),
  paused: ({ node }) => `${node} stands still.`,
  suspended: ({ node }) => `${node} is suspended, and its clock with it.`,
  resumed: ({ node }) => `${node} goes on.`,
  fault: (event) => weathers[text(event, 'fault')] ?? null,
  faultEnd: (event) => (text(event, 'fault') in weathers ? `That is over (${text(event, 'fault')}).` : null),
  cut,
  mended,
  diskTroubled: trouble,
  diskWell: ({ node }) => `The disk of ${node} is well again.`,
  diskWiped: ({ node }) => `The disk of ${node} is replaced by an empty one.`,
  bitFlipped: (event) => `A bit flips on the disk of ${event.node}, in ${text(event, 'path')}.`,
  clockDrift: (event) => `The clock of ${event.node} runs ${(number(event, 'drift') * 100).toFixed(2)} % off.`,
  wallClockStep: (event) => `The wall clock of ${event.node} jumps by ${seconds(number(event, 'byMs'))}.`,
  role,
  observed: (event) =>
    event['type'] === 'StepDown'
      ? `${event.node} leads group ${text(event, 'group')} no longer: ${text(event, 'reason')}.`
      : event['type'] === 'DiskFailed' || event['type'] === 'GroupHalted'
        ? `${event.node} gives up: ${text(event, 'message')}.`
        : null,
  logCut: (event) => `${event.node} no longer has ${range(event)}.`,
  committed: (event) =>
    `${event.node} is the first to take call ${text(event, 'call')} for committed, at index ${text(event, 'index')} of group ${text(event, 'group')}.`,
  call: (event) => {
    const who = number(event, 'client') < 0 ? 'The last check' : `Client ${text(event, 'client')}`;
    return `${who} asks ${event.node}: ${text(event, 'text')} (call ${text(event, 'id')}, group ${text(event, 'group')}).`;
  },
  answer,
  violation: (event) => `HERE IT BREAKS. ${text(event, 'message')}`,
};

/** The event in a sentence, or null when it is not worth one. */
export function sentenceOf(event: TraceEvent): string | null {
  return tellers[event.kind]?.(event) ?? null;
}
