import { expect, test } from 'vitest';
import {
  applyConfigurationChange,
  catchUpRoundsMax,
  entry,
  EntryKind,
  firstLife,
  InputKind,
  membersMax,
  type NodeId,
  type Note,
  nodeId,
} from '../../src/core/index.ts';
import type { MembershipChange } from '../../src/core/types.ts';
import { Single, votersOnly } from './single.ts';

const n4 = nodeId('n4');

function leading(): Single {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.lead();
  return node;
}

function change(node: Single, asked: MembershipChange | null): void {
  node.step({ kind: InputKind.reconfigure, id: 1, change: asked, wallMs: 0 });
}

/** The whole group but n4 has everything. */
function commit(node: Single): void {
  node.persist();
  for (const from of ['n2', 'n3']) node.ack(from);
}

function notes(node: Single, kind: Note['kind']): readonly Note[] {
  return node.output.notes.filter((note) => note.kind === kind);
}

test('a learner that falls behind faster than it is fed is given up after ten rounds', () => {
  const node = leading();
  commit(node);
  change(node, { add: [n4] });
  commit(node);
  expect(node.raft.configuration).toMatchObject({ learners: [n4], planned: { joined: [n4] } });
  for (let round = 1; round <= catchUpRoundsMax; round += 1) {
    const behind = node.raft.log.lastIndex;
    node.propose(new Uint8Array(1));
    commit(node);
    node.nowMs += 400;
    for (const from of ['n2', 'n3']) node.ack(from);
    node.ack('n4', { matchIndex: behind });
  }
  expect(notes(node, 'learnerTooSlow')).toEqual([{ kind: 'learnerTooSlow', node: n4, rounds: catchUpRoundsMax }]);
  expect(node.raft.configuration).toEqual(votersOnly('n1', 'n2', 'n3'));
});

test('a learner that kept up and went silent does not become a voter', () => {
  const node = leading();
  commit(node);
  change(node, { add: [n4] });
  node.ack('n4');
  node.nowMs += 700;
  commit(node);
  expect(node.raft.configuration.planned).toBeDefined();
  node.ack('n4');
  node.nowMs += 1;
  node.step({ kind: InputKind.deadline });
  expect(node.raft.configuration).toMatchObject({ incoming: ['n1', 'n2', 'n3', 'n4'], outgoing: ['n1', 'n2', 'n3'] });
});

test('a leader changes nothing before an entry of its term is committed', () => {
  const node = leading();
  change(node, { remove: [nodeId('n3')] });
  expect(node.output.changesRefused).toMatchObject([{ code: 'CHANGE_IN_PROGRESS' }]);
  expect(node.raft.configurationIndex).toBe(0);
});

test('a move is one entry, in effect when it is appended, and nothing else changes before it is committed', () => {
  const node = leading();
  commit(node);
  change(node, { move: [{ id: nodeId('n3'), address: 'elsewhere:1' }] });
  const before = node.raft.committedConfiguration;
  expect(node.raft.configuration).toMatchObject({ incoming: ['n1', 'n2', 'n3'], outgoing: [], learners: [] });
  expect(node.raft.configuration.members.at(-1)).toEqual({ id: 'n3', address: 'elsewhere:1' });
  expect(before.members.at(-1)?.address).not.toBe('elsewhere:1');
  change(node, { move: [{ id: nodeId('n2'), address: 'elsewhere:2' }] });
  expect(node.output.changesRefused).toMatchObject([{ code: 'CHANGE_IN_PROGRESS' }]);
  node.persist();
  node.ack('n2');
  expect(node.raft.committedConfiguration).toBe(node.raft.configuration);
  expect(node.raft.log.lastIndex).toBe(2);
});

test('a promotion that waits is given up by a demotion, and by nothing that asks for more', () => {
  const node = leading();
  commit(node);
  change(node, { addLearners: [n4] });
  commit(node);
  change(node, { promote: [n4] });
  commit(node);
  for (const asked of [{ remove: [n4] }, { demote: [nodeId('n2')] }, { demote: [n4], remove: [nodeId('n2')] }]) {
    change(node, asked);
    expect(node.output.changesRefused).toMatchObject([{ code: 'CHANGE_IN_PROGRESS' }]);
    node.output.reset();
  }
  change(node, { demote: [n4] });
  expect(node.raft.configuration).toMatchObject({ incoming: ['n1', 'n2', 'n3'], learners: [n4] });
  expect(node.raft.configuration.planned).toBeUndefined();
});

