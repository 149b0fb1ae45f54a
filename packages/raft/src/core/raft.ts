import { assert, unreachable } from '../base/assert.ts';
import {
  countVote,
  isSticky,
  onLeaderGone,
  onVoteReply,
  onVoteRequest,
  preCampaign,
  refuseStaleVote,
} from './election.ts';
import { onAppend, refuseStaleAppend } from './follower.ts';
import {
  type DiskStallInput,
  type Input,
  InputKind,
  type LeaseDoubtInput,
  type LinkResetInput,
  type PersistedInput,
  type ProposeInput,
  type ReadInput,
  type ReconfigureInput,
} from './input.ts';
import { checkInvariants } from './invariants.ts';
import { bury, disclaim, doubtLease, leaseUntilMs, renewLease, tellLeaseLost, watchLease } from './lease.ts';
import { entryOverheadBytes } from './log.ts';
import { continueChange, hasOutlivedItsOffice, onPeerForgot, onReconfigure, welcomeBack } from './membership.ts';
import { type AppendReply, type Message, MessageKind, type Removed } from './message.ts';
import type { Output, RefusalCode } from './output.ts';
import { beginRound, endPatience, onRead, refuseReads, releaseReads } from './reads.ts';
import {
  advanceCommit,
  appendAsLeader,
  broadcastHeartbeat,
  leaderStateOf,
  onAppendReply,
  onLinkReset,
  quorumHeardSince,
  replicate,
  sendCommitNotices,
} from './replication.ts';
import { becomeFollower, onRemoved, stepDownAsRemoved, stepDownWithoutQuorum } from './roles.ts';
import { onSnapshotAbandoned, onSnapshotInstalled, onSnapshotTaken } from './snapshot.ts';
import type { RaftState } from './state.ts';
import { abandonTransfer, beginTransfer, continueTransfer, onTimeoutNow } from './transfer.ts';
import { firstLife, type Index, type Life, Role } from './types.ts';

/**
 * The one door. Tells the group what happened at `nowMs` (monotonic, this node's own clock); gathers in `output` what
 * is to be done about it. Never waits, never throws but for a broken invariant, in which case the group must halt.
 */
export function step(raft: RaftState, input: Input, nowMs: number, output: Output): void {
  switch (input.kind) {
    case InputKind.message:
      onMessage(raft, input.message, input.life ?? firstLife, nowMs, output);
      break;
    case InputKind.propose:
      onPropose(raft, input, nowMs, output);
      break;
    case InputKind.read:
      onReadInput(raft, input, nowMs, output);
      break;
    case InputKind.persisted:
      onPersisted(raft, input, nowMs, output);
      break;
    case InputKind.applied:
      onApplied(raft, input.index);
      break;
    case InputKind.deadline:
      onDeadline(raft, nowMs, output);
      break;
    case InputKind.campaign:
      if (raft.role !== Role.leader && raft.mayCampaign) preCampaign(raft, nowMs, output);
      break;
    case InputKind.transfer:
      if (raft.role === Role.leader) beginTransfer(raft, input.to, nowMs, output);
      break;
    case InputKind.linkReset:
      if (raft.role === Role.leader) onLink(raft, input, nowMs, output);
      break;
    case InputKind.leaderGone:
      onLeaderGone(raft, input, nowMs, output);
      break;
    case InputKind.snapshotTaken:
      onSnapshotTaken(raft, input, output);
      break;
    case InputKind.snapshotInstalled:
      onSnapshotInstalled(raft, input.point, nowMs, output);
      break;
    case InputKind.snapshotAbandoned:
      onSnapshotAbandoned(raft, input.to);
      break;
    case InputKind.reconfigure:
      onReconfigureInput(raft, input, nowMs, output);
      break;
    case InputKind.leaseDoubt:
      onLeaseDoubt(raft, input.cause, nowMs, output);
      break;
    case InputKind.peerForgot:
      onPeerForgot(raft, input, nowMs);
      break;
    case InputKind.diskStall:
      onDiskStall(raft, input, nowMs, output);
      break;
    default:
      unreachable(input);
  }
  writeReceipt(raft, output);
  output.deadlineMs = nextDeadlineMs(raft, nowMs);
  checkInvariants(raft);
}

type TermBound = Exclude<Message, Removed>;

