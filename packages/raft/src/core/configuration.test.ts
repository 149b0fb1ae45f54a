import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { NoriError } from '../base/errors.ts';
import {
  applyConfigurationChange,
  type ConfigurationChange,
  foundingConfiguration,
  isJoint,
  isVoter,
  replicasOf,
} from './configuration.ts';
import { isQuorum } from './quorum.ts';
import { type Configuration, type NodeId, nodeId } from './types.ts';

const ids = ['a', 'b', 'c', 'd', 'e'].map(nodeId);
const [a, b, c, d, e] = ids as [NodeId, NodeId, NodeId, NodeId, NodeId];
const members = (...named: readonly NodeId[]): { readonly id: NodeId; readonly address: string }[] =>
  named.map((id) => ({ id, address: `${id}:7201` }));
const three = foundingConfiguration(members(c, a, b));
const withLearner = applyConfigurationChange(three, { kind: 'change', addLearners: members(d) });

test('a founding configuration is the same whatever the order of its members', () => {
  expect(three).toEqual(foundingConfiguration(members(a, b, c)));
  expect(three).toMatchObject({ incoming: [a, b, c], outgoing: [], learners: [], learnersNext: [] });
});

test('a change of voters is joint until it is left, and then what was asked for', () => {
  const joint = applyConfigurationChange(three, { kind: 'change', add: members(d, e), remove: [a], demote: [b] });
  expect(joint).toMatchObject({ incoming: [c, d, e], outgoing: [a, b, c], learners: [], learnersNext: [b] });
  expect(isJoint(joint)).toBe(true);
  expect(replicasOf(joint)).toEqual(expect.arrayContaining(ids));
  const left = applyConfigurationChange(joint, { kind: 'leaveJoint' });
  expect(left).toEqual({
    incoming: [c, d, e],
    outgoing: [],
    learners: [b],
    learnersNext: [],
    members: members(b, c, d, e),
  });
});

test('a change of learners only takes effect at once', () => {
  expect(withLearner).toMatchObject({ incoming: [a, b, c], outgoing: [], learners: [d] });
  expect(isVoter(withLearner, d)).toBe(false);
  expect(applyConfigurationChange(withLearner, { kind: 'change', remove: [d] })).toEqual(three);
});

test('a member keeps the address it is known by, and may be given another', () => {
  const promoted = applyConfigurationChange(withLearner, { kind: 'change', add: [d] });
  expect(promoted.members.find((member) => member.id === d)?.address).toBe('d:7201');
  const moved = applyConfigurationChange(withLearner, { kind: 'change', add: [{ id: d, address: 'd:9' }] });
  expect(moved.members.find((member) => member.id === d)?.address).toBe('d:9');
});

test('a member that moves stays what it is, and the voters stay as they are', () => {
  const moved = applyConfigurationChange(withLearner, {
    kind: 'change',
    move: [
      { id: a, address: 'elsewhere:1' },
      { id: d, address: 'elsewhere:2' },
    ],
  });
  expect({ ...moved, members: [] }).toEqual({ ...withLearner, members: [] });
  expect(moved.members.map(({ address }) => address)).toEqual(['elsewhere:1', 'b:7201', 'c:7201', 'elsewhere:2']);
});

test('two members may change places', () => {
  const moved = applyConfigurationChange(three, {
    kind: 'change',
    move: [
      { id: a, address: 'b:7201' },
      { id: b, address: 'a:7201' },
    ],
  });
  expect(moved.members.map(({ address }) => address)).toEqual(['b:7201', 'a:7201', 'c:7201']);
});

test('a caller may leave out what it knows nothing of', () => {
  const bare = { incoming: [a], outgoing: [] } as unknown as Configuration;
  expect(applyConfigurationChange(bare, { kind: 'change', add: [b] })).toMatchObject({
    incoming: [a, b],
    outgoing: [a],
  });
});

const joint = applyConfigurationChange(three, { kind: 'change', add: [d] });
const refused: readonly [string, Configuration, ConfigurationChange][] = [
  ['another change while joint', joint, { kind: 'change', add: [e] }],
  ['leaving what is not joint', three, { kind: 'leaveJoint' }],
  ['nobody left to vote', three, { kind: 'change', remove: [a, b, c] }],
  ['everybody demoted', three, { kind: 'change', demote: [a, b, c] }],
  ['adding a voter that is one', three, { kind: 'change', add: [a] }],
  ['adding a learner that is one', withLearner, { kind: 'change', addLearners: [d] }],
  ['adding a voter as a learner', three, { kind: 'change', addLearners: [a] }],
  ['promoting a voter', three, { kind: 'change', promote: [a] }],
  ['promoting a stranger', three, { kind: 'change', promote: [e] }],
  ['demoting a learner', withLearner, { kind: 'change', demote: [d] }],
  ['demoting a stranger', three, { kind: 'change', demote: [e] }],
  ['removing a stranger', three, { kind: 'change', remove: [e] }],
  ['adding one node twice', three, { kind: 'change', add: [d, d] }],
  ['adding and removing one node', three, { kind: 'change', add: [d], remove: [d] }],
  ['promoting and removing one node', withLearner, { kind: 'change', promote: [d], remove: [d] }],
  ['moving a stranger', three, { kind: 'change', move: members(e) }],
  ['moving to where it is', three, { kind: 'change', move: members(a) }],
  ['moving to no address', three, { kind: 'change', move: [{ id: a, address: '' }] }],
  ['moving and removing one node', three, { kind: 'change', move: [{ id: a, address: 'x:1' }], remove: [a] }],
  ['demoting and removing one node', three, { kind: 'change', demote: [a], remove: [a] }],
  ['demoting and adding one node', three, { kind: 'change', add: [a], demote: [a] }],
  ['a change of no known kind', three, { kind: 'frobnicate' } as unknown as ConfigurationChange],
  ['no change at all', three, null as unknown as ConfigurationChange],
  ['adding what is no node id', three, { kind: 'change', add: ['' as NodeId] }],
  ['adding a learner that is nothing', three, { kind: 'change', addLearners: [undefined as unknown as NodeId] }],
  ['another change while joint, voters in sets', inSets(joint), { kind: 'change', add: [e] }],
];

