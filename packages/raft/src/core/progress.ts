import { assert } from '../base/assert.ts';
import { Ring } from '../base/ring.ts';
import { ClockRate } from './clock-rate.ts';
import type { Index } from './types.ts';

export const ProgressState = {
  /** Where the logs part is not known: one append at a time. */
  probe: 0,
  /** The follower keeps up: appends are pipelined within the inflight limits. */
  replicate: 1,
  /** It needs entries that were compacted: a snapshot is on its way, and no entries until it has arrived. */
  snapshot: 2,
} as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

interface Sent {
  readonly lastIndex: Index;
  readonly bytes: number;
}

/** What a leader knows of one follower or learner. */
export class Progress {
  state: ProgressState = ProgressState.probe;
  /** The follower's log is known to match durably through here. */
  matchIndex: Index = 0;
  /** The next index to send. */
  nextIndex: Index;
  /** A probe is on its way: wait for its answer or the next heartbeat. */
  probeSent = false;
  /** The snapshot on its way covers the log through here: from the next entry on it is kept. */
  pendingIndex: Index = 0;
  /** The highest commit index told to the follower. */
  sentCommit: Index = 0;
  /** When the leader sent the newest message that the follower acknowledged, in the leader's ms. */
  ackedSentMs: number;
  /** The same, of those that count for the lease: -Infinity until one does. */
  leaseAckedMs: number = Number.NEGATIVE_INFINITY;
  /** The life of the follower that acknowledged them; 0 before the first word. */
  incarnation = 0;
  /** How its clock runs against the leader's. */
  readonly clockRate: ClockRate = new ClockRate();
  /** The newest round of reads the follower confirmed. */
  ackedRound = 0;
  private readonly inflight = new Ring<Sent>();
  private inflightBytes = 0;

  constructor(nextIndex: Index, nowMs: number) {
    this.nextIndex = nextIndex;
    this.ackedSentMs = nowMs;
  }

  get inflightMessages(): number {
    return this.inflight.length;
  }

  /** Whether entries may be sent now. One message is always allowed, however large its entry. */
  maySend(limits: InflightLimits): boolean {
    if (this.state === ProgressState.probe) return !this.probeSent;
    if (this.inflight.length === 0) return true;
    return this.inflight.length < limits.inflightMessagesMax && this.inflightBytes < limits.inflightBytesMax;
  }

  /** How many bytes of entries the next append may carry. A single entry may be larger, when it travels alone. */
  roomBytes(limits: InflightLimits): number {
    return this.state === ProgressState.probe ? limits.inflightBytesMax : limits.inflightBytesMax - this.inflightBytes;
  }

  /** Entries through `lastIndex` left. */
  sentEntries(lastIndex: Index, bytes: number): void {
    if (this.state === ProgressState.probe) {
      this.probeSent = true;
      return;
    }
    assert(lastIndex >= this.nextIndex, 'a pipelined append moves forward');
    this.nextIndex = lastIndex + 1;
    this.inflight.push({ lastIndex, bytes });
    this.inflightBytes += bytes;
  }

  /** The follower holds everything through `matchIndex`. Returns whether that is news. */
  acknowledged(matchIndex: Index): boolean {
    this.freeThrough(matchIndex);
    const news = matchIndex > this.matchIndex;
    if (news) this.matchIndex = matchIndex;
    if (this.nextIndex <= matchIndex) this.nextIndex = matchIndex + 1;
    return news;
  }

  /** The logs are known to meet at matchIndex: from here on appends are pipelined. */
  becomeReplicate(): void {
    this.state = ProgressState.replicate;
    this.probeSent = false;
    this.nextIndex = this.matchIndex + 1;
    this.clearInflight();
  }

  /** Entries it needs are gone. Waits until it is known to match at `pendingIndex`. */
  becomeSnapshot(pendingIndex: Index): void {
    assert(pendingIndex >= this.nextIndex, 'a snapshot covers what is missing');
    this.state = ProgressState.snapshot;
    this.probeSent = false;
    this.pendingIndex = pendingIndex;
    this.clearInflight();
  }

  /** What was in flight may be lost, or did not fit. */
  becomeProbe(nextIndex: Index): void {
    assert(nextIndex > this.matchIndex, 'a probe never starts within what is known to match');
    this.state = ProgressState.probe;
    this.probeSent = false;
    this.nextIndex = nextIndex;
    this.clearInflight();
  }

  private freeThrough(index: Index): void {
    let oldest = this.inflight.peek();
    while (oldest !== undefined && oldest.lastIndex <= index) {
      this.inflightBytes -= oldest.bytes;
      this.inflight.shift();
      oldest = this.inflight.peek();
    }
  }

  private clearInflight(): void {
    this.inflight.clear();
    this.inflightBytes = 0;
  }
}
