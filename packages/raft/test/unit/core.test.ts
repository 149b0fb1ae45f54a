import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/text.ts';
import { entry, EntryKind, InputKind, type Message, MessageKind, nodeId, Role } from '../../src/core/index.ts';
import { append, appendsTo, logOf, Single, voteReply, votersOnly } from './single.ts';

const n1 = nodeId('n1');
const n2 = nodeId('n2');
const n3 = nodeId('n3');

test('the refusal of a stale append carries no stamp that a later life of its sender could take for its own', () => {
  // n2 led term 3, and what it sent then arrives when n1 is in term 5 already, which n2 may lead by now.
  const node = new Single({ voters: ['n1', 'n2', 'n3'], term: 5, votedFor: 'n2' });
  const [reply] = node.receive(append({ from: n2, to: n1, term: 3, sentMs: 90_000, round: 7 }));
  expect(reply).toMatchObject({ kind: MessageKind.appendReply, accepted: false, term: 5, sentMs: 0, round: 0 });
});

test('the refusal of a stale append sends no probe of a later term back to the beginning', () => {
  const voters = ['n1', 'n2', 'n3'];
  const node = new Single({ voters, entries: logOf(3, 3, 3), term: 3 });
  const peer = new Single({ id: 'n2', voters, entries: logOf(3, 3, 3), term: 4, votedFor: 'n1' });
  node.lead();
  const [late] = peer.receive(append({ from: n1, to: n2, term: 3, prevIndex: 3, prevTerm: 3 }));
  expect(node.receive(late as Message)).toEqual([]);
  expect(node.raft.leader?.progress.get(n2)?.nextIndex).toBe(4);
});

test('a candidate waits for its own disk before it waits for the others', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.step({ kind: InputKind.campaign });
  node.receive(voteReply({ from: 'n2', to: 'n1', term: 1, pre: true }));
  node.nowMs = 2_000;
  node.step({ kind: InputKind.deadline });
  expect(node.raft.role).toBe(Role.candidate);
  node.nowMs = 2_500;
  node.persist();
  expect(node.output.deadlineMs).toBeGreaterThanOrEqual(2_800);
  node.receive(voteReply({ from: 'n3', to: 'n1', term: 1, pre: false }));
  expect(node.raft.role).toBe(Role.leader);
});

test('a read is not confirmed by an answer to what an earlier life of the leader had asked', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], term: 3 });
  const peer = new Single({ id: 'n2', voters: ['n1', 'n2', 'n3'], term: 4, votedFor: 'n1' });
  node.lead(); // term 4, in a new life: its rounds begin anew
  node.ack('n2', { round: 0 });
  node.read(1);
  const [late] = peer.receive(append({ from: n1, to: n2, term: 3, sentMs: 0, round: 1 }));
  node.receive(late as Message);
  expect(node.output.readsReleased).toEqual([]);
  node.ack('n3', { round: 1 });
  expect(node.output.readsReleased).toMatchObject([{ id: 1 }]);
});

test('a node that an append makes a voter watches its leader from that moment', () => {
  const node = new Single({ voters: [], configuration: votersOnly() });
  expect(node.raft.electionDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  const configuration = votersOnly('n1', 'n2');
  const entries = [entry({ index: 1, term: 1, kind: EntryKind.configuration, timeMs: 0, configuration })];
  node.receive(append({ from: n2, to: n1, term: 1, entries }));
  expect(node.output.deadlineMs).toBeLessThanOrEqual(600);
});

test('a link that breaks while the leader still probes does not send it back to the first entry', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], entries: logOf(1, 1, 1, 1), term: 1 });
  node.lead();
  const sent = appendsTo('n2', node.step({ kind: InputKind.linkReset, peer: n2 }));
  expect(sent).toMatchObject([{ prevIndex: 4, entries: [{ index: 5 }] }]);
});

test('a link that breaks sends again what was in flight, and nothing that is known to have arrived', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.lead();
  node.ack('n2');
  node.propose(utf8('a'));
  node.propose(utf8('b'));
  const sent = appendsTo('n2', node.step({ kind: InputKind.linkReset, peer: n2 }));
  expect(sent).toMatchObject([{ prevIndex: 1, entries: [{ index: 2 }, { index: 3 }] }]);
});

test('rounds of reads neither allow a silent follower another probe nor put the heartbeat off', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.lead();
  node.ack('n2');
  const dueMs = node.output.deadlineMs;
  const probes = [];
  for (let round = 1; round <= 5; round += 1) {
    node.nowMs += 1;
    node.read(round);
    node.ack('n2');
    probes.push(...appendsTo('n3', node.propose(utf8('x'))).filter((sent) => sent.entries.length > 0));
    node.ack('n2');
  }
  expect(node.output.readsReleased).toHaveLength(5);
  expect(probes).toEqual([]);
  node.step({ kind: InputKind.deadline }); // the notice of the commits
  expect(node.output.deadlineMs).toBe(Math.max(dueMs, 150));
});

