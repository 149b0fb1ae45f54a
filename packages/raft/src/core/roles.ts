import { assert } from '../base/assert.ts';
import {
  adoptCommit,
  limboEndOf,
  limboEntries,
  promiseItself,
  raiseBarriers,
  releasePromise,
  tellLeaseLost,
} from './lease.ts';
import type { Removed } from './message.ts';
import type { Output } from './output.ts';
import { followConfiguration } from './membership.ts';
import { refuseReads } from './reads.ts';
import { appendAsLeader, replicate } from './replication.ts';
import { LeaderState, persistHardState, type RaftState, VoteEvidence } from './state.ts';
import { EntryKind, type NodeId, Role, type Term } from './types.ts';

// The four roles and the ways between them (thesis figure 3.3; the pre-candidate is thesis 9.6's).

export function becomeFollower(
  raft: RaftState,
  to: { readonly term: Term; readonly leaderId: NodeId | null; readonly reason: string },
  nowMs: number,
  output: Output,
): void {
  assert(to.term >= raft.term, 'terms never go down');
  const ledOrCampaigned = raft.role !== Role.follower;
  if (raft.leader !== null) {
    tellLeaseLost(raft, 'steppedDown', output);
    refuseReads(raft, raft.quorumLost ? 'QUORUM_UNAVAILABLE' : 'NOT_LEADER', to.leaderId, output);
    output.notes.push({ kind: 'steppedDown', term: raft.term, reason: to.reason });
  }
  if (to.term > raft.term) {
    setHardState(raft, { term: to.term, votedFor: null }, output);
    setLeader(raft, null, output); // the same node may lead again, but that is another election
  }
  raft.leader = null;
  raft.votes.clear();
  setLeader(raft, to.leaderId, output);
  setRole(raft, Role.follower, output);
  // A follower keeps its deadline: only a leader's word or a granted vote puts an election off (thesis 3.4).
  if (ledOrCampaigned) raft.resetElectionDeadline(nowMs);
}

export function becomePreCandidate(raft: RaftState, nowMs: number, output: Output): void {
  clearVotes(raft, nowMs);
  raft.votes.set(raft.id, true);
  raft.campaignTransfer = false;
  setLeader(raft, null, output);
  setRole(raft, Role.preCandidate, output);
  raft.resetElectionDeadline(nowMs);
}

/** Why a campaign needs nobody's patience: the leader asked for it, and gave up the lease of its term for good. */
export interface Mandate {
  readonly transfer: boolean;
  /** That term, or 0. */
  readonly releasedTerm: Term;
}

export const ownMandate: Mandate = { transfer: false, releasedTerm: 0 };

export function becomeCandidate(raft: RaftState, mandate: Mandate, nowMs: number, output: Output): void {
  assert(raft.role !== Role.leader, 'a leader does not campaign');
  releasePromise(raft, mandate.releasedTerm);
  promiseItself(raft, raft.term + 1, nowMs);
  setHardState(raft, { term: raft.term + 1, votedFor: raft.id }, output);
  // The own vote counts only once it is durable: `onPersisted` enters it.
  clearVotes(raft, nowMs);
  raft.evidence = new VoteEvidence();
  raft.campaignTransfer = mandate.transfer;
  // What was given up stays given up: a campaign that fails does not make its voters wait at the next.
  if (mandate.releasedTerm > 0) raft.releasedTerm = mandate.releasedTerm;
  setLeader(raft, null, output);
  setRole(raft, Role.candidate, output);
  raft.resetElectionDeadline(nowMs);
}

/** A voter known to be absent is counted as one that refused, or a split vote of the others would wait for it. */
function clearVotes(raft: RaftState, nowMs: number): void {
  raft.votes.clear();
  const { absent } = raft.early;
  if (absent !== null && raft.early.isOpen(nowMs)) raft.votes.set(absent, false);
}