test.each(refused)('refused with CONFIGURATION_INVALID: %s', (_what, before, change) => {
  const error = thrownBy(() => applyConfigurationChange(deepFreeze(before), deepFreeze(change)));
  expect(error).toBeInstanceOf(NoriError);
  expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID', outcome: 'notApplied' });
});

test('voters kept in sets, and parts left out, are read like lists', () => {
  expect(applyConfigurationChange(inSets(three), { kind: 'change', add: [d] })).toEqual(joint);
  expect(applyConfigurationChange(inSets(joint), { kind: 'leaveJoint' })).toMatchObject({ incoming: [a, b, c, d] });
  const bare = { incoming: [a, b] } as unknown as Configuration;
  expect(applyConfigurationChange(bare, { kind: 'change', addLearners: [c] })).toMatchObject({
    incoming: [a, b],
    outgoing: [],
    learners: [c],
  });
});

const founded = fc.subarray(ids, { minLength: 1 }).map((voters) => foundingConfiguration(members(...voters)));
const part = fc.subarray(ids, { maxLength: 3 });
const change = fc.record({
  kind: fc.constant('change' as const),
  add: part,
  addLearners: part,
  remove: part,
  promote: part,
  demote: part,
});

/** Walks along whatever changes are allowed, leaving joint configurations as soon as they are entered. */
function walk(start: Configuration, changes: readonly ConfigurationChange[]): Configuration[] {
  const path = [start];
  for (const next of changes) {
    const before = path.at(-1) as Configuration;
    const after = attempt(before, next);
    if (after === null) continue;
    path.push(after);
    if (isJoint(after)) path.push(applyConfigurationChange(deepFreeze(after), { kind: 'leaveJoint' }));
  }
  return path;
}

test('quorums of a configuration and the next always intersect', () => {
  fc.assert(
    fc.property(
      founded,
      fc.array(change, { maxLength: 6 }),
      fc.array(fc.subarray(ids), { maxLength: 20 }),
      (start, changes, sets) => {
        const path = walk(start, changes);
        for (let at = 1; at < path.length; at += 1) {
          const before = path[at - 1] as Configuration;
          const after = path[at] as Configuration;
          for (const set of sets) {
            const rest = ids.filter((id) => !set.includes(id));
            // Two disjoint sets of nodes, each a quorum of one of the two, could decide against each other.
            expect(isQuorum(before, (id) => set.includes(id)) && isQuorum(after, (id) => rest.includes(id))).toBe(
              false,
            );
          }
        }
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

test('to enter and to leave gives the voters and learners asked for, and never touches its arguments', () => {
  fc.assert(
    fc.property(founded, fc.array(change, { maxLength: 6 }), change, (start, changes, last) => {
      const before = walk(start, changes).at(-1) as Configuration;
      const entered = attempt(before, last);
      fc.pre(entered !== null);
      const after = isJoint(entered) ? applyConfigurationChange(deepFreeze(entered), { kind: 'leaveJoint' }) : entered;
      const gone = new Set([...last.remove, ...last.demote, ...last.addLearners]);
      const voters = new Set([...before.incoming.filter((id) => !gone.has(id)), ...last.add, ...last.promote]);
      expect(new Set(after.incoming)).toEqual(voters);
      const noLearner = new Set([...last.remove, ...last.add, ...last.promote]);
      const learners = new Set([
        ...before.learners.filter((id) => !noLearner.has(id)),
        ...last.addLearners,
        ...last.demote,
      ]);
      expect(new Set(after.learners)).toEqual(learners);
      expect(new Set(after.members.map((member) => member.id))).toEqual(new Set([...voters, ...learners]));
      expect(after.outgoing).toEqual([]);
    }),
    { seed: 2, numRuns: 150 },
  );
});

test('the voters of a joint configuration are no learners at the same time', () => {
  fc.assert(
    fc.property(founded, fc.array(change, { maxLength: 6 }), (start, changes) => {
      for (const configuration of walk(start, changes)) {
        const overlap = configuration.learners.filter((id) => isVoter(configuration, id));
        expect(overlap).toEqual([]);
        expect(configuration.learnersNext.every((id) => configuration.outgoing.includes(id))).toBe(true);
      }
    }),
    { seed: 3, numRuns: 500 },
  );
});

function attempt(before: Configuration, next: ConfigurationChange): Configuration | null {
  try {
    return applyConfigurationChange(deepFreeze(before), deepFreeze(next));
  } catch (error) {
    if (error instanceof NoriError && error.code === 'CONFIGURATION_INVALID') return null;
    throw error;
  }
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

function inSets(configuration: Configuration): Configuration {
  const { incoming, outgoing, learners } = configuration;
  const sets = { incoming: new Set(incoming), outgoing: new Set(outgoing), learners: new Set(learners) };
  return { ...configuration, ...sets } as unknown as Configuration;
}