test('the same node elected again in a later term is told as another election', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.receive(append({ from: n2, to: n1, term: 1 }));
  node.receive(append({ from: n2, to: n1, term: 3 }));
  const elections = node.output.notes.filter((note) => note.kind === 'leaderElected');
  expect(elections).toEqual([
    { kind: 'leaderElected', node: 'n2', term: 1 },
    { kind: 'leaderElected', node: 'n2', term: 3 },
  ]);
});

test('a candidate counts its own vote only once it is on disk', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.step({ kind: InputKind.campaign });
  node.receive(voteReply({ from: 'n2', to: 'n1', term: 1, pre: true }));
  expect(node.raft.role).toBe(Role.candidate);
  expect(node.output.messages).toEqual([]);
  const asked = node.persist();
  expect(asked.map((message) => message.kind)).toEqual([MessageKind.vote, MessageKind.vote]);
  expect(node.raft.role).toBe(Role.candidate);
  node.receive(voteReply({ from: 'n3', to: 'n1', term: 1, pre: false }));
  expect(node.raft.role).toBe(Role.leader);
});

test('a node alone leads as soon as its vote is on disk, and commits as soon as its entries are', () => {
  const node = new Single({ voters: ['n1'] });
  expect(node.raft.electionDeadlineMs).toBe(0);
  node.step({ kind: InputKind.deadline });
  expect(node.raft.role).toBe(Role.candidate);
  node.persist();
  expect(node.raft.role).toBe(Role.leader);
  node.read(1);
  expect(node.raft.log.commit).toBe(0);
  node.persist();
  expect(node.raft.log.commit).toBe(1);
  expect(node.output.readsReleased).toEqual([{ id: 1, index: 1, term: 1, limbo: false }]);
});

test('a vote waits for the disk, and is given again to the same candidate but to no other', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  const ask = (from: typeof n2): readonly Message[] =>
    node.receive({
      kind: MessageKind.vote,
      from,
      to: n1,
      term: 1,
      lastIndex: 0,
      lastTerm: 0,
      commit: 0,
      transfer: false,
      releasedTerm: 0,
    });
  expect(ask(n2)).toEqual([]);
  expect(node.persist()).toMatchObject([{ to: 'n2', granted: true }]);
  expect(ask(n2)).toMatchObject([{ to: 'n2', granted: true }]);
  expect(ask(n3)).toMatchObject([{ to: 'n3', granted: false }]);
});

test('a receipt written before a truncation makes nothing durable', () => {
  const node = new Single({ id: 'n3', voters: ['n1', 'n2', 'n3'] });
  node.receive(append({ from: n1, to: n3, term: 1, entries: logOf(1, 1) }));
  const { receipt } = node.output;
  node.output.reset();
  const entries = [entry({ index: 2, term: 2, kind: EntryKind.command, timeMs: 0 })];
  node.receive(append({ from: n2, to: n3, term: 2, prevIndex: 1, prevTerm: 1, entries }));
  const answers = receipt === null ? [] : node.step(receipt);
  expect(node.raft.log.persistedIndex).toBe(0);
  expect(answers).toEqual([]);
  expect(node.persist()).toMatchObject([{ accepted: true, matchIndex: 2 }]);
  expect(node.raft.log.persistedIndex).toBe(2);
});

test('a duplicate of an old append takes nothing back', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  const [first, second] = logOf(1, 1);
  const early = append({ from: n2, to: n1, term: 1, entries: [first as never] });
  node.receive(early);
  node.receive(append({ from: n2, to: n1, term: 1, prevIndex: 1, prevTerm: 1, entries: [second as never] }));
  node.receive(early);
  expect(node.raft.log.lastIndex).toBe(2);
  expect(node.raft.log.epoch).toBe(0);
});

test('a follower learns of commits only as far as its log is known to match', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], entries: logOf(1, 1, 1), term: 1 });
  node.receive(append({ from: n2, to: n1, term: 2, prevIndex: 1, prevTerm: 1, commit: 3 }));
  expect(node.raft.log.commit).toBe(1);
});

test('a follower with a slow disk answers heartbeats at once, for what is durable', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], entries: logOf(1), term: 1 });
  node.receive(append({ from: n2, to: n1, term: 1, prevIndex: 1, prevTerm: 1, entries: logOf(1, 1).slice(1) }));
  const [reply] = node.receive(append({ from: n2, to: n1, term: 1, prevIndex: 2, prevTerm: 1, round: 4, sentMs: 9 }));
  expect(reply).toMatchObject({ accepted: true, matchIndex: 1, round: 4, sentMs: 9 });
});

