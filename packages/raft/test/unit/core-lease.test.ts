import { expect, test } from 'vitest';
import {
  type AppendReply,
  InputKind,
  type Message,
  MessageKind,
  nodeId,
  type VoteReply,
} from '../../src/core/index.ts';
import { ClockRate } from '../../src/core/clock-rate.ts';
import { leaseUntilMs } from '../../src/core/lease.ts';
import { append, appendsTo, Single, voteReply } from './single.ts';

// The promise lease at its edges, one leader under a microscope (docs/reads.md).

const leaseMs = 2000;
const n2 = nodeId('n2');
const n3 = nodeId('n3');

function leading(): Single {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], options: { leaseMs } });
  node.nowMs = 100;
  node.lead();
  node.ack('n2');
  node.ack('n3');
  return node;
}

function heartbeat(node: Single, atMs: number): readonly Message[] {
  node.nowMs = atMs;
  return node.step({ kind: InputKind.deadline });
}

test('what a stalled leader sent, which asked for no lease, earns none once it is well again', () => {
  const node = leading();
  node.nowMs = 500;
  node.ack('n2');
  expect(leaseUntilMs(node.raft)).toBe(500 + leaseMs);
  node.propose(new Uint8Array(1)); // nobody has the whole log, so the transfer waits
  node.nowMs = 700;
  node.step({ kind: InputKind.diskStall, stalled: true });
  const sent = appendsTo('n2', heartbeat(node, 800)).at(-1);
  expect(sent).toMatchObject({ leaseMs: 0, probe: true, sentMs: 800 });
  node.nowMs = 900;
  node.step({ kind: InputKind.diskStall, stalled: false });
  node.nowMs = 950;
  node.ack('n2', { matchIndex: 1, sentMs: 800 });
  expect(leaseUntilMs(node.raft)).toBe(500 + leaseMs);
  node.ack('n2', { matchIndex: 1, sentMs: 950 });
  expect(leaseUntilMs(node.raft)).toBe(950 + leaseMs);
});

test('a barrier that falls with a rejected append lets go what a quorum has had for long', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], options: { leaseMs } });
  node.nowMs = 100;
  node.lead();
  const leader = node.raft.leader as NonNullable<typeof node.raft.leader>;
  leader.barriers = [{ term: 0, holder: n3, incarnation: 1, lineage: 0, untilMs: 2000 }];
  node.ack('n2');
  expect(node.raft.log.commit).toBe(0);
  const rejection: Partial<AppendReply> = { accepted: false, matchIndex: 0 };
  node.ack('n3', rejection);
  expect(node.raft.log.commit).toBe(1);
});

test('a later life that proves earlier ones dead frees a leader by its handshake alone, and never what it holds itself', () => {
  const node = new Single({ voters: ['n1', 'n2', 'n3'], options: { leaseMs } });
  node.nowMs = 100;
  node.lead();
  const leader = node.raft.leader as NonNullable<typeof node.raft.leader>;
  leader.barriers = [3, 4].map((incarnation) => ({ term: 0, holder: n3, incarnation, lineage: 7, untilMs: 2000 }));
  node.ack('n2');
  const shakeHands = (incarnation: number, deadSince: number, lineage = 7): number => {
    node.step({ kind: InputKind.linkReset, peer: n3, life: { incarnation, deadSince, lineage } });
    return leader.barriers.length;
  };
  expect(shakeHands(4, 4), 'no proof').toBe(2);
  expect(shakeHands(4, 2), 'that very life may hold its lease').toBe(1);
  node.step({ kind: InputKind.linkReset, peer: n2, life: { incarnation: 9, deadSince: 1, lineage: 7 } });
  expect(leader.barriers).toHaveLength(1);
  expect(node.raft.log.commit).toBe(0);
  expect(shakeHands(5, 2, 8), 'a copy of its disk').toBe(1);
  expect(shakeHands(5, 2)).toBe(0);
  expect(node.raft.log.commit).toBe(1);
});

test('a leader tells that it lost its lease to the pace of clocks, and not to silence', () => {
  for (const [peerMsPerMs, cause] of [
    [1.02, 'clockRate'],
    [1, 'expired'],
  ] as const) {
    const node = leading();
    for (let atMs = 250; atMs <= 3250; atMs += 150) {
      heartbeat(node, atMs);
      if (cause === 'expired' && atMs > 700) continue;
      for (const from of [n2, n3]) node.ack(from, { sentMs: atMs, peerMs: atMs * peerMsPerMs });
    }
    const causes = node.output.notes.flatMap((note) => (note.kind === 'leaseLost' ? [note.cause] : []));
    expect(causes).toEqual([cause]);
  }
});

