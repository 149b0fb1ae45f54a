import { expect, test } from 'vitest';
import {
  entry,
  EntryKind,
  InputKind,
  nodeId,
  ProgressState,
  Role,
  type Entry,
  type SnapshotPoint,
} from '../../src/core/index.ts';
import { append, appendsTo, logOf, Single, votersOnly } from './single.ts';

const bytes = (length: number): Uint8Array => new Uint8Array(length);

const point = (index: number, term: number, fields: Partial<SnapshotPoint> = {}): SnapshotPoint => ({
  index,
  term,
  timeMs: 0,
  configuration: votersOnly('n1', 'n2', 'n3'),
  configurationIndex: 0,
  ...fields,
});

/** A leader of three whose first entries are applied and compacted through `base`; n2 has everything, n3 nothing. */
function compactedLeader(base: number): Single {
  const leader = new Single({ voters: ['n1', 'n2', 'n3'] });
  leader.lead();
  for (let at = 0; at < 9; at += 1) leader.propose(bytes(1));
  leader.persist();
  leader.ack('n2');
  leader.step({ kind: InputKind.applied, index: 10 });
  leader.output.reset();
  leader.step({ kind: InputKind.snapshotTaken, index: 10, compactIndex: base });
  return leader;
}

const rejection = { accepted: false, matchIndex: 0, hintIndex: 0, hintTerm: 0 };

test('compaction stops where it is told, and tells where the durable log is to begin', () => {
  const { raft, output } = compactedLeader(7);
  expect(raft.log.baseIndex).toBe(7);
  expect(output.base).toEqual({ index: 7, term: 1, timeMs: 0 });
  expect(output.baseReset).toBe(false);
});

test('a follower that needs compacted entries gets a snapshot, and heartbeats that ask for it, but no entries', () => {
  const leader = compactedLeader(7);
  const { raft, output } = leader;
  output.reset();
  leader.nowMs = 200;
  leader.step({ kind: InputKind.deadline });
  expect(output.snapshotsWanted).toEqual([{ to: 'n3', index: 10 }]);
  const progress = raft.leader?.progress.get(nodeId('n3'));
  expect(progress?.state).toBe(ProgressState.snapshot);
  output.reset();
  leader.nowMs = 400;
  const [heartbeat] = appendsTo('n3', leader.step({ kind: InputKind.deadline }));
  expect(heartbeat).toMatchObject({ prevIndex: 10, prevTerm: 1, entries: [] });
  expect(output.snapshotsWanted).toEqual([]);
  // It answers, and so counts as heard, while it has nothing yet.
  leader.ack('n3', { ...rejection, matchIndex: 10, sentMs: 400 });
  expect(progress?.ackedSentMs).toBe(400);
  expect(progress?.state).toBe(ProgressState.snapshot);
  leader.propose(bytes(1));
  const sent = leader.ack('n3', { matchIndex: 10, sentMs: 400 });
  expect(progress?.state).toBe(ProgressState.replicate);
  expect(appendsTo('n3', sent)[0]?.entries.map(({ index }) => index)).toEqual([11]);
});

test('entries behind a snapshot that is on its way are kept, and given up when it is abandoned', () => {
  const leader = compactedLeader(7);
  leader.nowMs = 200;
  leader.step({ kind: InputKind.deadline });
  for (let at = 0; at < 5; at += 1) leader.propose(bytes(1));
  leader.persist();
  leader.ack('n2');
  leader.step({ kind: InputKind.applied, index: 15 });
  leader.step({ kind: InputKind.snapshotTaken, index: 15, compactIndex: 15 });
  expect(leader.raft.log.baseIndex).toBe(10);
  leader.step({ kind: InputKind.snapshotAbandoned, to: nodeId('n3') });
  leader.step({ kind: InputKind.snapshotTaken, index: 15, compactIndex: 15 });
  expect(leader.raft.log.baseIndex).toBe(15);
  leader.output.reset();
  leader.nowMs = 400;
  leader.step({ kind: InputKind.deadline });
  expect(leader.output.snapshotsWanted).toEqual([{ to: 'n3', index: 15 }]);
});

test('compaction past what a follower has been sent makes it one that needs a snapshot', () => {
  const leader = compactedLeader(0);
  leader.ack('n3', { matchIndex: 3 });
  leader.step({ kind: InputKind.snapshotTaken, index: 10, compactIndex: 10 });
  leader.output.reset();
  leader.step({ kind: InputKind.linkReset, peer: nodeId('n3') });
  expect(leader.output.snapshotsWanted).toEqual([{ to: 'n3', index: 10 }]);
});

/** A follower of term 3 whose log is `terms`, with an uncommitted configuration of its own at `configurationAt`. */
function follower(terms: readonly number[], configurationAt = 0): Single {
  const entries = logOf(...terms).map(
    (item): Entry =>
      item.index === configurationAt
        ? entry({ ...item, kind: EntryKind.configuration, configuration: votersOnly('n1', 'n4', 'n5') })
        : item,
  );
  return new Single({ voters: ['n1', 'n2', 'n3'], entries, term: 3 });
}