test('the deadline of a leader never spins: a notice, a heartbeat and a transfer each answer for themselves', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.lead();
  node.ack('n2');
  node.ack('n3');
  expect(node.output.deadlineMs).toBe(node.nowMs); // followers are to hear of the commit
  node.step({ kind: InputKind.deadline });
  expect(node.output.deadlineMs).toBeGreaterThan(node.nowMs);
  node.propose(utf8('x'));
  node.step({ kind: InputKind.transfer, to: n2 });
  for (let beat = 0; beat < 20; beat += 1) {
    node.nowMs = node.output.deadlineMs;
    node.step({ kind: InputKind.deadline });
    expect(node.output.deadlineMs).toBeGreaterThan(node.nowMs);
    node.ack('n3', { matchIndex: 1 });
  }
  expect(node.raft.leader?.transfer).toBeNull();
});

test('a leader that is handing over takes no proposals and names its successor', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'] });
  node.lead();
  node.step({ kind: InputKind.transfer, to: n2 });
  node.propose(utf8('x'));
  expect(node.output.refused).toEqual([{ id: 0, code: 'NOT_LEADER', leader: 'n2' }]);
});

test('what is proposed and not committed is bounded in bytes, and one proposal always fits', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], options: { uncommittedBytesMax: 200 } });
  node.lead();
  node.ack('n2');
  node.propose(new Uint8Array(500));
  node.propose(utf8('x'));
  expect(node.output.accepted).toHaveLength(1);
  expect(node.output.refused).toMatchObject([{ code: 'OVERLOADED' }]);
  node.persist();
  node.ack('n2');
  node.propose(utf8('x'));
  expect(node.output.refused).toEqual([]);
  expect(node.output.accepted).toHaveLength(1);
});

test('a late receipt says nothing of an entry that was dropped since and has come back', () => {
  const core = new Single({ id: 'n3', voters: ['n1', 'n2', 'n3'] });
  const [first, second] = logOf(1, 1) as [never, never];
  core.receive(append({ from: n1, to: n3, term: 1, entries: [first, second] }));
  const { receipt } = core.output;
  core.output.reset();
  // Another leader overwrites entry 2; a third has it as it was. What the disk has there now is not known yet.
  const other = entry({ index: 2, term: 2, kind: EntryKind.command, timeMs: 0 });
  core.receive(append({ from: n2, to: n3, term: 2, prevIndex: 1, prevTerm: 1, entries: [other] }));
  core.receive(append({ from: n1, to: n3, term: 3, prevIndex: 1, prevTerm: 1, entries: [second] }));
  core.output.reset();
  core.step(receipt as never);
  expect(core.raft.log.persistedIndex).toBe(0);
});

test('one batch larger than the limit in bytes is sent in parts, as the follower acknowledges them', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], options: { inflightBytesMax: 1_000 } });
  node.lead();
  node.ack('n2');
  const payloads = Array.from({ length: 40 }, () => new Uint8Array(100));
  let unacknowledged = appendsTo('n2', node.propose(...payloads));
  let last = 0;
  for (let rounds = 0; unacknowledged.length > 0; rounds += 1) {
    expect(rounds).toBeLessThan(100);
    const entries = unacknowledged.flatMap((message) => message.entries);
    expect(entries.reduce((sum, { payload }) => sum + payload.length + 32, 0)).toBeLessThanOrEqual(1_000);
    last = entries.at(-1)?.index ?? last;
    unacknowledged = appendsTo('n2', node.ack('n2', { matchIndex: last })).filter(
      ({ entries: more }) => more.length > 0,
    );
  }
  expect(last).toBe(41);
  // An entry larger than the limit travels alone.
  expect(appendsTo('n2', node.propose(new Uint8Array(5_000), new Uint8Array(1)))).toMatchObject([
    { entries: [{ index: 42 }] },
  ]);
});

test('a pre-candidate has given no vote away: it votes for a candidate of its term, and stands back', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], term: 5 });
  node.step({ kind: InputKind.campaign });
  expect(node.raft.role).toBe(Role.preCandidate);
  const vote = { from: n2, to: n1, term: 5, lastIndex: 0, lastTerm: 0, commit: 0, transfer: false, releasedTerm: 0 };
  node.receive({ kind: MessageKind.vote, ...vote });
  expect(node.output.messagesAfterPersist).toMatchObject([{ kind: MessageKind.voteReply, granted: true }]);
  expect(node.output.hardState).toMatchObject({ term: 5, votedFor: n2 });
  node.receive(voteReply({ from: 'n3', to: 'n1', term: 6, pre: true }));
  expect(node.raft).toMatchObject({ role: Role.follower, term: 5 });
});