function onMessage(raft: RaftState, message: Message, life: Life, nowMs: number, output: Output): void {
  if (message.to !== raft.id) return;
  if (message.kind === MessageKind.removed) {
    onRemoved(raft, message, nowMs, output);
    return;
  }
  if (message.term > raft.term && !adoptTerm(raft, message, nowMs, output)) return;
  if (message.term < raft.term) {
    onStaleMessage(raft, message, nowMs, output);
    return;
  }
  switch (message.kind) {
    case MessageKind.preVote:
    case MessageKind.vote:
      onVoteRequest(raft, message, nowMs, output);
      return;
    case MessageKind.preVoteReply:
    case MessageKind.voteReply:
      onVoteReply(raft, message, life, nowMs, output);
      return;
    case MessageKind.append:
      onAppend(raft, message, life, nowMs, output);
      return;
    case MessageKind.appendReply:
      if (raft.role === Role.leader) onReply(raft, message, life, nowMs, output);
      return;
    case MessageKind.timeoutNow:
      onTimeoutNow(raft, message, nowMs, output);
      return;
    default:
      unreachable(message);
  }
}

/** A message of a later term. Returns whether it is to be handled on. */
function adoptTerm(raft: RaftState, message: TermBound, nowMs: number, output: Output): boolean {
  switch (message.kind) {
    case MessageKind.preVote:
      return true; // a dry run moves no term
    case MessageKind.preVoteReply:
      if (message.granted) return true;
      break;
    case MessageKind.vote:
      // Thesis 4.2.3: while a leader is heard, a disturber's term is not even looked at.
      if (isSticky(raft, message, nowMs)) return false;
      break;
    case MessageKind.voteReply:
    case MessageKind.append:
    case MessageKind.appendReply:
    case MessageKind.timeoutNow:
      break;
    default:
      unreachable(message);
  }
  const leaderId = message.kind === MessageKind.append ? message.from : null;
  becomeFollower(raft, { term: message.term, leaderId, reason: `a later term was seen` }, nowMs, output);
  return true;
}

function onStaleMessage(raft: RaftState, message: TermBound, nowMs: number, output: Output): void {
  switch (message.kind) {
    case MessageKind.preVote:
    case MessageKind.vote:
      refuseStaleVote(raft, message, nowMs, output);
      return;
    case MessageKind.append:
      refuseStaleAppend(raft, message, nowMs, output);
      return;
    case MessageKind.preVoteReply:
    case MessageKind.voteReply:
    case MessageKind.appendReply:
    case MessageKind.timeoutNow:
      return;
    default:
      unreachable(message);
  }
}

function onPropose(raft: RaftState, input: ProposeInput, nowMs: number, output: Output): void {
  let appended = false;
  for (const proposal of input.proposals) {
    const bytes = proposal.payload.length + entryOverheadBytes;
    const code = refusalOf(raft, bytes);
    if (code !== null) {
      const hint = raft.leader?.transfer?.to ?? raft.leaderId;
      output.refused.push({ id: proposal.id, code, leader: hint === raft.id ? null : hint });
      continue;
    }
    const { entryKind: kind, payload } = proposal;
    const { index, term } = appendAsLeader(raft, { kind, timeMs: input.wallMs, payload }, output);
    output.accepted.push({ id: proposal.id, index, term });
    appended = true;
  }
  if (appended) replicate(raft, nowMs, output);
}

function refusalOf(raft: RaftState, bytes: number): RefusalCode | null {
  if (raft.leader === null) return raft.quorumLost ? 'QUORUM_UNAVAILABLE' : 'NOT_LEADER';
  // Thesis 3.10: a leader that hands over takes no more, or its successor never catches up.
  if (raft.leader.transfer !== null) return 'NOT_LEADER';
  if (raft.leader.probing) return 'QUORUM_UNAVAILABLE';
  if (raft.stalled) return 'OVERLOADED';
  const { uncommittedBytes } = raft.leader;
  if (uncommittedBytes > 0 && uncommittedBytes + bytes > raft.options.uncommittedBytesMax) return 'OVERLOADED';
  return null;
}

function onReconfigureInput(raft: RaftState, input: ReconfigureInput, nowMs: number, output: Output): void {
  const code = refusalOf(raft, 0);
  if (code === null) {
    onReconfigure(raft, input, nowMs, output);
    return;
  }
  const leader = raft.leader === null ? raft.leaderId : (raft.leader.transfer?.to ?? null);
  output.changesRefused.push({ id: input.id, code, leader, reason: 'only a leader changes the configuration' });
}