test('a snapshot replaces a stale uncommitted configuration at or below its index', () => {
  const node = follower([1, 1, 2], 3);
  expect(node.raft.configuration.incoming).toEqual(['n1', 'n4', 'n5']);
  node.step({
    kind: InputKind.snapshotInstalled,
    point: point(8, 3, { configuration: votersOnly('n1', 'n2', 'n6'), configurationIndex: 2 }),
  });
  expect(node.raft.configuration.incoming).toEqual(['n1', 'n2', 'n6']);
  expect(node.raft.configurationAt(8).index).toBe(2);
  expect(node.raft.committedConfiguration.incoming).toEqual(['n1', 'n2', 'n6']);
});

test('an entry that conflicts at the last index of a snapshot goes, with everything behind it', () => {
  const node = follower([1, 2, 2, 2]);
  node.step({ kind: InputKind.snapshotInstalled, point: point(3, 3) });
  expect(node.raft.log).toMatchObject({ baseIndex: 3, lastIndex: 3, lastTerm: 3, commit: 3, applied: 3 });
  expect(node.output).toMatchObject({ base: { index: 3, term: 3, timeMs: 0 }, baseReset: true, persistFrom: 0 });
});

test('a log that leads up to a snapshot keeps what stands behind it', () => {
  const node = follower([1, 1, 3, 3, 3]);
  node.step({ kind: InputKind.snapshotInstalled, point: point(3, 3) });
  expect(node.raft.log).toMatchObject({ baseIndex: 0, lastIndex: 5, commit: 3, applied: 3 });
  expect(node.output).toMatchObject({ base: null, baseReset: false });
});

test('a follower vouches for an installed snapshot only when its log is known to begin there', () => {
  const node = follower([1, 1]);
  node.step({ kind: InputKind.snapshotInstalled, point: point(8, 3) });
  const heartbeat = append({ from: nodeId('n2'), to: nodeId('n1'), term: 3, prevIndex: 8, prevTerm: 3, commit: 8 });
  expect(node.receive(heartbeat)).toMatchObject([{ accepted: true, matchIndex: 0 }]);
  node.persist();
  expect(node.receive(heartbeat)).toMatchObject([{ accepted: true, matchIndex: 8 }]);
});

test('a restart from a snapshot goes on from it, and forgets configurations it covers', () => {
  const node = new Single({
    voters: ['n1', 'n2', 'n3'],
    entries: logOf(1, 1, 1, 2),
    term: 2,
    snapshot: point(3, 1, { configurationIndex: 1 }),
  });
  const { raft } = node;
  expect(raft.log).toMatchObject({ baseIndex: 0, lastIndex: 4, commit: 3, applied: 3 });
  expect(raft).toMatchObject({ snapshotIndex: 3, role: Role.follower });
});

test('a snapshot from a later term brings the term along', () => {
  const node = follower([1, 1]);
  node.step({ kind: InputKind.snapshotInstalled, point: point(8, 5) });
  expect(node.raft).toMatchObject({ term: 5, votedFor: null });
  expect(node.output.hardState).toMatchObject({ term: 5, votedFor: null });
});

test('a configuration that is committed behind a snapshot being restored stays when the snapshot is installed', () => {
  const node = follower([1, 1, 3, 3]);
  const later = entry({
    index: 5,
    term: 3,
    kind: EntryKind.configuration,
    timeMs: 0,
    configuration: votersOnly('n1', 'n2', 'n7'),
  });
  const sent = {
    from: nodeId('n2'),
    to: nodeId('n1'),
    term: 3,
    prevIndex: 4,
    prevTerm: 3,
    commit: 5,
    entries: [later],
  };
  node.receive(append(sent));
  node.persist();
  expect(node.raft.log.commit).toBe(5);
  node.step({ kind: InputKind.snapshotInstalled, point: point(3, 3, { configurationIndex: 1 }) });
  expect(node.raft.configuration.incoming).toEqual(['n1', 'n2', 'n7']);
  expect(node.raft.configurationIndex).toBe(5);
  expect(node.raft.log).toMatchObject({ applied: 3, commit: 5, lastIndex: 5 });
});

test('a learner added while a snapshot is on its way to another gets one of its own, and both pin the log', () => {
  const leader = compactedLeader(7);
  leader.nowMs = 200;
  leader.step({ kind: InputKind.deadline });
  leader.output.reset();
  leader.step({ kind: InputKind.reconfigure, id: 1, change: { addLearners: [nodeId('n4')] }, wallMs: 0 });
  expect(leader.raft.configuration.learners).toEqual(['n4']);
  leader.persist();
  leader.ack('n2');
  leader.ack('n4', { ...rejection, matchIndex: leader.raft.log.lastIndex - 1 });
  leader.nowMs = 400;
  leader.step({ kind: InputKind.deadline });
  leader.ack('n4', { ...rejection, matchIndex: 7, sentMs: 400 });
  expect(leader.raft.leader?.progress.get(nodeId('n4'))?.state).toBe(ProgressState.snapshot);
});
