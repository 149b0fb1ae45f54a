import { isStateDamaged, NoriError } from '../base/errors.ts';
import { Ring } from '../base/ring.ts';
import { InputKind, type LeaseDoubtInput, type PersistedInput } from '../core/input.ts';
import { entryOverheadBytes } from '../core/log.ts';
import type { SnapshotWanted } from '../core/output.ts';
import type { Message } from '../core/message.ts';
import { Role } from '../core/types.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Transport } from '../transport/transport.ts';
import type { Wal } from '../wal/wal.ts';
import { Deadlines } from './deadlines.ts';
import type { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import { hasArrived } from './quarantine.ts';
import { TimeGuard } from './time-guard.ts';

/** What one output asked for that waits for the disk. */
interface AwaitsDisk {
  readonly group: Group;
  readonly receipt: PersistedInput | null;
  readonly messages: readonly Message[];
}

/** Takes snapshots, sends them and takes them over, in the background. */
export interface SnapshotKeeper {
  /** Followers of the group need one. */
  wanted(group: Group, wanted: readonly SnapshotWanted[]): void;
  /** The group has had its turn. */
  afterTurn(group: Group): void;
}

const sweepMs = 50;

/**
 * One pass over everything that is ready: drain the inboxes, step, send, write once and sync once for all groups
 * together, apply, answer. Whatever becomes ready meanwhile waits for the next pass.
 */
export class Turn {
  /** Set while no group may act yet: a new cluster that has not met all its founders. */
  held = false;
  /** Set before the first group comes. */
  snapshots: SnapshotKeeper | null = null;
  private readonly clock: Clock;
  private readonly wal: Wal;
  private readonly transport: Transport;
  private readonly narrator: Narrator;
  private readonly onDiskFailed: (error: NoriError) => void;
  private readonly onSweep: (nowMs: number) => void;
  private readonly onMembersChanged: () => void;
  private readonly onStateDamaged: (group: Group, cause: NoriError) => boolean;
  private readonly deadlines = new Deadlines();
  private readonly groups: (Group | undefined)[] = [];
  private ready: Group[] = [];
  private requested = false;
  private stopped = false;
  private timer: Timer | null = null;
  private timerAtMs = Number.POSITIVE_INFINITY;
  private sweepAtMs = 0;
  private readonly timeGuard: TimeGuard;
  private readonly stallTimeoutMs: number;
  /** When the writes under way began, oldest first. */
  private readonly flushing = new Ring<number>();
  /** Bytes of entries taken in this turn and not staged yet. */
  private takenBytes = 0;

  constructor(parts: {
    readonly clock: Clock;
    readonly wal: Wal;
    readonly transport: Transport;
    readonly narrator: Narrator;
    /** Leases are dropped when the event loop stood still for half of it. */
    readonly leaseMs: number;
    /** A group whose disk or state machine finishes nothing for so long keeps no office. */
    readonly stallTimeoutMs: number;
    readonly onDiskFailed: (error: NoriError) => void;
    /** Called every 50 ms or so while calls wait, to end those that have waited long enough. */
    readonly onSweep: (nowMs: number) => void;
    /** A group has another configuration in effect, or knows another to be committed. */
    readonly onMembersChanged: () => void;
    /** A state machine says that its state is damaged. False: the group has to halt. */
    readonly onStateDamaged: (group: Group, cause: NoriError) => boolean;
  }) {
    this.clock = parts.clock;
    this.wal = parts.wal;
    this.transport = parts.transport;
    this.narrator = parts.narrator;
    this.onDiskFailed = parts.onDiskFailed;
    this.onSweep = parts.onSweep;
    this.stallTimeoutMs = parts.stallTimeoutMs;
    const { clock, leaseMs } = parts;
    // Without leases there is none to drop.
    const stallMs = leaseMs === 0 ? Number.POSITIVE_INFINITY : leaseMs / 2;
    this.timeGuard = new TimeGuard({ nowMs: clock.nowMs(), wallMs: clock.wallMs(), stallMs });
    this.onMembersChanged = parts.onMembersChanged;
    this.onStateDamaged = parts.onStateDamaged;
  }

  /** Since when the disk has been at the oldest write that is not finished, or null. */
  get writingSinceMs(): number | null {
    return this.flushing.peek() ?? null;
  }

  allocateSlot(): number {
    return this.deadlines.allocate();
  }

  add(group: Group): void {
    this.groups[group.slot] = group;
    this.narrator.roleOf(group.id, group.raft.role, group.raft.term);
    if (group.membersChanged()) this.onMembersChanged();
    this.schedule(group);
  }

  remove(group: Group): void {
    this.groups[group.slot] = undefined;
    this.deadlines.release(group.slot);
  }

  /** The group has something to do. */
  schedule(group: Group): void {
    if (!group.scheduled) {
      group.scheduled = true;
      this.ready.push(group);
    }
    this.request();
  }

  /** A turn is wanted, be it only to send what is queued. */
  request(): void {
    if (this.requested || this.stopped) return;
    this.requested = true;
    this.clock.soon(() => this.run());
  }

  /** Lets the groups act at last. Their election timeouts start now, or all would campaign at once. */
  release(): void {
    this.held = false;
    const nowMs = this.clock.nowMs();
    for (const group of this.groups) {
      if (group === undefined) continue;
      group.restartElectionTimeout(nowMs);
      this.schedule(group);
    }
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.timer = null;
  }

  /** The time now, for a read that came in now; leases that cannot be counted by it any more are dropped first. */
  trustedNowMs(): number {
    const nowMs = this.clock.nowMs();
    const cause = this.timeGuard.check(nowMs, this.clock.wallMs());
    if (cause !== null) this.doubtLeases(cause, nowMs);
    return nowMs;
  }

  private doubtLeases(cause: LeaseDoubtInput['cause'], nowMs: number): void {
    for (const group of this.groups) {
      if (group === undefined) continue;
      if (cause === 'clockJump') group.reads.clockJumped(nowMs);
      if (group.raft.leader === null) continue;
      this.guard(group, () => group.doubtLease(cause, nowMs));
      this.schedule(group);
    }
  }

  /**
   * A leader that cannot write must not keep its office. What took long because this process stood still says nothing
   * of the disk.
   */
  private judgeStalls(nowMs: number, stoodStillMs: number): void {
    if (stoodStillMs > this.stallTimeoutMs / 2) return;
    const { writingSinceMs } = this;
    const diskStalled = writingSinceMs !== null && nowMs - writingSinceMs > this.stallTimeoutMs;
    for (const group of this.groups) {
      if (group === undefined || group.halted !== null) continue;
      const { applyingSinceMs } = group;
      const stalled = diskStalled || (applyingSinceMs !== null && nowMs - applyingSinceMs > this.stallTimeoutMs);
      if (stalled === group.stalled) continue;
      group.stalled = stalled;
      group.push({ kind: InputKind.diskStall, stalled });
      this.schedule(group);
    }
  }

  private run(): void {
    this.requested = false;
    if (this.stopped) return;
    const stoodStillMs = this.timeGuard.sinceTurnMs(this.clock.nowMs());
    const nowMs = this.trustedNowMs();
    if (!this.held) this.pass(nowMs, this.clock.wallMs());
    if (this.stopped) return;
    if (nowMs >= this.sweepAtMs) {
      this.sweepAtMs = nowMs + sweepMs;
      this.onSweep(nowMs);
      this.judgeStalls(nowMs, stoodStillMs);
    }
    this.timeGuard.turned(nowMs);
    this.transport.flush();
    this.armTimer();
  }

  private pass(nowMs: number, wallMs: number): void {
    this.deadlines.due(nowMs, (slot) => this.enlist(this.groups[slot]));
    const batch = this.ready;
    this.ready = [];
    this.takenBytes = 0;
    for (const group of batch) {
      group.scheduled = false;
      this.guard(group, () => {
        group.assertWhole();
        group.drain(nowMs, wallMs, this.room);
        group.passTime(nowMs, wallMs, !this.wal.full);
      });
    }
    const awaiting: AwaitsDisk[] = [];
    for (const group of batch) this.guard(group, () => this.carryOut(group, awaiting));
    // The messages are on their way before the disk is asked: its write and theirs take place side by side.
    this.transport.flush();
    if (awaiting.length > 0) {
      this.flushing.push(nowMs);
      this.wal.flush((error) => {
        this.flushing.shift();
        this.onFlushed(awaiting, error);
      });
    }
    for (const group of batch) {
      this.guard(group, () => group.apply((error) => this.resume(group, error)));
      // Its slot may be another's by now.
      if (group.halted !== null) continue;
      this.guard(group, () => this.snapshots?.afterTurn(group));
      // The state machine is asked here, too, and may have been found damaged in this very turn.
      this.guard(group, () => this.deadlines.set(group.slot, group.deadlineMs(nowMs, wallMs, !this.wal.full)));
      if (group.halted === null && group.busy) this.enlist(group);
    }
    if (this.ready.length > 0) this.request();
  }

  private enlist(group: Group | undefined): void {
    if (group === undefined || group.scheduled) return;
    group.scheduled = true;
    this.ready.push(group);
  }

  /** Stages what the output wants durable, sends what may go, and notes what waits for the disk. */
  private carryOut(group: Group, awaiting: AwaitsDisk[]): void {
    const { output, raft } = group;
    for (const note of output.notes) this.narrator.note(group.id, note);
    for (const message of output.messages) this.transport.send(message.to, group.id, message);
    if (output.hardState !== null) this.wal.setHardState(group.id, output.hardState);
    if (output.base !== null) {
      if (output.baseReset) this.wal.reset(group.id, output.base);
      else this.wal.compact(group.id, output.base);
    }
    if (hasArrived(group.quarantine, raft)) {
      this.wal.setQuarantine(group.id, null);
      group.quarantine = null;
    }
    if (output.persistFrom > 0) this.wal.append(group.id, raft.log.range(output.persistFrom, raft.log.lastIndex));
    if (output.snapshotsWanted.length > 0) this.snapshots?.wanted(group, output.snapshotsWanted);
    if (output.receipt !== null || output.base !== null || output.messagesAfterPersist.length > 0) {
      awaiting.push({ group, receipt: output.receipt, messages: [...output.messagesAfterPersist] });
    }
    group.settle();
    output.reset();
    if (group.membersChanged()) this.onMembersChanged();
  }

  private onFlushed(awaiting: readonly AwaitsDisk[], error: NoriError | null): void {
    if (this.stopped) return;
    if (error !== null) {
      this.onDiskFailed(error);
      return;
    }
    for (const { group, receipt, messages } of awaiting) {
      if (group.halted !== null) continue;
      for (const message of messages) this.transport.send(message.to, group.id, message);
      if (receipt === null) continue;
      group.push(receipt);
      this.schedule(group);
    }
    this.request();
  }

  /** A slow batch of the state machine completed. */
  private resume(group: Group, error: unknown): void {
    if (this.stopped || group.halted !== null) return;
    if (error === null) this.schedule(group);
    else this.halt(group, error);
  }

  /** Whether the log has room for these entries, beside all that this turn has taken so far. */
  private readonly room = (entries: readonly { readonly payload: Uint8Array }[]): boolean => {
    // While the volume gives more there is room for anything.
    if (this.wal.roomFor(Number.POSITIVE_INFINITY)) return true;
    let bytes = this.takenBytes;
    for (const { payload } of entries) bytes += payload.length + entryOverheadBytes;
    if (!this.wal.roomFor(bytes)) return false;
    this.takenBytes = bytes;
    return true;
  };

  /** A group that breaks stops alone: its host and the other groups go on. */
  private guard(group: Group, act: () => void): void {
    if (group.halted !== null) return;
    try {
      act();
    } catch (error) {
      this.halt(group, error);
    }
  }

  halt(group: Group, cause: unknown): void {
    if (isStateDamaged(cause) && this.onStateDamaged(group, cause)) return;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `group ${group.id} stopped on this node: ${why}`;
    const code = isStateDamaged(cause) ? 'STATE_DAMAGED' : 'APPLY_FAILED';
    const error = new NoriError(code, { message, cause });
    this.silence(group, error);
    this.narrator.logger?.error({ group: group.id, err: cause }, message);
    this.narrator.tell({ scope: 'Storage', event: { type: 'GroupHalted', group: group.id, message: why } });
    group.failAll(error, new NoriError(code, { message, outcome: 'notApplied', cause }));
  }

  /** From here on the group hears nothing and says nothing on this node. */
  silence(group: Group, error: NoriError): void {
    group.halted = error;
    this.deadlines.set(group.slot, Number.POSITIVE_INFINITY);
    this.narrator.roleOf(group.id, Role.follower, group.raft.term);
  }

  private armTimer(): void {
    const next = Math.min(this.held ? Number.POSITIVE_INFINITY : this.deadlines.nextMs(), this.sweepAtMs);
    if (this.timer !== null && this.timerAtMs <= next) return; // it wakes early enough; waking for nothing is harmless
    this.timer?.cancel();
    this.timerAtMs = next;
    this.timer = this.clock.wakeAt(next, () => {
      this.timer = null;
      this.request();
    });
  }
}