function onReadInput(raft: RaftState, input: ReadInput, nowMs: number, output: Output): void {
  if (raft.leader !== null && !raft.leader.probing) {
    onRead(raft, input, nowMs, output);
    return;
  }
  const code = raft.quorumLost || raft.leader !== null ? 'QUORUM_UNAVAILABLE' : 'NOT_LEADER';
  for (const id of input.readIds) output.readsRefused.push({ id, code, leader: raft.leaderId });
}

function onPersisted(raft: RaftState, receipt: PersistedInput, nowMs: number, output: Output): void {
  const { log } = raft;
  if (receipt.hardStateVersion > raft.hardStatePersisted) raft.hardStatePersisted = receipt.hardStateVersion;
  // After a truncation the bytes an older receipt speaks of may be overwritten by a write that is not done yet.
  if (receipt.epoch === log.epoch && receipt.index > log.persistedIndex && log.termAt(receipt.index) === receipt.term) {
    log.persistedIndex = receipt.index;
  }
  if (raft.role === Role.candidate && raft.hardStateDurable && !raft.votes.has(raft.id)) {
    // The requests leave only now, and so the time to answer them begins now: a slow disk is not a lost election.
    raft.resetElectionDeadline(nowMs);
    countVote(raft, raft.id, true, nowMs, output);
  }
  if (raft.role === Role.leader) afterProgress(raft, nowMs, output);
}

function onApplied(raft: RaftState, index: Index): void {
  assert(index >= raft.log.applied, 'applied never goes back');
  raft.log.applied = index;
}

function onDeadline(raft: RaftState, nowMs: number, output: Output): void {
  if (raft.leader === null) {
    if (nowMs < raft.electionDeadlineMs) return;
    const requestsWait = raft.role === Role.candidate && !raft.hardStateDurable; // for the disk
    if (raft.mayCampaign && !requestsWait && !raft.stalled) preCampaign(raft, nowMs, output);
    else raft.resetElectionDeadline(nowMs);
    return;
  }
  const { leader } = raft;
  if (nowMs >= leader.heartbeatDueMs) {
    watchLease(raft, nowMs, output);
    if (!keepsOffice(raft, nowMs, output)) return;
    broadcastHeartbeat(raft, nowMs, output);
  } else if (leader.probing || nowMs >= leader.quorumDueMs) {
    leader.quorumDueMs = Number.POSITIVE_INFINITY;
    if (!keepsOffice(raft, nowMs, output)) return;
  }
  if (leader.barriers.length > 0 && nowMs >= leader.barrierUntilMs) {
    leader.barriers = [];
    afterProgress(raft, nowMs, output);
  }
  if (leader.commitNotice) sendCommitNotices(raft, nowMs, output);
  if (leader.transfer !== null && nowMs >= leader.transfer.deadlineMs) {
    abandonTransfer(raft, nowMs, output);
    if (raft.leader === null) return;
    if (hasOutlivedItsOffice(raft)) {
      stepDownAsRemoved(raft, nowMs, output);
      return;
    }
  }
  // A learner may have caught up, or come back, without anything new to acknowledge.
  afterCommit(raft, nowMs, output);
}

/** The configuration may be committed now: the change goes on, or this leader's time is over. */
function afterCommit(raft: RaftState, nowMs: number, output: Output): void {
  if (continueChange(raft, nowMs, output)) return;
  if (raft.leader?.transfer === null && hasOutlivedItsOffice(raft)) beginTransfer(raft, null, nowMs, output);
}

/**
 * Thesis 6.2: a leader that hears no quorum cannot know whether it still is one. It takes nothing new and only asks from
 * then on, but may answer reads while its lease lasts; with that gone, so is its office.
 */
function keepsOffice(raft: RaftState, nowMs: number, output: Output): boolean {
  const leader = leaderStateOf(raft);
  if (quorumHeardSince(raft, nowMs - raft.options.electionTimeoutMsMax)) {
    endProbing(raft, nowMs); // a change of the voters may have made a quorum of who is heard
    return true;
  }
  if (nowMs >= leaseUntilMs(raft)) {
    watchLease(raft, nowMs, output); // it ran out before the office ends, and not because of that
    stepDownWithoutQuorum(raft, nowMs, output);
    return false;
  }
  if (!leader.probing) {
    leader.probing = true;
    refuseReads(raft, 'QUORUM_UNAVAILABLE', null, output);
  }
  return true;
}

