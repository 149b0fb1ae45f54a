import { assert } from '../base/assert.ts';
import type { Output, RefusalCode } from './output.ts';
import { committedIndex } from './quorum.ts';
import { broadcastRound, leaderStateOf } from './replication.ts';
import type { ReadInput } from './input.ts';
import { isInLimbo } from './lease.ts';
import type { RaftState } from './state.ts';
import type { NodeId } from './types.ts';

// Read-index (thesis 6.4): a read may be answered from the state at the commit index of its arrival, once a round of
// messages sent after its arrival has shown that this node still led. One round is on its way at a time; reads that
// arrive meanwhile share the next. Before an entry of the term is committed a leader does not know how far its
// predecessor got: then a read waits, or is released for what the entries in limbo cannot have changed.

export function onRead(raft: RaftState, input: ReadInput, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  const patient = input.throughLimbo !== true && !knowsCommit(raft);
  for (const id of input.readIds) (patient ? leader.patientReads : leader.waitingReads).push(id);
  beginRound(raft, nowMs, output);
}

/** Thesis 6.4: a leader is certain of the commit index once an entry of its own term is committed. */
function knowsCommit(raft: RaftState): boolean {
  return raft.log.termAt(raft.log.commit) === raft.term;
}

/** Lets the reads go on that waited for that. */
export function endPatience(raft: RaftState): void {
  const leader = leaderStateOf(raft);
  if (leader.patientReads.length === 0 || !knowsCommit(raft)) return;
  leader.waitingReads.push(...leader.patientReads);
  leader.patientReads = [];
}

/** Starts the next round, if reads wait and none is on its way. */
export function beginRound(raft: RaftState, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  if (leader.waitingReads.length === 0 || leader.roundInFlight !== null) return;
  raft.round += 1;
  const limbo = isInLimbo(raft);
  leader.roundInFlight = { round: raft.round, readIds: leader.waitingReads, index: raft.log.commit, limbo };
  leader.waitingReads = [];
  if (!releaseReads(raft, output)) broadcastRound(raft, nowMs, output);
}

/** Releases the round on its way if a quorum confirmed it. */
export function releaseReads(raft: RaftState, output: Output): boolean {
  const leader = leaderStateOf(raft);
  const flight = leader.roundInFlight;
  if (flight === null) return false;
  const confirmed = committedIndex(raft.configuration, (id) =>
    id === raft.id ? raft.round : leader.progress.get(id)?.ackedRound,
  );
  if (confirmed < flight.round) return false;
  assert(flight.index <= raft.log.commit, 'a read index is committed');
  // A limbo that ended meanwhile is behind today's commit index.
  const limbo = flight.limbo && isInLimbo(raft);
  const index = flight.limbo ? raft.log.commit : flight.index;
  for (const id of flight.readIds) output.readsReleased.push({ id, index, term: raft.term, limbo });
  leader.roundInFlight = null;
  return true;
}

/** Turns away every read that waits: this node cannot prove any more that it leads. */
export function refuseReads(raft: RaftState, code: RefusalCode, hint: NodeId | null, output: Output): void {
  const leader = leaderStateOf(raft);
  for (const id of leader.roundInFlight?.readIds ?? []) output.readsRefused.push({ id, code, leader: hint });
  for (const id of leader.waitingReads) output.readsRefused.push({ id, code, leader: hint });
  for (const id of leader.patientReads) output.readsRefused.push({ id, code, leader: hint });
  leader.roundInFlight = null;
  leader.waitingReads = [];
  leader.patientReads = [];
}
