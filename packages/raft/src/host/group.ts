import { NoriError } from '../base/errors.ts';
import { Ring } from '../base/ring.ts';
import type { Quarantine } from '../codec/record.ts';
import { type Input, InputKind, type LeaseDoubtInput, type Proposal } from '../core/input.ts';
import { MessageKind } from '../core/message.ts';
import { type Accepted, Output, type Refused } from '../core/output.ts';
import { entryOverheadBytes } from '../core/log.ts';
import { step } from '../core/raft.ts';
import type { RaftState } from '../core/state.ts';
import { type Entry, EntryKind, type GroupId, type Index, Role, type SnapshotPoint, type Term } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import type { Meter } from '../ports/meter.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import { Applier } from './applier.ts';
import { WaitingChanges } from './changes.ts';
import type { Subscription } from './subscription.ts';
import { type WaitingProposal, WaitingProposals } from './proposals.ts';
import { GroupReads } from './group-reads.ts';

const nothing = new Uint8Array(0);
/** Names the proposal that only carries time. */
const clockId = -1;
/** So long between two of them, should the state machine not move on, or the log refuse it. */
const clockEveryMs = 50;

export interface GroupLimits {
  readonly inputsPerTurnMax: number;
  readonly applyBytesPerTurnMax: number;
}

/** One group on this host: its core, what waits to go in, and who waits for what comes out. */
export class Group {
  readonly id: GroupId;
  /** Its place in the host's array of deadlines. */
  readonly slot: number;
  readonly raft: RaftState;
  readonly stateMachine: StateMachine;
  readonly output: Output = new Output();
  readonly waiting: WaitingProposals = new WaitingProposals();
  readonly reads: GroupReads;
  readonly changes: WaitingChanges;
  readonly applier: Applier;
  readonly subscriptions: Set<Subscription> = new Set();
  /** In the host's list of groups with something to do. */
  scheduled = false;
  /** Those who hear how a transfer of leadership away from this node ended. */
  readonly transfers: Set<(succeeded: boolean) => void> = new Set();
  /** What a query found, until the turn sees to it. */
  private damage: NoriError | null = null;
  /** Why the group stopped on this host, or null. */
  halted: NoriError | null = null;
  /** Its log or snapshot was damaged on this host, and it is not yet what it was before. */
  quarantine: Quarantine | null = null;
  /** Nothing was ever done to its state machine in this life of the node. */
  pristine = false;
  /** Its state is being replaced by one that the log does not lead to: its members stay who they are until that is done. */
  replacing = false;
  /** Bytes of entries applied since the last snapshot, what was applied at start included. */
  bytesSinceSnapshot = 0;
  private readonly limits: GroupLimits;
  private readonly meter: Meter | null;
  private readonly nowMs: () => number;
  private readonly inbox = new Ring<Input>();
  private submitted: WaitingProposal[] = [];
  private clockProposed = false;
  private clockNotBeforeMs: number = Number.NEGATIVE_INFINITY;
  private committedTerm: Term = 0;
  private applySinceMs = 0;
  /** The core was told that the disk or the state machine stands still. */
  stalled = false;
  /** The configurations that were last taken note of, in effect and committed. */
  private membersSeen: readonly [Index, Index] = [-1, -1];
  /** Commit times are measured through here. */
  private measured: Index = 0;

  constructor(fields: {
    readonly id: GroupId;
    readonly slot: number;
    readonly raft: RaftState;
    readonly stateMachine: StateMachine;
    readonly limits: GroupLimits;
    readonly meter: Meter | null;
    readonly nowMs: () => number;
    /** The group wants a turn. */
    readonly schedule: (group: Group) => void;
  }) {
    this.id = fields.id;
    this.slot = fields.slot;
    this.raft = fields.raft;
    this.stateMachine = fields.stateMachine;
    this.limits = fields.limits;
    this.meter = fields.meter;
    this.nowMs = fields.nowMs;
    this.changes = new WaitingChanges(fields.id);
    this.output.deadlineMs = this.raft.electionDeadlineMs;
    this.applier = new Applier(this.raft.log, this.stateMachine, fields.limits.applyBytesPerTurnMax, {
      onApplied: (index) => this.onApplied(index),
      onResult: (index, term, result) => this.waiting.applied(index, term, result),
    });
    this.reads = new GroupReads({
      group: this.id,
      raft: this.raft,
      stateMachine: this.stateMachine,
      applier: this.applier,
      meter: this.meter,
      nowMs: this.nowMs,
      onStateDamaged: (cause) => {
        this.damage = cause;
        fields.schedule(this);
      },
    });
  }