function endProbing(raft: RaftState, nowMs: number): void {
  const leader = leaderStateOf(raft);
  if (!leader.probing) return;
  leader.probing = false;
  leader.leaseDoubtMs = nowMs; // what was asked meanwhile asked for no lease
}

/** A follower's answer: for its log, for the lease, and as a sign that it holds no lease of an earlier term. */
function onReply(raft: RaftState, reply: AppendReply, life: Life, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  const fell = disclaim(leader, reply.from, life);
  const progress = leader.progress.get(reply.from);
  if (progress !== undefined) renewLease(raft, progress, reply, life, nowMs);
  const matched = onAppendReply(raft, reply, nowMs, output);
  if (leader.probing && quorumHeardSince(raft, nowMs - raft.options.electionTimeoutMsMax)) endProbing(raft, nowMs);
  // A barrier that fell lets go what a quorum has had for long.
  if (matched || fell) afterProgress(raft, nowMs, output);
  else afterRound(raft, nowMs, output);
}

/** With a link may come the proof that a life of the peer ended which may have held a lease. */
function onLink(raft: RaftState, { peer, life }: LinkResetInput, nowMs: number, output: Output): void {
  onLinkReset(raft, peer, nowMs, output);
  if (life !== undefined) welcomeBack(raft, peer, output);
  if (life !== undefined && bury(leaderStateOf(raft), peer, life)) afterProgress(raft, nowMs, output);
}

function onLeaseDoubt(raft: RaftState, cause: LeaseDoubtInput['cause'], nowMs: number, output: Output): void {
  if (raft.leader === null) return;
  doubtLease(raft, cause, nowMs, output);
  raft.leader.heartbeatDueMs = nowMs; // a new lease is one round trip away
}

/**
 * A leader that cannot write must not keep its office (docs/reads.md): its words vouch for nothing from now on, and it
 * hands over to whoever has the whole log.
 */
function onDiskStall(raft: RaftState, { stalled }: DiskStallInput, nowMs: number, output: Output): void {
  raft.stalled = stalled;
  if (raft.leader === null) return;
  if (!stalled) {
    raft.leader.leaseDoubtMs = nowMs; // what was sent meanwhile asked for no lease
    return;
  }
  tellLeaseLost(raft, 'diskStall', output);
  if (raft.leader.transfer === null) beginTransfer(raft, null, nowMs, output);
}

/** Some log got longer, here or there: what follows from it. */
function afterProgress(raft: RaftState, nowMs: number, output: Output): void {
  if (advanceCommit(raft, nowMs, output)) endPatience(raft);
  afterCommit(raft, nowMs, output);
  continueTransfer(raft, output);
  afterRound(raft, nowMs, output);
}

/** A round may be confirmed, and the next may begin. */
function afterRound(raft: RaftState, nowMs: number, output: Output): void {
  releaseReads(raft, output);
  beginRound(raft, nowMs, output);
}

function writeReceipt(raft: RaftState, output: Output): void {
  if (output.hardState === null && output.persistFrom === 0 && !output.baseReset) return;
  const { log } = raft;
  output.receipt = {
    kind: InputKind.persisted,
    index: log.lastIndex,
    term: log.lastTerm,
    epoch: log.epoch,
    hardStateVersion: raft.hardStateVersion,
  };
}

function nextDeadlineMs(raft: RaftState, nowMs: number): number {
  if (raft.leader === null) return raft.electionDeadlineMs;
  const { barriers, barrierUntilMs, commitNotice, heartbeatDueMs, probing, quorumDueMs, transfer } = raft.leader;
  if (commitNotice) return nowMs;
  let dueMs = Math.min(heartbeatDueMs, quorumDueMs);
  if (barriers.length > 0) dueMs = Math.min(dueMs, barrierUntilMs);
  if (transfer !== null) dueMs = Math.min(dueMs, transfer.deadlineMs);
  return probing ? Math.min(dueMs, Math.max(nowMs, leaseUntilMs(raft))) : dueMs;
}
