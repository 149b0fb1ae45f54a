import { isStateDamaged, NoriError } from '../base/errors.ts';
import { type Input, InputKind } from '../core/input.ts';
import { isInLimbo, type LeaseGrant, leaseGrant, limboEntries } from '../core/lease.ts';
import type { ReadReleased, Refused } from '../core/output.ts';
import { quorumAckedMs } from '../core/replication.ts';
import type { RaftState } from '../core/state.ts';
import { EntryKind, type GroupId, type Index, type Term } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import type { Meter } from '../ports/meter.ts';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';
import type { ReadAnswer, ReadProof } from './api.ts';
import { type Applier, toApplied } from './applier.ts';
import { answer, type ProvenRead, type WaitingRead, WaitingReads } from './reads.ts';

const nothing = new Uint8Array(0);

interface Contact {
  readonly heardMs: number;
  readonly commit: Index;
}

/**
 * The reads of one group on this node: answered by lease at once, by a round when a quorum has confirmed it, or stale.
 * What a new leader cannot know yet, because an earlier one may have committed it, no read is told.
 */
export class GroupReads {
  private readonly group: GroupId;
  private readonly raft: RaftState;
  private readonly stateMachine: StateMachine;
  private readonly applier: Applier;
  private readonly meter: Meter | null;
  private readonly nowMs: () => number;
  private readonly onStateDamaged: (cause: NoriError) => void;
  private readonly waiting = new WaitingReads();
  private asked: number[] = [];
  private patient: number[] = [];
  /** One array for as long as the entries are in limbo: a state machine may keep what it found out about it. */
  private limbo: { readonly term: Term; readonly entries: readonly AppliedEntry[] } | null = null;
  /** The last word of a leader whose commit index is not applied here yet. */
  private contact: Contact | null = null;
  private freshAsOfMs: number = Number.NEGATIVE_INFINITY;
  /** When it was last found that time had not run as this node's monotonic clock says. */
  private clockJumpedMs: number = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    readonly group: GroupId;
    readonly raft: RaftState;
    readonly stateMachine: StateMachine;
    readonly applier: Applier;
    readonly meter: Meter | null;
    readonly nowMs: () => number;
    /** The state machine said so, on a query. */
    readonly onStateDamaged: (cause: NoriError) => void;
  }) {
    this.group = parts.group;
    this.raft = parts.raft;
    this.stateMachine = parts.stateMachine;
    this.applier = parts.applier;
    this.meter = parts.meter;
    this.nowMs = parts.nowMs;
    this.onStateDamaged = parts.onStateDamaged;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Whether the core has not heard of some of them yet. */
  get unasked(): boolean {
    return this.asked.length > 0 || this.patient.length > 0;
  }

  /**
   * Answers at this very place in the program, without asking anybody: the lease allows it, and the state is up to date.
   * Null when the read has to wait for something, or the state machine threw. `nowMs` is read after the read arrived.
   */
  answerNow(query: Uint8Array, nowMs: number): ReadAnswer | null {
    const grant = leaseGrant(this.raft, nowMs);
    if (grant === null || grant.limbo || this.applier.busy) return null;
    const { applied } = this.raft.log;
    if (applied < grant.index) return null;
    let result: Uint8Array;
    try {
      result = this.stateMachine.query(query);
    } catch {
      return null; // it is asked once more where its error can be told
    }
    this.meter?.count(Metric.readsByLease, this.group, 1);
    return { via: 'lease', index: applied, term: grant.term, leaseRemainingMs: leaseLeft(this.raft, grant), result };
  }

  /** Answers as soon as the state has caught up, when the lease allows it; of entries in limbo the state machine judges. */
  byLease(read: WaitingRead, nowMs: number): boolean {
    const grant = leaseGrant(this.raft, nowMs);
    if (grant === null) return false;
    const { index, term, limbo } = grant;
    const proven: ProvenRead = {
      read,
      via: 'lease',
      index,
      term,
      limbo,
      leaseRemainingMs: leaseLeft(this.raft, grant),
    };
    const behind = this.applier.busy || this.raft.log.applied < index;
    if (behind) this.waiting.addProven(proven);
    else this.serveOne(proven);
    return true;
  }

  /** Answers once a quorum has confirmed that this node led when the read had arrived (thesis 6.4). */
  byRound(read: WaitingRead): void {
    this.asked.push(this.waiting.add(read));
  }

  /** Answers from what this node has, and says how old that may be. */
  stale(read: WaitingRead, nowMs: number): void {
    const { log, term } = this.raft;
    const proven: ProvenRead = { read, via: 'stale', index: log.applied, term, limbo: false };
    if (this.applier.busy) this.waiting.addProven(proven);
    else this.serveOne(proven, nowMs);
  }

  /** Answers once the state has caught up with what a leader elsewhere vouched for. */
  addProven(read: WaitingRead, at: { readonly index: Index; readonly term: Term }): void {
    this.waiting.addProven({ read, via: 'readIndex', limbo: false, ...at });
  }

  /** What the core is to be told of reads now. */
  take(): Input[] {
    const inputs: Input[] = [];
    if (this.asked.length > 0) inputs.push({ kind: InputKind.read, readIds: this.asked, throughLimbo: true });
    if (this.patient.length > 0) inputs.push({ kind: InputKind.read, readIds: this.patient });
    this.asked = [];
    this.patient = [];
    return inputs;
  }

  released(read: ReadReleased): void {
    this.waiting.released(read);
  }

  refused(refusal: Refused, toError: (refusal: Refused) => NoriError): void {
    this.waiting.refused(refusal, toError);
  }

  /** Answers what the state applied so far covers. */
  serve(): void {
    if (this.applier.busy) return;
    this.waiting.serve(this.raft.log.applied, (proven) => this.serveOne(proven));
  }

  expire(nowMs: number): void {
    this.waiting.expire(nowMs);
  }

  /** Nothing more will be applied here: what waits for that waits in vain. */
  failBehind(error: NoriError): void {
    this.waiting.failBehind(this.raft.log.applied, error);
  }

  failAll(error: NoriError): void {
    this.asked = [];
    this.patient = [];
    this.waiting.failAll(error);
  }

  /** A leader's word arrived: with its commit index applied, this node knows what was current then. */
  heardLeader(commit: Index, nowMs: number): void {
    this.noteApplied();
    this.contact ??= { heardMs: nowMs, commit };
    this.noteApplied();
  }

  /** How long ago anything before was, this node cannot tell any more: it may have been suspended. */
  clockJumped(nowMs: number): void {
    this.clockJumpedMs = nowMs;
    this.freshAsOfMs = Number.NEGATIVE_INFINITY;
    this.contact = null;
  }

  /** How long ago, at most, what this node shows was current. */
  ageMs(nowMs: number): number {
    this.noteApplied();
    const { raft } = this;
    if (raft.leader === null || isInLimbo(raft)) return Math.max(0, nowMs - this.freshAsOfMs);
    if (leaseGrant(raft, nowMs) !== null) return 0;
    const ackedMs = quorumAckedMs(raft);
    return ackedMs > this.clockJumpedMs ? Math.max(0, nowMs - ackedMs) : Number.POSITIVE_INFINITY;
  }

  private noteApplied(): void {
    if (this.contact === null || this.contact.commit > this.raft.log.applied) return;
    this.freshAsOfMs = this.contact.heardMs;
    this.contact = null;
  }

  private serveOne(proven: ProvenRead, nowMs?: number): void {
    const { read, via, term, leaseRemainingMs } = proven;
    if (proven.limbo && !this.isClear(read.query, term)) {
      this.waitOutLimbo(read);
      return;
    }
    const index = this.raft.log.applied;
    let proof: ReadProof = { via, index, term };
    if (leaseRemainingMs !== undefined) proof = { via, index, term, leaseRemainingMs };
    else if (via === 'stale') proof = { via, index, term, ageMs: this.ageMs(nowMs ?? this.nowMs()) };
    if (via === 'readIndex') this.meter?.observe(Metric.readIndexMs, this.group, this.nowMs() - read.startMs);
    this.meter?.count(readMetrics[via], this.group, 1);
    const cause = answer(read, () => (read.query === null ? nothing : this.stateMachine.query(read.query)), proof);
    if (isStateDamaged(cause)) this.onStateDamaged(cause);
  }

  /** Whether no entry in limbo may change the answer to the query, as of now. */
  private isClear(query: Uint8Array | null, term: Term): boolean {
    const { raft, stateMachine } = this;
    if (query === null || raft.leader === null || raft.term !== term || !isInLimbo(raft)) return false;
    if (stateMachine.conflicts === undefined) return false;
    if (this.limbo?.term !== term) this.limbo = { term, entries: limboEntries(raft).map(toLimbo) };
    try {
      return !stateMachine.conflicts(query, this.limbo.entries);
    } catch {
      return false; // it cannot say, so the read waits
    }
  }

  /** The read waits for the first commit of the term, if its caller has the time; the next turn asks the core. */
  private waitOutLimbo(read: WaitingRead): void {
    const untilMs = this.raft.leader?.barrierUntilMs ?? Number.NEGATIVE_INFINITY;
    if (!read.hasty && untilMs < read.deadlineMs) {
      this.patient.push(this.waiting.add(read));
      return;
    }
    const retryAfterMs = Math.max(1, Math.ceil(untilMs - this.nowMs()));
    const message = `group ${this.group} cannot tell yet whether what the read depends on was committed`;
    read.done(new NoriError('READ_IN_LIMBO', { message, retryAfterMs }), null, nothing);
  }
}

/** More than a lease is never left, though a leader alone could say so. */
function leaseLeft({ options }: RaftState, { remainingMs }: LeaseGrant): number {
  return Math.min(remainingMs, options.leaseMs);
}

const readMetrics = {
  lease: Metric.readsByLease,
  readIndex: Metric.readsByRound,
  stale: Metric.readsStale,
} as const;

function toLimbo(entry: Parameters<typeof toApplied>[0]): AppliedEntry {
  const applied = toApplied(entry);
  return entry.kind === EntryKind.command ? applied : { ...applied, command: nothing };
}