  /** How many callers wait for an outcome here. */
  get pending(): number {
    return this.waiting.size + this.reads.size + this.submitted.length + this.changes.size;
  }

  /** The state machine keeps its own state and has no room for more. */
  get full(): boolean {
    return this.stateMachine.hasRoom?.() === false;
  }

  /** Whether a further turn has something to do for the group, time aside. */
  get busy(): boolean {
    return this.inbox.length > 0 || this.submitted.length > 0 || this.reads.unasked || this.applier.ready;
  }

  /** @throws NoriError STATE_DAMAGED, what a query was answered with. */
  assertWhole(): void {
    if (this.damage !== null) throw this.damage;
  }

  push(input: Input): void {
    this.inbox.push(input);
  }

  submit(waiting: WaitingProposal): void {
    this.submitted.push(waiting);
  }

  /**
   * Hands the core what has gathered: messages first, then this turn's proposals and reads as one batch each.
   * Entries of others for which the log has no `room` are dropped, like a lost message: nothing was promised for them.
   */
  drain(nowMs: number, wallMs: number, room: (entries: readonly { readonly payload: Uint8Array }[]) => boolean): void {
    for (let left = Math.min(this.inbox.length, this.limits.inputsPerTurnMax); left > 0; left -= 1) {
      const input = this.inbox.shift() as Input;
      const entries = entriesOf(input);
      if (entries.length > 0 && !room(entries)) continue;
      step(this.raft, input, nowMs, this.output);
      this.noteContact(input, nowMs);
    }
    if (this.submitted.length > 0) {
      if (this.raft.role !== Role.leader || room(this.submitted)) this.stepProposals(nowMs, wallMs);
      else this.refuseSubmitted();
    }
    for (const reads of this.reads.take()) step(this.raft, reads, nowMs, this.output);
  }

  private noteContact(input: Input, nowMs: number): void {
    if (input.kind !== InputKind.message || input.message.kind !== MessageKind.append) return;
    const { from, term, commit, probe } = input.message;
    // One that only probes does not know itself whether what it has is current.
    if (!probe && term === this.raft.term && from === this.raft.leaderId) this.reads.heardLeader(commit, nowMs);
  }

  /** Time may not have run as it seems: what this node holds by it is void, before anything else happens. */
  doubtLease(cause: LeaseDoubtInput['cause'], nowMs: number): void {
    step(this.raft, { kind: InputKind.leaseDoubt, cause }, nowMs, this.output);
  }

  /** Since when the state machine has been busy with one batch, or null. */
  get applyingSinceMs(): number | null {
    return this.applier.busy ? this.applySinceMs : null;
  }

  /** Steps the deadline if it has come, and lets a leader write down that time has passed for what expires. */
  passTime(nowMs: number, wallMs: number, mayWrite: boolean): void {
    if (mayWrite && !this.full && this.expiryInMs(nowMs, wallMs) <= 0) {
      this.clockProposed = true;
      this.clockNotBeforeMs = nowMs + clockEveryMs;
      const proposals = [{ id: clockId, entryKind: EntryKind.clock, payload: nothing }];
      step(this.raft, { kind: InputKind.propose, proposals, wallMs }, nowMs, this.output);
    }
    if (this.output.deadlineMs <= nowMs) step(this.raft, { kind: InputKind.deadline }, nowMs, this.output);
  }

  /** Starts the election timeout anew, for a group that was held back until now. */
  restartElectionTimeout(nowMs: number): void {
    this.raft.startElectionTimeout(nowMs);
    this.output.deadlineMs = this.raft.electionDeadlineMs;
  }

  /** When the group next wants to be looked at, in the host's monotonic ms. */
  deadlineMs(nowMs: number, wallMs: number, mayWrite: boolean): number {
    const core = this.output.deadlineMs;
    return mayWrite && !this.full ? Math.min(core, nowMs + this.expiryInMs(nowMs, wallMs)) : core;
  }

