import { assert } from '../base/assert.ts';
import { type AppendReply, type AppendRequest, type Message, MessageKind } from './message.ts';
import type { Output } from './output.ts';
import { committedIndex, isQuorum, quorumTimeMs } from './quorum.ts';
import { entryOverheadBytes } from './log.ts';
import { type Progress, ProgressState } from './progress.ts';
import type { LeaderState, RaftState } from './state.ts';
import { type Configuration, type Entry, type EntryKind, entry, type NodeId } from './types.ts';

// The leader's half of AppendEntries (thesis 3.5), pipelined (thesis 10.2.1).

/**
 * Puts a message on the way. While the newest term or vote is not durable it waits for the disk: no message of a term
 * leaves before the term is on disk.
 */
export function send(raft: RaftState, message: Message, output: Output): void {
  if (raft.hardStateDurable) output.messages.push(message);
  else output.messagesAfterPersist.push(message);
}

export function leaderStateOf(raft: RaftState): LeaderState {
  assert(raft.leader !== null, 'only a leader replicates');
  return raft.leader;
}

/** Appends to the leader's own log. The disk write runs while the entries travel (thesis 10.2.1). */
export function appendAsLeader(
  raft: RaftState,
  fields: {
    readonly kind: EntryKind;
    readonly timeMs: number;
    readonly payload?: Uint8Array;
    readonly configuration?: Configuration;
  },
  output: Output,
): Entry {
  const { log } = raft;
  const appended = entry({
    index: log.lastIndex + 1,
    term: raft.term,
    kind: fields.kind,
    // Log time never goes back: after a wall clock that ran ahead it stands still.
    timeMs: Math.max(log.lastTimeMs, fields.timeMs),
    ...(fields.payload === undefined ? {} : { payload: fields.payload }),
    ...(fields.configuration === undefined ? {} : { configuration: fields.configuration }),
  });
  raft.append(appended);
  leaderStateOf(raft).uncommittedBytes += appended.payload.length + entryOverheadBytes;
  if (output.persistFrom === 0) output.persistFrom = appended.index;
  return appended;
}

/** Sends each follower what it lacks, as far as its limits allow. */
export function replicate(raft: RaftState, nowMs: number, output: Output): void {
  for (const [to, progress] of leaderStateOf(raft).progress) replicateTo(raft, { to, progress }, nowMs, output);
}

interface Follower {
  readonly to: NodeId;
  readonly progress: Progress;
}

export function replicateTo(raft: RaftState, { to, progress }: Follower, nowMs: number, output: Output): void {
  const { log, options } = raft;
  if (awaitsSnapshot(raft, { to, progress }, output)) return;
  while (progress.nextIndex <= log.lastIndex && progress.maySend(options)) {
    const roomBytes = progress.roomBytes(options);
    const nextBytes = log.entryAt(progress.nextIndex).payload.length + entryOverheadBytes;
    if (nextBytes > roomBytes && progress.inflightMessages > 0) return;
    const entries = log.slice(progress.nextIndex, Math.min(options.appendBytesMax, roomBytes));
    sendAppend(raft, { to, progress }, entries, nowMs, output);
    let bytes = 0;
    for (const item of entries) bytes += item.payload.length + entryOverheadBytes;
    progress.sentEntries(progress.nextIndex + entries.length - 1, bytes);
  }
}

/** Whether the follower must get a snapshot first. Finds out, and asks for one, when what comes next was compacted. */
function awaitsSnapshot(raft: RaftState, { to, progress }: Follower, output: Output): boolean {
  if (progress.state === ProgressState.snapshot) return true;
  if (progress.nextIndex > raft.log.baseIndex) return false;
  progress.becomeSnapshot(raft.snapshotIndex);
  output.snapshotsWanted.push({ to, index: raft.snapshotIndex });
  return true;
}

/** An append without entries: heartbeat, round of reads, notice of a commit, and the check that nothing was lost. */
export function sendEmptyAppend(raft: RaftState, follower: Follower, nowMs: number, output: Output): void {
  sendAppend(raft, follower, [], nowMs, output);
}

