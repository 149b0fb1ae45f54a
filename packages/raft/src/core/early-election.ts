import type { NodeId } from './types.ts';

/** Two voters learn of the same death within a millisecond: the first waits up to this long, so that they do not split the vote. */
export const earlyFirstMsMax = 30;
/** A voter may learn of it later than who asks for its vote, and so it is asked again after so long. */
export const earlyRetryMsMin = 20;
export const earlyRetryMsMax = 50;
/** So many elections may be early at once; one more every so many ms. A link that flaps brings no more than these. */
export const earlyElectionsMax = 3;
export const earlyElectionEveryMs = 5_000;

/**
 * An election that does not wait for its timeout, because the leader's process is known to be gone. It is an election
 * like any other, only sooner: thesis 3.4 asks of timeouts that they are longer than a message takes, for the sake of
 * progress and never of safety.
 */
export class EarlyElection {
  /** A voter that is not there: its vote need not be waited for. */
  absent: NodeId | null = null;
  private untilMs: number = Number.NEGATIVE_INFINITY;
  /** When the elections begun so far will have been earned, one each `earlyElectionEveryMs`. */
  private earnedAtMs: number = Number.NEGATIVE_INFINITY;

  /** Opens the time in which this node tries often. Returns false when it was opened too often of late. */
  begin(nowMs: number, untilMs: number, absent: NodeId | null): boolean {
    const earnedAtMs = Math.max(this.earnedAtMs, nowMs) + earlyElectionEveryMs;
    if (earnedAtMs > nowMs + earlyElectionsMax * earlyElectionEveryMs) return false;
    this.earnedAtMs = earnedAtMs;
    this.untilMs = untilMs;
    this.absent = absent;
    return true;
  }

  /** A leader was heard, or another candidate got this node's vote: there is time again. */
  end(): void {
    this.untilMs = Number.NEGATIVE_INFINITY;
    this.absent = null;
  }

  isOpen(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }
}