  /** In how long something expires that nobody has written down yet; a state that is being changed is not asked. */
  private expiryInMs(nowMs: number, wallMs: number): number {
    const { applier, raft, stateMachine } = this;
    if (this.clockProposed || raft.role !== Role.leader || applier.busy) return Number.POSITIVE_INFINITY;
    const at = stateMachine.nextDeadlineMs?.() ?? Number.NaN;
    return Number.isNaN(at) ? Number.POSITIVE_INFINITY : Math.max(at - wallMs, this.clockNotBeforeMs - nowMs);
  }

  private refuseSubmitted(): void {
    const { submitted } = this;
    this.submitted = [];
    for (const waiting of submitted) waiting.done(diskFull(), 0, nothing);
  }

  private stepProposals(nowMs: number, wallMs: number): void {
    const batch = this.submitted;
    this.submitted = [];
    const proposals: Proposal[] = Array.from({ length: batch.length });
    for (let id = 0; id < batch.length; id += 1) {
      proposals[id] = { id, entryKind: EntryKind.command, payload: (batch[id] as WaitingProposal).payload };
    }
    const { accepted, refused } = this.output;
    const alreadyAccepted = accepted.length;
    const alreadyRefused = refused.length;
    step(this.raft, { kind: InputKind.propose, proposals, wallMs }, nowMs, this.output);
    for (let at = alreadyAccepted; at < accepted.length; at += 1) {
      const { id, index, term } = accepted[at] as Accepted;
      this.waiting.accepted(batch[id] as WaitingProposal, index, term);
    }
    for (let at = alreadyRefused; at < refused.length; at += 1) {
      const refusal = refused[at] as Refused;
      (batch[refusal.id] as WaitingProposal).done(refusalError(this.id, refusal), 0, nothing);
    }
  }

  /** Carries out what of the output concerns callers on this host; the host itself sends and persists. */
  settle(): void {
    const { output } = this;
    for (const read of output.readsReleased) this.reads.released(read);
    for (const refusal of output.readsRefused) this.reads.refused(refusal, (why) => refusalError(this.id, why));
    for (const refusal of output.refused) if (refusal.id === clockId) this.clockProposed = false;
    for (const note of output.notes) {
      if (note.kind === 'steppedDown') this.endTransfers(true);
      else if (note.kind === 'transferFailed') this.endTransfers(false);
    }
    if (output.commit > 0) this.onCommit(output.commit);
    if (this.changes.size > 0) this.changes.settle(output, this.raft);
    if (this.raft.role !== Role.leader) this.clockProposed = false;
  }

  /** Whether another configuration is in effect, or known to be committed, than when this was last asked. */
  membersChanged(): boolean {
    const { configurationIndex, committedConfigurationIndex } = this.raft;
    const [inEffect, committed] = this.membersSeen;
    if (inEffect === configurationIndex && committed === committedConfigurationIndex) return false;
    this.membersSeen = [configurationIndex, committedConfigurationIndex];
    return true;
  }

  private endTransfers(succeeded: boolean): void {
    for (const done of this.transfers) done(succeeded);
  }

  private onCommit(commit: Index): void {
    const { log } = this.raft;
    if (this.meter !== null) {
      const nowMs = this.nowMs();
      for (let index = this.measuredThrough(commit) + 1; index <= commit; index += 1) {
        const waiting = this.waiting.at(index);
        if (waiting !== undefined) this.meter.observe(Metric.commitMs, this.id, nowMs - waiting.startMs);
      }
    }
    const term = log.termAt(commit) ?? this.raft.term;
    if (term === this.committedTerm) return;
    this.committedTerm = term;
    this.waiting.termCommitted(commit, term, (index) => log.termAt(index));
  }

  private measuredThrough(commit: Index): Index {
    const before = Math.max(this.measured, this.raft.log.applied);
    this.measured = commit;
    return before;
  }