test('a joint change that is given up brings everybody back whom it was to remove, learners too', () => {
  const [n3, n5] = ['n3', 'n5'].map(nodeId) as [NodeId, NodeId];
  const node = leading();
  commit(node);
  change(node, { addLearners: [n4, n5] });
  commit(node);
  change(node, { remove: [n3, n5], promote: [n4] });
  node.ack('n4');
  commit(node);
  expect(node.raft.configuration).toMatchObject({ incoming: ['n1', 'n2', 'n4'], outgoing: ['n1', 'n2', 'n3'] });
  expect(node.raft.configuration.learners).toEqual([]);
  change(node, null);
  expect(node.raft.configuration).toMatchObject({ incoming: ['n1', 'n2', 'n3'], outgoing: [], learners: [n4, n5] });
  expect(node.raft.configuration.members.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3', 'n4', 'n5']);
  expect(node.raft.leader?.progress.has(n5)).toBe(true);
});

test('a learner that was removed is told so by a later leader, and when it comes back', () => {
  const kind = EntryKind.configuration;
  const before = applyConfigurationChange(votersOnly('n1', 'n2', 'n3'), { kind: 'change', addLearners: [n4] });
  const configurations = [before, votersOnly('n1', 'n2', 'n3')];
  const entries = configurations.map((configuration, at) =>
    entry({ index: at + 1, term: 1, kind, timeMs: 0, configuration }),
  );
  const node = new Single({ voters: [], term: 1, entries });
  node.lead();
  expect(node.output.messages.filter(({ to }) => to === n4)).toEqual([]);
  node.step({ kind: InputKind.linkReset, peer: n4, life: firstLife });
  expect(node.output.messages).toEqual([]);
  const farewell = { kind: 16, from: 'n1', to: n4, term: 2, configurationIndex: 2 };
  node.ack('n2');
  expect(node.output.messages).toContainEqual(farewell);
  expect(node.step({ kind: InputKind.linkReset, peer: n4, life: firstLife })).toEqual([farewell]);
  expect(node.step({ kind: InputKind.linkReset, peer: nodeId('n9'), life: firstLife })).toEqual([]);
});

test('only a leader changes the configuration, and a leader that hands over does not', () => {
  const follower = new Single({ voters: ['n1', 'n2', 'n3'] });
  change(follower, { add: [n4] });
  expect(follower.output.changesRefused).toMatchObject([{ code: 'NOT_LEADER' }]);
  const node = leading();
  commit(node);
  node.step({ kind: InputKind.transfer, to: nodeId('n2') });
  change(node, { add: [n4] });
  expect(node.output.changesRefused).toMatchObject([{ code: 'NOT_LEADER', leader: 'n2' }]);
});

test('a group has a limit of members', () => {
  const node = leading();
  commit(node);
  change(node, { add: Array.from({ length: membersMax - 2 }, (_, at) => nodeId(`x${at}`)) });
  expect(node.output.changesRefused).toMatchObject([{ code: 'CONFIGURATION_INVALID' }]);
});

test('a farewell is not believed against a newer configuration, and a later one brings the node back', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], term: 2 });
  const removed = { from: nodeId('n2'), to: nodeId('n1'), term: 2, kind: 16, configurationIndex: 7 } as const;
  node.receive(removed);
  expect(node.raft).toMatchObject({ isRemoved: true, mayCampaign: false });
  expect(node.output.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  const back = votersOnly('n1', 'n2');
  const kind = EntryKind.configuration;
  const entries = [1, 2, 3, 4, 5, 6, 7, 8].map((index) =>
    entry({ index, term: 2, kind, timeMs: 0, configuration: back }),
  );
  const later = new Single({ voters: [], term: 2, entries });
  later.receive(removed);
  expect(later.raft).toMatchObject({ isRemoved: false, mayCampaign: true });
});
