import { assert } from '../base/assert.ts';
import { promiseLease } from './lease.ts';
import { type AppendReply, type AppendRequest, MessageKind } from './message.ts';
import type { Output } from './output.ts';
import { send } from './replication.ts';
import { followLeader } from './roles.ts';
import type { RaftState } from './state.ts';
import type { Index, Life, Term } from './types.ts';

// The follower's half of AppendEntries (thesis 3.5, figure 3.1).

/** Takes in an append of this term. */
export function onAppend(raft: RaftState, append: AppendRequest, life: Life, nowMs: number, output: Output): void {
  followLeader(raft, { id: append.from, probes: append.probe }, nowMs, output);
  promiseLease(raft, append, life, nowMs, output);
  const { log } = raft;
  if (append.prevIndex >= log.baseIndex && log.termAt(append.prevIndex) !== append.prevTerm) {
    reject(raft, append, nowMs, output);
    return;
  }
  takeEntries(raft, append, output);
  const matchIndex = append.prevIndex + append.entries.length;
  const commit = Math.min(append.commit, matchIndex);
  if (commit > log.commit) {
    log.commit = commit;
    output.commit = commit;
  }
  // Whatever the group decided before this leader's term, and what became of this node's vote, is in the log by now.
  if (raft.newcomer && log.termAt(log.commit) === raft.term) raft.newcomer = false;
  // The entries may have made this node a voter: from now on it keeps an eye on its leader.
  if (raft.electionDeadlineMs === Number.POSITIVE_INFINITY) raft.resetElectionDeadline(nowMs);
  acknowledge(raft, append, matchIndex, nowMs, output);
}

/** Appends what is new. Only a real conflict truncates: an old duplicate must not take back what came after it. */
function takeEntries(raft: RaftState, append: AppendRequest, output: Output): void {
  const { log } = raft;
  for (const item of append.entries) {
    if (item.index <= log.commit) {
      assert(item.index <= log.baseIndex || log.termAt(item.index) === item.term, 'a leader has every committed entry');
      continue;
    }
    if (item.index <= log.lastIndex) {
      if (log.termAt(item.index) === item.term) continue;
      raft.truncateFrom(item.index);
      if (output.persistFrom > item.index) output.persistFrom = item.index;
    }
    raft.append(item);
    if (output.persistFrom === 0) output.persistFrom = item.index;
  }
}

/** Vouches for the log only as far as the disk does: at once for what is durable, after the disk for what is new. */
function acknowledge(raft: RaftState, append: AppendRequest, matchIndex: Index, nowMs: number, output: Output): void {
  const { log } = raft;
  if (append.entries.length > 0 && matchIndex > log.persistedIndex) {
    output.messagesAfterPersist.push(replyTo(raft, append, { accepted: true, matchIndex }, nowMs));
    return;
  }
  // A heartbeat is answered even while the disk is slow, for as much as is durable.
  const durable = Math.min(matchIndex, log.persistedIndex);
  send(raft, replyTo(raft, append, { accepted: true, matchIndex: durable }, nowMs), output);
}

function reject(raft: RaftState, append: AppendRequest, nowMs: number, output: Output): void {
  const hintIndex = raft.log.lastIndexOfTermAtMost(append.prevIndex, append.prevTerm);
  const hintTerm = raft.log.termAt(hintIndex) as Term;
  const answer = { accepted: false, matchIndex: append.prevIndex, hintIndex, hintTerm };
  send(raft, replyTo(raft, append, answer, nowMs), output);
}

/**
 * Tells a leader of an earlier term that its time is over. Vouches for nothing: the reply is of this term, and its
 * receiver may lead this term by now, in a new life whose rounds and clock began anew. An echo would confirm a read
 * it was never asked about, and a place that did not match would send a probe back. Index 0 always matches, so no
 * leader takes this for an answer of its term.
 */
export function refuseStaleAppend(raft: RaftState, append: AppendRequest, nowMs: number, output: Output): void {
  const unstamped = { from: append.from, sentMs: 0, round: 0 };
  send(raft, replyTo(raft, unstamped, { accepted: false, matchIndex: 0 }, nowMs), output);
}

function replyTo(
  raft: RaftState,
  append: Pick<AppendRequest, 'from' | 'sentMs' | 'round'>,
  answer: {
    readonly accepted: boolean;
    readonly matchIndex: Index;
    readonly hintIndex?: Index;
    readonly hintTerm?: Term;
  },
  nowMs: number,
): AppendReply {
  return {
    kind: MessageKind.appendReply,
    from: raft.id,
    to: append.from,
    term: raft.term,
    accepted: answer.accepted,
    matchIndex: answer.matchIndex,
    hintIndex: answer.hintIndex ?? 0,
    hintTerm: answer.hintTerm ?? 0,
    sentMs: append.sentMs,
    round: append.round,
    peerMs: nowMs,
  };
}