  /** Applies one batch, then answers the reads it was awaited by. `resume` is called when a slow batch completes. */
  apply(resume: (error: unknown) => void): void {
    if (this.applier.ready) {
      const startMs = this.nowMs();
      this.applySinceMs = startMs;
      const measure = (): void => this.meter?.observe(Metric.applyMs, this.id, this.nowMs() - startMs);
      const complete = this.applier.applyBatch((error) => {
        if (error === null) measure();
        resume(error);
      });
      if (complete) measure();
    }
    this.reads.serve();
  }

  private onApplied(through: Index): void {
    const { log } = this.raft;
    const from = log.applied + 1;
    step(this.raft, { kind: InputKind.applied, index: through }, this.nowMs(), this.output);
    for (let index = from; index <= through; index += 1) {
      const entry = log.entryAt(index);
      this.bytesSinceSnapshot += entry.payload.length + entryOverheadBytes;
      if (entry.kind === EntryKind.clock) this.clockProposed = false;
      if (entry.kind !== EntryKind.command) continue;
      for (const subscription of this.subscriptions) subscription.offer(index, entry.payload);
    }
  }

  /** The state machine holds a snapshot of another node, which took the place of commands that nobody here applied. */
  onRestored(point: SnapshotPoint): void {
    const overtaken = new NoriError('OUTCOME_UNKNOWN', {
      message: `a snapshot through ${point.index} took the place of the command`,
    });
    this.waiting.overtaken(point.index, overtaken);
    const gap = new NoriError('APPLIED_GAP', {
      message: `a snapshot took the place of commands through ${point.index}`,
    });
    for (const subscription of this.subscriptions) subscription.end(gap);
    this.subscriptions.clear();
    step(this.raft, { kind: InputKind.snapshotInstalled, point }, this.nowMs(), this.output);
    this.bytesSinceSnapshot = 0;
    this.applier.busy = false;
  }

  /** Ends the waits whose time is over. */
  expire(nowMs: number): void {
    this.expireSubmitted(nowMs);
    this.waiting.expire(nowMs);
    this.changes.expire(nowMs);
    this.reads.expire(nowMs);
  }

  /** While the cluster is not founded no turn takes them up; they are in no log. */
  private expireSubmitted(nowMs: number): void {
    if (!this.submitted.some(({ deadlineMs }) => deadlineMs <= nowMs)) return;
    const late = this.submitted.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.submitted = this.submitted.filter(({ deadlineMs }) => deadlineMs > nowMs);
    const message = `group ${this.id} has no leader: the cluster has not met all its founding members`;
    for (const waiting of late) waiting.done(new NoriError('NOT_LEADER', { message }), 0, nothing);
  }

  /** Nobody is answered here any more. `notTaken` goes to those whose command never reached the log. */
  failAll(error: NoriError, notTaken: NoriError): void {
    const { submitted } = this;
    this.submitted = [];
    for (const waiting of submitted) waiting.done(notTaken, 0, nothing);
    this.waiting.failAll(error);
    this.changes.failAll(error);
    this.reads.failAll(error);
    for (const subscription of this.subscriptions) subscription.end(error);
    this.subscriptions.clear();
    this.endTransfers(false);
  }
}

const noEntries: readonly Entry[] = [];

function entriesOf(input: Input): readonly Entry[] {
  if (input.kind !== InputKind.message || input.message.kind !== MessageKind.append) return noEntries;
  return input.message.entries;
}

export function diskFull(): NoriError {
  return new NoriError('DISK_FULL', { message: 'the volume of the data directory is full' });
}

export function refusalError(group: GroupId, refusal: Refused): NoriError {
  const leader = refusal.leader === null ? 'no leader is known' : `${refusal.leader} leads`;
  switch (refusal.code) {
    case 'NOT_LEADER':
      return new NoriError('NOT_LEADER', {
        message: `this node does not lead group ${group}: ${leader}`,
        leaderHint: refusal.leader,
      });
    case 'QUORUM_UNAVAILABLE':
      return new NoriError('QUORUM_UNAVAILABLE', { message: `group ${group} has lost its quorum` });
    case 'OVERLOADED':
      return new NoriError('OVERLOADED', { message: `group ${group} has too many uncommitted bytes` });
    case 'UNSUPPORTED':
      return new NoriError('UNSUPPORTED', { message: `group ${group} cannot do that` });
    default:
      throw new TypeError('unreachable');
  }
}
