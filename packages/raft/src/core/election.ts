import { assert, unreachable } from '../base/assert.ts';
import { replicasOf } from './configuration.ts';
import { earlyFirstMsMax } from './early-election.ts';
import type { LeaderGoneInput } from './input.ts';
import { gatherEvidence, promisesLeft, releasePromise } from './lease.ts';
import { knowsRemoved, tellRemoved } from './membership.ts';
import { MessageKind, type VoteReply, type VoteRequest } from './message.ts';
import type { Output } from './output.ts';
import { voteResult } from './quorum.ts';
import { send } from './replication.ts';
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  type Mandate,
  ownMandate,
  setHardState,
} from './roles.ts';
import type { RaftState } from './state.ts';
import { type Life, type NodeId, Role } from './types.ts';

// Elections (thesis 3.4, 3.6.1), with a dry run first so that nobody disturbs for nothing (thesis 9.6).

/** Asks whether an election could be won; no term changes. */
export function preCampaign(raft: RaftState, nowMs: number, output: Output): void {
  assert(raft.role !== Role.leader, 'a leader does not campaign');
  becomePreCandidate(raft, nowMs, output);
  output.notes.push({ kind: 'campaignStarted', term: raft.term + 1, preVote: true });
  requestVotes(raft, MessageKind.preVote, output);
  decide(raft, nowMs, output);
}

/** Stands for the next term. With a mandate for a transfer, at the leader's wish, voters do not defend the leader. */
export function campaign(raft: RaftState, mandate: Mandate, nowMs: number, output: Output): void {
  becomeCandidate(raft, mandate, nowMs, output);
  output.notes.push({ kind: 'campaignStarted', term: raft.term, preVote: false });
  requestVotes(raft, MessageKind.vote, output);
}

function requestVotes(raft: RaftState, kind: VoteRequest['kind'], output: Output): void {
  for (const to of replicasOf(raft.configuration)) {
    if (to === raft.id || raft.configuration.learners.includes(to)) continue;
    send(
      raft,
      {
        kind,
        from: raft.id,
        to,
        term: kind === MessageKind.preVote ? raft.term + 1 : raft.term,
        lastIndex: raft.log.lastIndex,
        lastTerm: raft.log.lastTerm,
        commit: raft.log.commit,
        transfer: raft.campaignTransfer,
        releasedTerm: raft.releasedTerm,
      },
      output,
    );
  }
}

/**
 * This node's own evidence that its leader's process is gone: it defends that leader no more, and soon asks who would
 * elect it. Others that have no such evidence go on defending, and so one broken link moves nobody.
 */
export function onLeaderGone(raft: RaftState, { peer, absent }: LeaderGoneInput, nowMs: number, output: Output): void {
  if (raft.role === Role.leader || raft.leaderId !== peer) return;
  output.notes.push({ kind: 'leaderGone', node: peer, term: raft.term });
  raft.leaderHeardMs = Number.NEGATIVE_INFINITY;
  if (!raft.mayCampaign) return;
  if (!raft.early.begin(nowMs, nowMs + raft.options.electionTimeoutMsMin, absent ? peer : null)) return;
  raft.electionDeadlineMs = Math.min(raft.electionDeadlineMs, nowMs + raft.prng.between(0, earlyFirstMsMax));
}

/**
 * A voter that heard a live leader defends it (thesis 4.2.3), unless that leader asked for the election itself, or asks to be
 * elected: then it leads no more, whatever of its words was on the way for long (the simulator, seed 576).
 */
export function isSticky(raft: RaftState, request: VoteRequest, nowMs: number): boolean {
  if (request.transfer) return false;
  if (raft.leader !== null) return !raft.leader.probing && !raft.stalled;
  if (request.from === raft.leaderId) return false;
  return raft.leaderId !== null && nowMs - raft.leaderHeardMs < raft.options.electionTimeoutMsMin;
}

/**
 * Answers a request whose term is this one, or, for a pre-vote, any. Never asks who is a member: a node may have to
 * vote for one its own configuration does not know yet (thesis 4.1).
 */