test('writes are refused one election timeout after a quorum was last asked in vain, not a heartbeat later', () => {
  const node = leading();
  heartbeat(node, 250);
  for (const from of ['n2', 'n3']) node.ack(from);
  const { electionTimeoutMsMax } = node.raft.options;
  for (let atMs = node.output.deadlineMs; atMs < 250 + electionTimeoutMsMax; atMs = node.output.deadlineMs) {
    heartbeat(node, atMs);
    expect(node.raft.leader?.probing).toBe(false);
  }
  heartbeat(node, node.output.deadlineMs);
  expect(node.nowMs).toBe(250 + electionTimeoutMsMax);
  node.propose(new Uint8Array(1));
  expect(node.output.refused.at(-1)?.code).toBe('QUORUM_UNAVAILABLE');
  expect(node.raft.leader?.probing, 'its lease may answer reads yet').toBe(true);
});

test('a copy of the disk of a leader tells whom it votes for of the lease that the original may hold', () => {
  const original = leading();
  const { promises, term } = original.raft;
  expect(promises).toMatchObject([{ term, holder: 'n1' }]);
  const ballot = {
    kind: MessageKind.vote,
    from: n2,
    to: original.raft.id,
    term: term + 1,
    lastIndex: 9,
    lastTerm: term,
    commit: 0,
    transfer: false,
    releasedTerm: 0,
  } as const;
  const copy = new Single({
    voters: ['n1', 'n2', 'n3'],
    options: { leaseMs },
    term,
    votedFor: 'n1',
    promises,
    life: { incarnation: 2, deadSince: 2, lineage: 5 },
  });
  copy.receive(ballot);
  const [vote] = copy.persist();
  expect(vote).toMatchObject({ granted: true, promises: [{ holder: 'n1', incarnation: 1, lineage: 0, term }] });
  const winner = new Single({ id: 'n2', voters: ['n1', 'n2', 'n3'], options: { leaseMs }, term });
  winner.step({ kind: InputKind.campaign });
  winner.receive(voteReply({ from: 'n1', to: 'n2', term: term + 1, pre: true }));
  winner.persist();
  winner.step({ kind: InputKind.message, message: vote as VoteReply, life: copy.raft.life });
  expect(winner.raft.leader?.barriers).toHaveLength(1);
});

test('a candidate that lost promises the lease to the winner, and does not take its own word for that', () => {
  const loser = new Single({ voters: ['n1', 'n2', 'n3'], options: { leaseMs } });
  loser.step({ kind: InputKind.campaign });
  loser.receive(voteReply({ from: 'n3', to: 'n1', term: 1, pre: true }));
  loser.persist();
  expect(loser.raft.promises).toMatchObject([{ term: 1, holder: 'n1' }]);
  // n2 got the vote of n3. From here on its lease rests on this node alone.
  loser.nowMs = 1000;
  const life = { incarnation: 4, deadSince: 2, lineage: 9 };
  const message = append({ from: n2, to: loser.raft.id, term: 1, sentMs: 700, leaseMs, driftPpm: 10_000 });
  expect(loser.step({ kind: InputKind.message, message, life })).toEqual([]);
  const promised = [{ term: 1, holder: 'n2', incarnation: 4, lineage: 9 }];
  expect(loser.output.hardState?.promises).toMatchObject(promised);
  loser.persist();
  // Elected by n3, who has promised nobody anything, it waits for n2 all the same.
  loser.nowMs = 1400;
  loser.lead();
  expect(loser.raft.leader?.barriers).toMatchObject(promised);
  expect(loser.raft.leader?.barrierUntilMs).toBeGreaterThanOrEqual(1000 + leaseMs);
});

test('a clock that was certain to drift stays so while what is long past is forgotten', () => {
  const rate = new ClockRate();
  const doubtsMs: number[] = [];
  for (let sentMs = 0; sentMs < 120_000; sentMs += 150) {
    rate.observe({ sentMs, receivedMs: sentMs + 40, peerMs: (sentMs + 20) * 1.02 });
    if (rate.difference <= 0.01) doubtsMs.push(sentMs);
  }
  expect(Math.max(...doubtsMs)).toBeLessThan(10_000);
  // And a clock that keeps time again is believed before long.
  for (let sentMs = 120_000; sentMs < 165_000; sentMs += 150) {
    rate.observe({ sentMs, receivedMs: sentMs + 40, peerMs: sentMs + 20 + 2_400 });
  }
  expect(rate.difference).toBe(0);
});

test('a promise by a clock that runs too fast is none, though others keep time', () => {
  const node = leading();
  const progress = node.raft.leader?.progress.get(n2);
  const other = node.raft.leader?.progress.get(n3);
  const answer = (from: typeof n2, atMs: number, peerMs: number): void => {
    node.nowMs = atMs;
    node.ack(from, { sentMs: atMs, peerMs });
  };
  // Their clocks showed 0 when this node's showed 100.
  answer(n3, 2200, 2100);
  answer(n2, 2200, 2200);
  expect(progress?.clockRate.difference).toBeGreaterThan(0.02);
  expect(other?.clockRate.difference).toBe(0);
  answer(n2, 3000, 3040);
  // n3 keeps time but fell silent: only its own word of 2200 counts, not the newer one of n2.
  expect(leaseUntilMs(node.raft)).toBe(2200 + leaseMs);
});
