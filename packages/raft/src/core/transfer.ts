import { isVoter } from './configuration.ts';
import { campaign } from './election.ts';
import { MessageKind, type TimeoutNow } from './message.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';
import { leaderStateOf, replicateTo, send } from './replication.ts';
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
  send(
    raft,
    { kind: MessageKind.timeoutNow, from: raft.id, to: transfer.to, term: raft.term, releasedTerm: 0 },
    output,
  );
}

/** A successor that did not take over in time leaves the leader in office. */
export function abandonTransfer(raft: RaftState, output: Output): void {
  const leader = leaderStateOf(raft);
  if (leader.transfer === null) return;
  output.notes.push({ kind: 'transferFailed', to: leader.transfer.to, term: raft.term });
  leader.transfer = null;
}

/** The leader of this term hands over to this node. */
export function onTimeoutNow(raft: RaftState, message: TimeoutNow, nowMs: number, output: Output): void {
  if (raft.role === Role.leader || message.from !== raft.leaderId || !raft.mayCampaign) return;
  campaign(raft, true, nowMs, output);
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