export function broadcastHeartbeat(raft: RaftState, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  leader.heartbeatDueMs = nowMs + raft.options.heartbeatMs;
  // The quorum may be lost before the next heartbeat: then it is noticed when it is.
  leader.quorumDueMs = quorumAckedMs(raft) + raft.options.electionTimeoutMsMax;
  for (const [to, progress] of leader.progress) {
    // A probe whose answer was lost is repeated by this message, which carries the same question.
    progress.probeSent = false;
    sendEmptyAppend(raft, { to, progress }, nowMs, output);
  }
}

/**
 * Asks everyone to confirm the newest round of reads. Not a heartbeat: rounds may follow each other at the pace of the
 * network, and would allow a dead follower a probe each, or put off the heartbeat that repeats a lost one.
 */
export function broadcastRound(raft: RaftState, nowMs: number, output: Output): void {
  for (const [to, progress] of leaderStateOf(raft).progress) sendEmptyAppend(raft, { to, progress }, nowMs, output);
}

/** Tells the followers of a commit index they have not heard (DESIGN: so that little is in doubt when a leader dies). */
export function sendCommitNotices(raft: RaftState, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  leader.commitNotice = false;
  for (const [to, progress] of leader.progress) {
    if (progress.state !== ProgressState.replicate || progress.sentCommit >= raft.log.commit) continue;
    sendEmptyAppend(raft, { to, progress }, nowMs, output);
  }
}

function sendAppend(
  raft: RaftState,
  { to, progress }: Follower,
  entries: readonly Entry[],
  nowMs: number,
  output: Output,
): void {
  // While a snapshot is on its way each heartbeat asks whether it has arrived: then the logs match at its index.
  const prevIndex = awaitsSnapshot(raft, { to, progress }, output) ? progress.pendingIndex : progress.nextIndex - 1;
  const leader = leaderStateOf(raft);
  // A leader that hears no quorum, or cannot write, has nothing to promise by its words.
  const vouches = !leader.probing && !raft.stalled;
  const prevTerm = raft.log.termAt(prevIndex);
  assert(prevTerm !== undefined, 'the entry before an append is in the log');
  const message: AppendRequest = {
    kind: MessageKind.append,
    from: raft.id,
    to,
    term: raft.term,
    prevIndex,
    prevTerm,
    entries,
    commit: raft.log.commit,
    sentMs: nowMs,
    round: raft.round,
    leaseMs: leader.released || !vouches ? 0 : raft.options.leaseMs,
    driftPpm: raft.options.driftPpm,
    probe: !vouches,
  };
  progress.sentCommit = raft.log.commit;
  send(raft, message, output);
}

/** Takes in a follower's answer. Returns whether the commit index may have moved. */
export function onAppendReply(raft: RaftState, reply: AppendReply, nowMs: number, output: Output): boolean {
  const progress = leaderStateOf(raft).progress.get(reply.from);
  if (progress === undefined) return false;
  // What the reply proves is proved as of when the question left, not as of now: it may have been on its way for long.
  if (reply.sentMs > progress.ackedSentMs && reply.sentMs <= nowMs) progress.ackedSentMs = reply.sentMs;
  if (reply.round > progress.ackedRound && reply.round <= raft.round) progress.ackedRound = reply.round;
  const follower = { to: reply.from, progress };
  if (!reply.accepted) {
    onRejected(raft, follower, reply, nowMs, output);
    return false;
  }
  assert(reply.matchIndex <= raft.log.lastIndex, 'a follower never matches beyond the log of its leader');
  const news = progress.acknowledged(reply.matchIndex);
  // A probe whose question reached beyond what was durable over there answers less: then it goes on asking.
  if (meets(raft, progress)) progress.becomeReplicate();
  replicateTo(raft, follower, nowMs, output);
  return news;
}

