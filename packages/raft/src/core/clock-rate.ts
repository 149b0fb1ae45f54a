/** Shorter stretches of time tell nothing: the way of a message is a part of them. All in ms. */
const windowMsMin = 1_000;
/** A clock may change its pace: what is long past is forgotten. */
const windowMsMax = 30_000;

interface Sample {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly peerMs: number;
}

/**
 * Compares the pace of a peer's monotonic clock with this node's. Every reply says what the peer's clock showed at some
 * moment between question and answer; two replies bound how much time passed over there by how much passed here.
 * Nothing is suspected that slow messages could explain.
 */
export class ClockRate {
  private anchor: Sample | null = null;
  /** The anchor to come, half a window old when it does: what is certain must not be in doubt again meanwhile. */
  private nextAnchor: Sample | null = null;
  /** The most that is certain: 0.01 says that the two clocks drift apart by at least one percent. */
  private certain = 0;

  /** At least so much the two clocks differ in pace, for certain; 0.01 is one percent. */
  get difference(): number {
    return this.certain;
  }

  /** Another clock speaks from now on. */
  reset(): void {
    this.anchor = null;
    this.nextAnchor = null;
    this.certain = 0;
  }

  observe(sample: Sample): void {
    const { anchor } = this;
    if (anchor === null) {
      this.anchor = sample;
      return;
    }
    const shortestMs = sample.sentMs - anchor.receivedMs;
    if (shortestMs < windowMsMin) return;
    const longestMs = sample.receivedMs - anchor.sentMs;
    const peerMs = sample.peerMs - anchor.peerMs;
    this.certain = Math.max(0, peerMs / longestMs - 1, 1 - peerMs / shortestMs);
    if (shortestMs < windowMsMax / 2) return;
    this.nextAnchor ??= sample;
    if (shortestMs < windowMsMax) return;
    this.anchor = this.nextAnchor;
    this.nextAnchor = null;
  }
}
