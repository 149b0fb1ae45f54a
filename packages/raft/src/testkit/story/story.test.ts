import { describe, expect, test } from 'vitest';
import type { RaftState } from '../../core/state.ts';
import { entry, EntryKind } from '../../core/types.ts';
import { sealCommand } from '../operation.ts';
import { registerWorkload } from '../register-workload.ts';
import type { SimulationCase } from '../shrink/case.ts';
import { simulate } from '../simulation.ts';
import { Violation } from '../violation.ts';
import { account } from './failure.ts';
import { LogMirror } from './log-mirror.ts';
import { enumerated, sentenceOf } from './sentences.ts';
import { encodeTrace } from './trace.ts';

const payload = new Uint8Array([1, 4, 9, 0, 0, 0]);
const call = { client: 0, group: 1, kind: 'write', payload } as const;
/** A leader is cut off and powered down, and everybody is asked all the time. */
const partition: SimulationCase = {
  seed: 5,
  nodes: 3,
  groups: 1,
  seconds: 6,
  schedule: [
    { kind: 'isolate', atMs: 2000, forMs: 2000, seed: 3 },
    { kind: 'powerCutAll', atMs: 4500, forMs: 300, seed: 4 },
  ],
  calls: Array.from({ length: 15 }, (_, at) => ({ ...call, atMs: 1000 + at * 100, place: at % 3 })),
  workload: 'registers',
  promise: 'Test',
};

describe('a story', () => {
  test('tells who led, what was cut, who went down and what clients were told, with times and nodes', async () => {
    const { story } = await account(partition, { workload: registerWorkload() });
    expect(story).toMatch(/^ +\d\.\d{3} s {2}n\d leads group 1 in term \d+, with the votes of n\d(, n\d)? and n\d\.$/m);
    expect(story).toMatch(/^ +2\.000 s {2}The network is cut between n\d and n\d and n\d\.$/m);
    expect(story).toMatch(/^ +4\.000 s {2}n\d and n\d and n\d are joined again\.$/m);
    expect(story).toMatch(/^ +4\.500 s {2}n\d, n\d and n\d lose power\.$/m);
    expect(story).toMatch(/Client 0 asks n1: set r4 9 \(call \d+, group 1\)\./);
    expect(story).toMatch(/n\d answers call \d+: 9 \(version \d+\), acknowledged at index \d+\./);
    expect(story).toMatch(/^Writes: \d+ acknowledged, \d+ refused for certain/m);
  });

  test('tells what broke, at its end and in its first line', async () => {
    const checkers = [
      {
        name: 'test',
        onAck: () => {
          throw new Violation('Test', 'somebody was answered');
        },
      },
    ];
    const { story, trace } = await account(partition, { workload: registerWorkload(), checkers });
    expect(story.split('\n')[0]).toContain('Test: somebody was answered');
    expect(story).toContain('HERE IT BREAKS. Test: somebody was answered');
    expect(trace.violation?.promise).toBe('Test');
  });
});

test('a trace has everything a replay shows, and being looked at changes nothing', async () => {
  const surroundings = { workload: registerWorkload() };
  const { trace, result } = await account(partition, surroundings);
  const { seed, nodes, seconds, schedule, calls } = partition;
  const unseen = await simulate({ seed, nodes, seconds, schedule, clients: { script: calls ?? [] }, ...surroundings });
  expect(unseen.hash).toBe(result.hash);
  const read = JSON.parse(encodeTrace(trace)) as typeof trace;
  expect(read.format).toBe('nori-raft-trace');
  expect(read.nodes).toEqual(['n1', 'n2', 'n3']);
  const kinds = new Set(read.events.map(({ kind }) => kind));
  const wanted = [
    'role',
    'message',
    'commit',
    'applied',
    'committed',
    'fault',
    'cut',
    'mended',
    'call',
    'answer',
    'down',
  ];
  expect(wanted.filter((kind) => !kinds.has(kind))).toEqual([]);
  const times = read.events.map(({ atMs }) => atMs);
  expect(times).toEqual([...times].sort((left, right) => left - right));
  expect(read.events.find(({ message }) => message === 'append')).toMatchObject({ to: expect.stringMatching(/^n\d$/) });
});

test('a log that lost entries is noticed, within a life and from one to the next', () => {
  const log = (ids: readonly number[], term: number): RaftState => {
    const entries = ids.map((id, at) =>
      entry({ index: at + 1, term, kind: EntryKind.command, timeMs: 0, payload: sealCommand(id, payload) }),
    );
    const entryAt = (index: number): unknown => entries[index - 1];
    return { log: { baseIndex: 0, lastIndex: entries.length, entryAt } } as unknown as RaftState;
  };
  const mirror = new LogMirror();
  expect(mirror.look(log([1, 2, 3], 1))).toBeNull();
  expect(mirror.look(log([1, 2, 3, 4], 1))).toBeNull();
  expect(mirror.holds(4, 4)).toBe(true);
  expect(mirror.look(log([1, 2], 1))).toEqual({ from: 3, to: 4, terms: [1], calls: [3, 4] });
  expect(mirror.holds(4, 4)).toBe(false);
});

test('lists and lost entries read as sentences', () => {
  expect([['n1'], ['n1', 'n2'], ['n1', 'n2', 'n3']].map(enumerated)).toEqual(['n1', 'n1 and n2', 'n1, n2 and n3']);
  const lost = { atMs: 1, node: 'n2', kind: 'logCut', group: 1, from: 7, to: 8, terms: [3], calls: [12] };
  expect(sentenceOf(lost)).toBe('n2 no longer has entries 7 to 8 of group 1 (call 12).');
});
