import { isVoter } from './configuration.ts';
import { campaign } from './election.ts';
import { releaseLease } from './lease.ts';
import { MessageKind, type TimeoutNow } from './message.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';
import { leaderStateOf, replicateTo, send } from './replication.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';
import { type NodeId, Role } from './types.ts';

// Leadership transfer (thesis 3.10): stop taking proposals, bring the successor up to date, tell it to campaign.

/** Begins a transfer to a voter; null picks the one that has the most. Does nothing when there is no such voter. */
export function beginTransfer(raft: RaftState, to: NodeId | null, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  const target = to ?? mostCaughtUp(raft, nowMs);
  if (target === null || target === raft.id) return;
  const progress = leader.progress.get(target);
  if (progress === undefined || !isVoter(raft.configuration, target)) return;
  leader.transfer = { to: target, deadlineMs: nowMs + raft.options.electionTimeoutMsMax, sent: false };
  replicateTo(raft, { to: target, progress }, nowMs, output);
  continueTransfer(raft, output);
}

/** Sends TimeoutNow as soon as the successor has the whole log. */
export function continueTransfer(raft: RaftState, output: Output): void {
  const leader = leaderStateOf(raft);
  const { transfer } = leader;
  if (transfer === null || transfer.sent) return;
  if (leader.progress.get(transfer.to)?.matchIndex !== raft.log.lastIndex) return;
  transfer.sent = true;
  // From here on this node can answer no read alone, for the successor will not wait for it.
  releaseLease(raft, output);
  send(
    raft,
    { kind: MessageKind.timeoutNow, from: raft.id, to: transfer.to, term: raft.term, releasedTerm: raft.term },
    output,
  );
}

/**
 * The successor did not take over in time. A leader that has given up its lease opens a new term with a new one, rather
 * than go on without; one that cannot write gives up its office.
 */
export function abandonTransfer(raft: RaftState, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  if (leader.transfer === null) return;
  const { term } = raft;
  output.notes.push({ kind: 'transferFailed', to: leader.transfer.to, term });
  leader.transfer = null;
  if (!leader.released && !raft.stalled) return;
  becomeFollower(raft, { term, leaderId: null, reason: 'the successor did not take over' }, nowMs, output);
  if (raft.mayCampaign && !raft.stalled) campaign(raft, { transfer: true, releasedTerm: term }, nowMs, output);
}

/** The leader of this term hands over to this node. */
export function onTimeoutNow(raft: RaftState, message: TimeoutNow, nowMs: number, output: Output): void {
  if (raft.role === Role.leader || message.from !== raft.leaderId || !raft.mayCampaign) return;
  campaign(raft, { transfer: true, releasedTerm: message.releasedTerm }, nowMs, output);
}

/** The voter with the longest log among those heard within an election timeout; any voter when none was. */
function mostCaughtUp(raft: RaftState, nowMs: number): NodeId | null {
  const heardSinceMs = nowMs - raft.options.electionTimeoutMsMin;
  let best: { readonly id: NodeId; readonly progress: Progress } | null = null;
  for (const [id, progress] of leaderStateOf(raft).progress) {
    if (!isVoter(raft.configuration, id)) continue;
    if (best === null || isBetter(progress, best.progress, heardSinceMs)) best = { id, progress };
  }
  return best?.id ?? null;
}

function isBetter(one: Progress, other: Progress, heardSinceMs: number): boolean {
  const oneHeard = one.ackedSentMs >= heardSinceMs;
  const otherHeard = other.ackedSentMs >= heardSinceMs;
  return oneHeard === otherHeard ? one.matchIndex > other.matchIndex : oneHeard;
}
