import { assert } from '../base/assert.ts';
import type { AppendReply, AppendRequest, RemainingPromise, VoteReply } from './message.ts';
import type { LeaseLoss, Output } from './output.ts';
import type { Progress } from './progress.ts';
import { quorumTimeMs } from './quorum.ts';
import { leaderStateOf } from './replication.ts';
import { type Barrier, type HeldPromise, type LeaderState, persistHardState, type RaftState } from './state.ts';
import { type Entry, EntryKind, type Index, type Life, type NodeId, type Term } from './types.ts';

// The promise lease (docs/reads.md). A lease here is longer than an election takes, so it cannot mean "nobody else is
// elected meanwhile". It means: whoever acknowledged me tells my successor so, and my successor commits nothing of its
// own until my lease is over, or until I have said that it is. Clocks are only ever asked for durations.

/** How much longer a promise lasts on the clock of who gives it: enough for any two clocks within the drift. */
export function stretched(durationMs: number, driftPpm: number): number {
  const drift = driftPpm / 1_000_000;
  return durationMs * ((1 + drift) / (1 - drift));
}

// ---- what every peer does

/** Promises the leader of this term its lease, before it is acknowledged. The first promise of a term is made durable. */
export function promiseLease(
  raft: RaftState,
  append: AppendRequest,
  holder: Life,
  nowMs: number,
  output: Output,
): void {
  if (append.leaseMs === 0) return;
  const durationMs = stretched(append.leaseMs, append.driftPpm);
  // Not what this node promised itself when it stood in this term: whoever won holds the lease.
  const held = raft.promises.find(({ term, holder: to }) => term === append.term && to === append.from);
  const untilMs = Math.max(held?.untilMs ?? 0, nowMs + durationMs);
  if (held !== undefined && durationMs <= held.durationMs) {
    held.untilMs = untilMs;
    return;
  }
  const others = runningPromises(raft, nowMs).filter((promise) => promise.term !== append.term);
  const { term, from } = append;
  const { incarnation, lineage } = holder;
  raft.promises = [...others, { term, holder: from, incarnation, lineage, durationMs, untilMs }];
  persistHardState(raft, output);
}

/**
 * What a node promises itself before it stands: its own acknowledgement counts for its lease, too. It rides with the vote.
 * As long as this life goes on it says itself when it leads no more; but a copy of its disk, made while it leads, must not
 * vote as if it did not. Who decides alone has nobody to be told by, and a copy of its disk is another group.
 */
export function promiseItself(raft: RaftState, term: Term, nowMs: number): void {
  const { configuration, id, life, options } = raft;
  if (options.leaseMs === 0 || configuration.incoming.length < 2) return;
  const { incarnation, lineage } = life;
  const durationMs = stretched(options.leaseMs, options.driftPpm);
  const promise = { term, holder: id, incarnation, lineage, durationMs, untilMs: nowMs + durationMs };
  raft.promises = [...runningPromises(raft, nowMs), promise];
}

/** A lease given up for good is promised no more. */
export function releasePromise(raft: RaftState, term: Term): void {
  if (term > 0) raft.promises = raft.promises.filter((promise) => promise.term !== term);
}

/** What a vote tells of promises that still run: its winner has to wait for them. */
export function promisesLeft(raft: RaftState, nowMs: number): RemainingPromise[] {
  return runningPromises(raft, nowMs).map(({ holder, incarnation, lineage, term, untilMs }) => ({
    holder,
    incarnation,
    lineage,
    term,
    remainingMs: untilMs - nowMs,
  }));
}

/** Once an entry of a later term is committed its leader has waited for all leases before: they are over. */
function runningPromises(raft: RaftState, nowMs: number): readonly HeldPromise[] {
  const committedTerm = raft.log.termAt(raft.log.commit) ?? 0;
  return raft.promises.filter(({ term, untilMs }) => untilMs > nowMs && term >= committedTerm);
}

// ---- what a candidate gathers and a new leader waits for