export function onVoteRequest(raft: RaftState, request: VoteRequest, nowMs: number, output: Output): void {
  const preVote = request.kind === MessageKind.preVote;
  output.notes.push({ kind: 'voteRequested', from: request.from, term: request.term, preVote });
  releasePromise(raft, request.releasedTerm);
  const free = preVote
    ? request.term > raft.term && !isSticky(raft, request, nowMs)
    : (raft.role === Role.follower || raft.role === Role.preCandidate) &&
      (raft.votedFor === request.from || raft.votedFor === null) &&
      raft.leaderId === null;
  const granted = free && raft.log.isUpToDate(request);
  if (granted && !preVote) {
    // Who only asked whether to stand has given no vote away yet (thesis 3.4), and stands back for whom it votes for.
    if (raft.role === Role.preCandidate) {
      becomeFollower(raft, { term: raft.term, leaderId: null, reason: 'voted for another' }, nowMs, output);
    }
    if (raft.votedFor === null) setHardState(raft, { term: raft.term, votedFor: request.from }, output);
    raft.early.end();
    raft.resetElectionDeadline(nowMs);
  }
  reply(raft, request, granted, nowMs, output);
  if (knowsRemoved(raft, request.from)) tellRemoved(raft, request.from, output);
}

/** A request of an earlier term gets this term back, so that a candidate that fell behind catches up. */
export function refuseStaleVote(raft: RaftState, request: VoteRequest, nowMs: number, output: Output): void {
  const preVote = request.kind === MessageKind.preVote;
  output.notes.push({ kind: 'voteRequested', from: request.from, term: request.term, preVote });
  reply(raft, request, false, nowMs, output);
  if (knowsRemoved(raft, request.from)) tellRemoved(raft, request.from, output);
}

function reply(raft: RaftState, request: VoteRequest, granted: boolean, nowMs: number, output: Output): void {
  const preVote = request.kind === MessageKind.preVote;
  send(
    raft,
    {
      kind: preVote ? MessageKind.preVoteReply : MessageKind.voteReply,
      from: raft.id,
      to: request.from,
      // A granted pre-vote speaks of the term asked for; a refusal tells the voter's own, which may be the higher one.
      term: preVote && granted ? request.term : raft.term,
      granted,
      commit: raft.log.commit,
      // Only a vote tells them: a dry run binds nobody, so what it told could be out of date when it counts.
      promises: granted && !preVote ? promisesLeft(raft, nowMs) : [],
    },
    output,
  );
}

/** Counts a vote, if it is for the campaign that runs now. */
export function onVoteReply(raft: RaftState, vote: VoteReply, life: Life, nowMs: number, output: Output): void {
  const awaited = vote.kind === MessageKind.preVoteReply ? Role.preCandidate : Role.candidate;
  if (raft.role !== awaited) return;
  if (vote.granted) {
    const preVote = vote.kind === MessageKind.preVoteReply;
    if (vote.term !== (preVote ? raft.term + 1 : raft.term)) return;
    output.notes.push({ kind: 'voteGranted', from: vote.from, term: vote.term, preVote });
    if (!preVote && !raft.votes.has(vote.from)) gatherEvidence(raft, vote, life, nowMs);
  }
  countVote(raft, vote.from, vote.granted, nowMs, output);
}

/** Enters a vote, once per voter, and acts when it decides. */
export function countVote(raft: RaftState, from: NodeId, granted: boolean, nowMs: number, output: Output): void {
  if (!raft.votes.has(from)) raft.votes.set(from, granted);
  decide(raft, nowMs, output);
}

function decide(raft: RaftState, nowMs: number, output: Output): void {
  const result = voteResult(raft.configuration, raft.votes);
  switch (result) {
    case 'won':
      if (raft.role === Role.preCandidate) campaign(raft, ownMandate, nowMs, output);
      else if (raft.hardStateDurable) becomeLeader(raft, nowMs, output);
      return;
    case 'lost':
      becomeFollower(raft, { term: raft.term, leaderId: null, reason: 'the election was lost' }, nowMs, output);
      return;
    case 'pending':
      return;
    default:
      unreachable(result);
  }
}