/** Whether entries can follow what is known to match, and that was not known before. */
function meets({ log }: RaftState, { state, matchIndex, nextIndex }: Progress): boolean {
  if (state === ProgressState.snapshot) return matchIndex >= log.baseIndex;
  return state === ProgressState.probe && matchIndex >= nextIndex - 1;
}

/** The logs part somewhere before: find out where, skipping whole terms (thesis 3.5, end). */
function onRejected(raft: RaftState, follower: Follower, reply: AppendReply, nowMs: number, output: Output): void {
  const { progress } = follower;
  const rejectedIndex = reply.matchIndex;
  if (rejectedIndex <= progress.matchIndex) return; // an old answer, overtaken
  if (progress.state === ProgressState.snapshot) return; // it has not arrived yet
  if (progress.state === ProgressState.replicate) {
    // Something in flight was lost, or came in another order.
    progress.becomeProbe(progress.matchIndex + 1);
  } else {
    if (rejectedIndex !== progress.nextIndex - 1) return; // an old probe
    const hint = raft.log.lastIndexOfTermAtMost(reply.hintIndex, reply.hintTerm);
    progress.becomeProbe(Math.max(Math.min(rejectedIndex, hint + 1), progress.matchIndex + 1));
  }
  if (progress.nextIndex <= raft.log.lastIndex) replicateTo(raft, follower, nowMs, output);
  else sendEmptyAppend(raft, follower, nowMs, output);
}

/** The link was cut or made anew: start over from what is certain, or go on looking for it. */
export function onLinkReset(raft: RaftState, peer: NodeId, nowMs: number, output: Output): void {
  const progress = leaderStateOf(raft).progress.get(peer);
  // A snapshot travels on a link of its own, and goes on where it stopped.
  if (progress === undefined || progress.state === ProgressState.snapshot) return;
  // A probe stays where it is: nothing may be known to match yet, and then starting over would mean the whole log.
  progress.becomeProbe(progress.state === ProgressState.probe ? progress.nextIndex : progress.matchIndex + 1);
  if (progress.nextIndex <= raft.log.lastIndex) replicateTo(raft, { to: peer, progress }, nowMs, output);
  else sendEmptyAppend(raft, { to: peer, progress }, nowMs, output);
}

/** Moves the commit index to what a quorum has durably, if that is an entry of this term (thesis 3.6.2, figure 3.7). */
export function advanceCommit(raft: RaftState, nowMs: number, output: Output): boolean {
  const { log } = raft;
  const leader = leaderStateOf(raft);
  // Whoever may still answer reads by an earlier lease must not be made a liar of (docs/reads.md, deferred commit).
  if (nowMs < leader.barrierUntilMs) return false;
  const committed = committedIndex(raft.configuration, (id) =>
    id === raft.id ? log.persistedIndex : leader.progress.get(id)?.matchIndex,
  );
  if (committed <= log.commit || log.termAt(committed) !== raft.term) return false;
  for (let index = log.commit + 1; index <= committed; index += 1) {
    const done = log.entryAt(index);
    if (done.term === raft.term) leader.uncommittedBytes -= done.payload.length + entryOverheadBytes;
  }
  log.commit = committed;
  output.commit = committed;
  leader.commitNotice = true;
  return true;
}

/** The latest time by which a quorum was heard, as of when it was asked. */
export function quorumAckedMs(raft: RaftState): number {
  const leader = leaderStateOf(raft);
  return quorumTimeMs(raft.configuration, (id) =>
    id === raft.id ? Number.POSITIVE_INFINITY : (leader.progress.get(id)?.ackedSentMs ?? Number.NEGATIVE_INFINITY),
  );
}

/** Whether a quorum acknowledged something sent since `sinceMs`. This node counts as heard. */
export function quorumHeardSince(raft: RaftState, sinceMs: number): boolean {
  const leader = leaderStateOf(raft);
  return isQuorum(
    raft.configuration,
    (id) => id === raft.id || (leader.progress.get(id)?.ackedSentMs ?? Number.NEGATIVE_INFINITY) > sinceMs,
  );
}
