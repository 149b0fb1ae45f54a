import { expect, test } from 'vitest';
import { type AppendReply, InputKind, type Message, nodeId } from '../../src/core/index.ts';
import { leaseUntilMs } from '../../src/core/lease.ts';
import { appendsTo, Single } from './single.ts';

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
  leader.barriers = [{ term: 0, holder: n3, incarnation: 1, untilMs: 2000 }];
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
  leader.barriers = [3, 4].map((incarnation) => ({ term: 0, holder: n3, incarnation, untilMs: 2000 }));
  node.ack('n2');
  const shakeHands = (incarnation: number, deadSince: number): number => {
    node.step({ kind: InputKind.linkReset, peer: n3, life: { incarnation, deadSince } });
    return leader.barriers.length;
  };
  expect(shakeHands(4, 4), 'no proof').toBe(2);
  expect(shakeHands(4, 2), 'that very life may hold its lease').toBe(1);
  node.step({ kind: InputKind.linkReset, peer: n2, life: { incarnation: 9, deadSince: 1 } });
  expect(leader.barriers).toHaveLength(1);
  expect(node.raft.log.commit).toBe(0);
  expect(shakeHands(5, 2)).toBe(0);
  expect(node.raft.log.commit).toBe(1);
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