/** Notes what came with a granted vote. What is left of a promise is counted from now: its way here is added on top. */
export function gatherEvidence(raft: RaftState, vote: VoteReply, voter: Life, nowMs: number): void {
  const { evidence, options } = raft;
  evidence.commit = Math.max(evidence.commit, vote.commit);
  evidence.voters.push({ id: vote.from, life: voter });
  for (const { remainingMs, ...promise } of vote.promises) {
    if (promise.term === raft.releasedTerm) continue;
    evidence.barriers.push({ ...promise, untilMs: nowMs + stretched(remainingMs, options.driftPpm) });
  }
}

/** The barriers of a leader that just won: what its voters promised, what it promised itself, less who has let go. */
export function raiseBarriers(raft: RaftState, nowMs: number): Barrier[] {
  const own: Barrier[] = runningPromises(raft, nowMs).map(({ durationMs: _durationMs, ...barrier }) => barrier);
  const voters = [...raft.evidence.voters, { id: raft.id, life: raft.life }];
  return [...raft.evidence.barriers, ...own].filter(
    (barrier) => barrier.untilMs > nowMs && !voters.some(({ id, life }) => isFreedBy(barrier, id, life)),
  );
}

/**
 * A peer that answers in this term holds no lease of an earlier one: the barrier of that very life falls. A later life
 * frees an earlier one only when it is proven dead: two processes could run on copies of one disk. Returns whether any fell.
 */
export function disclaim(leader: LeaderState, peer: NodeId, life: Life): boolean {
  const { barriers } = leader;
  if (barriers.length === 0) return false;
  leader.barriers = barriers.filter((barrier) => !isFreedBy(barrier, peer, life));
  return leader.barriers.length < barriers.length;
}

/** A later life of a holder is there, and proves earlier ones dead: they hold nothing, whatever term it knows of. */
export function bury(leader: LeaderState, peer: NodeId, life: Life): boolean {
  const { barriers } = leader;
  leader.barriers = barriers.filter((barrier) => !isDeadBy(barrier, peer, life));
  return leader.barriers.length < barriers.length;
}

function isFreedBy(barrier: Barrier, peer: NodeId, life: Life): boolean {
  return isLife(barrier, peer, life) || isDeadBy(barrier, peer, life);
}

function isLife({ holder, incarnation, lineage }: Barrier, peer: NodeId, life: Life): boolean {
  return holder === peer && lineage === life.lineage && incarnation === life.incarnation;
}

function isDeadBy({ holder, incarnation, lineage }: Barrier, peer: NodeId, life: Life): boolean {
  if (holder !== peer || lineage !== life.lineage) return false;
  return incarnation >= life.deadSince && incarnation < life.incarnation;
}

/** The last entry after the commit index that may have changed what is read; 0 when there is none. */
export function limboEndOf(raft: RaftState): Index {
  const { log } = raft;
  for (let index = log.lastIndex; index > log.commit; index -= 1) {
    const { kind } = log.entryAt(index);
    if (kind === EntryKind.command || kind === EntryKind.clock) return index;
  }
  return 0;
}

/** The commands and marks of time that may or may not have been committed by an earlier leader. */
export function limboEntries(raft: RaftState): readonly Entry[] {
  const { limboEnd } = leaderStateOf(raft);
  const { log } = raft;
  if (limboEnd <= log.commit) return [];
  return log
    .range(log.commit + 1, limboEnd)
    .filter(({ kind }) => kind === EntryKind.command || kind === EntryKind.clock);
}

/** Whether the leader's commit index may be behind what an earlier leader acknowledged (thesis 6.4). */
export function isInLimbo(raft: RaftState): boolean {
  const { log } = raft;
  return log.termAt(log.commit) !== raft.term && leaderStateOf(raft).limboEnd > log.commit;
}

// ---- what a leader holds

/** Whether appends ask for a lease: not when it could not be honoured. */
export function asksLease(raft: RaftState): boolean {
  const leader = leaderStateOf(raft);
  return raft.options.leaseMs > 0 && !leader.released && !leader.probing && !raft.stalled;
}

/** Takes a reply for the lease, as of when its question left: never as of when the answer came. */
export function renewLease(raft: RaftState, progress: Progress, reply: AppendReply, life: Life, nowMs: number): void {
  if (life.incarnation < progress.incarnation) return; // a former life of the peer
  if (life.incarnation > progress.incarnation) {
    progress.incarnation = life.incarnation;
    progress.leaseAckedMs = Number.NEGATIVE_INFINITY;
    progress.clockRate.reset();
  }
  const { sentMs, peerMs } = reply;
  const leader = leaderStateOf(raft);
  if (sentMs < leader.electedMs || sentMs > nowMs) return; // not a stamp of this term
  progress.clockRate.observe({ sentMs, receivedMs: nowMs, peerMs });
  if (!asksLease(raft) || sentMs <= leader.leaseDoubtMs || sentMs <= progress.leaseAckedMs) return;
  progress.leaseAckedMs = sentMs;
}

