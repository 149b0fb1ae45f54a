import type { NoriError } from '../base/errors.ts';
import type { LeaseLoss, Note } from '../core/output.ts';
import { type GroupId, Role, type Term } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import type { Meter, Observer, RaftEvent, VizEvent } from '../ports/meter.ts';
import type { Logger } from './options.ts';

/** Tells operators what happens: events to the observer, counts to the meter, lines to the log. */
export class Narrator {
  readonly meter: Meter | null;
  readonly logger: Logger | null;
  private readonly observer: Observer | null;

  constructor(sinks: {
    readonly meter: Meter | null;
    readonly observer: Observer | null;
    readonly logger: Logger | null;
  }) {
    this.meter = sinks.meter;
    this.observer = sinks.observer;
    this.logger = sinks.logger;
  }

  tell(event: VizEvent): void {
    this.observer?.onEvent(event);
  }

  /** Somebody who is not a peer, or not one any more, spoke to the peer port; or a peer that is not who it was. */
  rejected(remote: string, error: NoriError): void {
    const { code, message, remedy } = error;
    this.logger?.warn({ remote, code, remedy }, message);
    this.tell({ scope: 'Peer', event: { type: 'InboundRejected', remote, code, message } });
  }

  roleOf(group: GroupId, role: Role, term: Term): void {
    this.meter?.gauge(Metric.role, group, roleValue(role));
    this.meter?.gauge(Metric.term, group, term);
  }

  /** Ordinary ends of a lease are told with the end of the office; the others are worth a look at the machine. */
  private leaseLost(group: GroupId, term: Term, cause: LeaseLoss): void {
    this.meter?.count(leaseMetrics[cause], group, 1);
    if (cause === 'steppedDown' || cause === 'transfer') return;
    this.logger?.warn({ group, term, cause }, 'lease lost: reads ask a quorum until it is back');
  }

  note(group: GroupId, note: Note): void {
    const event = toEvent(group, note);
    if (event !== null) this.observer?.onEvent({ scope: 'Raft', event });
    if (note.kind === 'roleChanged') this.roleOf(group, note.role, note.term);
    if (note.kind === 'campaignStarted' && !note.preVote) this.meter?.count(Metric.elections, group, 1);
    if (note.kind === 'leaderElected') {
      this.meter?.gauge(Metric.term, group, note.term);
      this.logger?.info({ group, term: note.term, leader: note.node }, 'leader elected');
    }
    if (note.kind === 'leaderGone') {
      this.logger?.info({ group, term: note.term, leader: note.node }, "the leader's process is gone");
    }
    if (note.kind === 'leaseLost') this.leaseLost(group, note.term, note.cause);
    if (note.kind === 'barrier') {
      this.meter?.observe(Metric.barrierMs, group, note.waitMs);
      this.meter?.observe(Metric.limboEntries, group, note.limboEntries);
      const { term, waitMs, limboEntries } = note;
      if (waitMs > 0)
        this.logger?.info({ group, term, waitMs, limboEntries }, 'waits for the lease of an earlier leader');
    }
    if (note.kind === 'steppedDown') this.logger?.warn({ group, term: note.term, reason: note.reason }, 'stepped down');
  }
}

const leaseMetrics: Readonly<Record<LeaseLoss, Metric>> = {
  expired: Metric.leaseExpired,
  steppedDown: Metric.leaseSteppedDown,
  transfer: Metric.leaseTransfer,
  clockJump: Metric.leaseClockJump,
  loopStall: Metric.leaseLoopStall,
  diskStall: Metric.leaseDiskStall,
  clockRate: Metric.leaseClockRate,
};

/** Pre-votes move no term and are left out: the specification's events are about real votes. */
function toEvent(group: GroupId, note: Note): RaftEvent | null {
  switch (note.kind) {
    case 'voteRequested':
      return note.preVote ? null : { type: 'VoteReq', group, term: note.term, from: note.from };
    case 'voteGranted':
      return note.preVote ? null : { type: 'VoteGranted', group, term: note.term, from: note.from };
    case 'leaderElected':
      return { type: 'LeaderElected', group, term: note.term, node: note.node };
    case 'steppedDown':
      return { type: 'StepDown', group, term: note.term, reason: note.reason };
    case 'leaderGone':
    case 'campaignStarted':
    case 'roleChanged':
    case 'transferFailed':
      return null;
    default:
      return null;
  }
}

/** The gauge knows three roles: a pre-candidate is a candidate to an operator. */
function roleValue(role: Role): number {
  if (role === Role.leader) return 2;
  return role === Role.follower ? 0 : 1;
}