export function becomeLeader(raft: RaftState, nowMs: number, output: Output): void {
  assert(raft.role === Role.candidate && raft.hardStateDurable, 'a leader was elected, and its own vote is durable');
  const leader = new LeaderState({ nowMs, heartbeatDueMs: nowMs + raft.options.heartbeatMs });
  raft.leader = leader;
  // Who removed them may have died before it could tell them.
  for (const id of raft.formerMembers()) leader.departed.add(id);
  followConfiguration(raft, raft.log.lastIndex + 1, nowMs);
  raft.votes.clear();
  raft.quorumLost = false;
  adoptCommit(raft, output);
  leader.barriers = raiseBarriers(raft, nowMs);
  leader.limboEnd = limboEndOf(raft);
  setRole(raft, Role.leader, output);
  setLeader(raft, raft.id, output);
  const waitMs = Math.max(0, leader.barrierUntilMs - nowMs);
  output.notes.push({ kind: 'barrier', term: raft.term, waitMs, limboEntries: limboEntries(raft).length });
  // Thesis 3.6.2: entries of earlier terms are committed only through one of this term, so there is one at once.
  appendAsLeader(raft, { kind: EntryKind.noop, timeMs: 0 }, output);
  replicate(raft, nowMs, output);
}

/** Gives up an office that no quorum supports any more (thesis 6.2). */
export function stepDownWithoutQuorum(raft: RaftState, nowMs: number, output: Output): void {
  raft.quorumLost = true;
  becomeFollower(
    raft,
    { term: raft.term, leaderId: null, reason: 'no quorum heard for an election timeout' },
    nowMs,
    output,
  );
}

/** Leaves the office to the members of a configuration that has no vote for this node (thesis 4.2.2). */
export function stepDownAsRemoved(raft: RaftState, nowMs: number, output: Output): void {
  becomeFollower(
    raft,
    { term: raft.term, leaderId: null, reason: 'the configuration has no vote for this node' },
    nowMs,
    output,
  );
}

/** Hears that a committed configuration is without this node. It need not ask for votes any more, and disturbs nobody. */
export function onRemoved(raft: RaftState, message: Removed, nowMs: number, output: Output): void {
  if (raft.role === Role.leader || message.configurationIndex <= raft.removedAt) return;
  const before = raft.isRemoved;
  raft.removedAt = message.configurationIndex;
  if (!raft.isRemoved || before) return;
  output.notes.push({ kind: 'removed', configurationIndex: message.configurationIndex });
  if (raft.role !== Role.follower) {
    becomeFollower(raft, { term: raft.term, leaderId: null, reason: 'this node was removed' }, nowMs, output);
  }
  raft.resetElectionDeadline(nowMs);
}

/** Hears a leader of this term. One that only probes is no reason to put off an election, or to give up a dry run. */
export function followLeader(
  raft: RaftState,
  { id: leaderId, probes }: { readonly id: NodeId; readonly probes: boolean },
  nowMs: number,
  output: Output,
): void {
  assert(raft.role !== Role.leader, 'one leader per term');
  if (raft.role === Role.candidate || (raft.role === Role.preCandidate && !probes)) {
    becomeFollower(raft, { term: raft.term, leaderId, reason: 'another leader was elected' }, nowMs, output);
  }
  if (probes) {
    if (raft.role === Role.follower) setLeader(raft, leaderId, output);
    return;
  }
  setLeader(raft, leaderId, output);
  raft.leaderHeardMs = nowMs;
  raft.early.end();
  raft.resetElectionDeadline(nowMs);
}

export function setHardState(
  raft: RaftState,
  to: { readonly term: Term; readonly votedFor: NodeId | null },
  output: Output,
): void {
  assert(to.term >= raft.term, 'terms never go down');
  assert(to.term > raft.term || raft.votedFor === null, 'one vote per term');
  raft.term = to.term;
  raft.votedFor = to.votedFor;
  persistHardState(raft, output);
}

function setLeader(raft: RaftState, leaderId: NodeId | null, output: Output): void {
  if (raft.leaderId === leaderId) return;
  raft.leaderId = leaderId;
  if (leaderId === null) {
    raft.leaderHeardMs = Number.NEGATIVE_INFINITY;
    return;
  }
  raft.quorumLost = false;
  output.notes.push({ kind: 'leaderElected', node: leaderId, term: raft.term });
}

function setRole(raft: RaftState, role: Role, output: Output): void {
  if (raft.role === role) return;
  raft.role = role;
  output.notes.push({ kind: 'roleChanged', role, term: raft.term });
}