/**
 * Until when the lease lasts by what is known now: computed anew each time, from the configuration in effect, both
 * halves of it while joint. -Infinity without one.
 */
export function leaseUntilMs(raft: RaftState): number {
  // A promise by a clock that drifts from this one faster than both are trusted to is none.
  return untilMs(raft, raft.options.driftPpm / 2_000_000);
}

/** `driftMax`: the share by which a peer's clock may run faster or slower than this one for its promise to count. */
function untilMs(raft: RaftState, driftMax: number): number {
  const leader = leaderStateOf(raft);
  const { leaseMs } = raft.options;
  if (leaseMs === 0 || leader.released || raft.stalled) return Number.NEGATIVE_INFINITY;
  const { configuration } = raft;
  const ackedMs = quorumTimeMs(configuration, (id) => {
    if (id === raft.id) return Number.POSITIVE_INFINITY;
    const progress = leader.progress.get(id);
    if (progress === undefined || progress.clockRate.difference > driftMax) return Number.NEGATIVE_INFINITY;
    return progress.leaseAckedMs;
  });
  return ackedMs + leaseMs;
}

/** Leave to answer a read from the state as of `index`, without asking anybody. */
export interface LeaseGrant {
  readonly index: Index;
  readonly term: Term;
  readonly remainingMs: number;
  /** Only for reads that no entry in limbo may have changed. */
  readonly limbo: boolean;
}

/**
 * Whether this node may answer a read now, alone. `nowMs` must be read from the clock after the read arrived, and the
 * answer be used before anything else happens; a state that is behind `index` may catch up first.
 */
export function leaseGrant(raft: RaftState, nowMs: number): LeaseGrant | null {
  if (raft.leader === null) return null;
  const remainingMs = leaseUntilMs(raft) - nowMs;
  if (!(remainingMs > 0)) return null;
  return { index: raft.log.commit, term: raft.term, remainingMs, limbo: isInLimbo(raft) };
}

/** Forgets every acknowledgement; only messages sent from now on earn a new lease. */
export function doubtLease(raft: RaftState, cause: LeaseLoss, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  for (const progress of leader.progress.values()) {
    progress.leaseAckedMs = Number.NEGATIVE_INFINITY;
    progress.clockRate.reset();
  }
  leader.leaseDoubtMs = nowMs;
  tellLeaseLost(raft, cause, output);
}

/** Gives the lease of this term up for good, so that a successor need not wait for it. */
export function releaseLease(raft: RaftState, output: Output): void {
  if (raft.options.leaseMs === 0) return;
  leaderStateOf(raft).released = true;
  tellLeaseLost(raft, 'transfer', output);
}

/** Looks at the lease from time to time, so that its end is told though nobody reads. */
export function watchLease(raft: RaftState, nowMs: number, output: Output): void {
  const leader = leaderStateOf(raft);
  if (leaseUntilMs(raft) > nowMs) leader.leaseSeen = true;
  else tellLeaseLost(raft, untilMs(raft, Number.POSITIVE_INFINITY) > nowMs ? 'clockRate' : 'expired', output);
}

export function tellLeaseLost(raft: RaftState, cause: LeaseLoss, output: Output): void {
  const leader = leaderStateOf(raft);
  if (!leader.leaseSeen) return;
  leader.leaseSeen = false;
  output.notes.push({ kind: 'leaseLost', term: raft.term, cause });
}

/** The commit index of a voter is committed, and a winner has every committed entry (Leader Completeness, thesis 3.6.3). */
export function adoptCommit(raft: RaftState, output: Output): void {
  const { log } = raft;
  const { commit } = raft.evidence;
  if (commit <= log.commit) return;
  assert(commit <= log.lastIndex, 'a winner has every committed entry');
  log.commit = commit;
  output.commit = commit;
}
