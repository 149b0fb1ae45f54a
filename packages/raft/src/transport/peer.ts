import type { ErrorCode } from '../base/errors.ts';
import type { PeerIdentity } from '../codec/handshake.ts';
import type { NodeId } from '../core/types.ts';
import type { Timer } from '../ports/clock.ts';
import type { Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';
import { lossCodes, type PeerLoss, type PeerStatus } from './api.ts';
import { Backoff } from './backoff.ts';
import { trafficCounters } from './counters.ts';
import { sameIncarnation } from './identity.ts';
import type { Link, LinkOwner } from './link.ts';
import { Places } from './places.ts';

/** How often a listener knocks at a peer it lost: at once, and when a process that died has surely gone. */
const knocksMax = 2;
const knockDelayMs = 100;

export interface PeerOwner extends LinkOwner {
  readonly network: Network;
  readonly random: Random;
  /** Opens a link to the peer; its end comes back through `linkEnded`. */
  dial(peer: Peer): Link;
}

/**
 * One other node: who it was last admitted as, the link to it, and the dialing of the next one. Of a pair, the node
 * with the smaller id dials, so that two nodes never keep two connections.
 */
export class Peer {
  readonly id: NodeId;
  readonly dials: boolean;
  readonly counters: ReturnType<typeof trafficCounters> = trafficCounters();
  identity: PeerIdentity | null = null;
  /** The link that is up. */
  link: Link | null = null;
  /** The reason it refused us with, when that was already told. */
  refusalTold: ErrorCode | null = null;
  private readonly places: Places;
  private readonly owner: PeerOwner;
  private readonly backoff: Backoff;
  private attempt: Link | null = null;
  private knocking: Link | null = null;
  private knocksLeft = 0;
  private timer: Timer | null = null;
  private started = false;
  /** Who was at the other end of the last link that was up. */
  private upIdentity: PeerIdentity | null = null;
  private hurriedMs: number = Number.NEGATIVE_INFINITY;
  private upSinceMs = 0;
  /** Whether the host knows that nobody listens there; only of a peer that was up is it told. */
  private absenceTold = true;

  constructor(owner: PeerOwner, id: NodeId, addresses: readonly string[]) {
    this.owner = owner;
    this.id = id;
    this.places = new Places(addresses);
    this.dials = owner.selfId < id;
    this.backoff = new Backoff(owner.limits.backoffMsMin, owner.limits.backoffMsMax, owner.random);
  }

  /** Where to dial. A network that finds nodes by id needs no address. */
  get dialAddress(): string {
    return this.places.next === '' ? this.id : this.places.next;
  }

  get status(): PeerStatus {
    return {
      id: this.id,
      address: this.places.next,
      connected: this.link !== null,
      identity: this.identity,
      queuedBytes: this.link === null ? 0 : this.link.queuedBytes,
      counters: { ...this.counters },
    };
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    if (this.dials) this.dialIn(0);
    else this.knock(1);
  }

  /** A link that is up stays: whoever is at its other end proved to be the peer. */
  setAddresses(addresses: readonly string[]): void {
    if (!this.places.rename(addresses) || !this.started || !this.dials || this.link !== null) return;
    this.backoff.reset();
    const attempt = this.attempt;
    this.attempt = null;
    if (attempt !== null) attempt.end({ code: lossCodes.replaced, refused: false });
    this.dialIn(0);
  }

  /** Returns whether it is another life of the peer than the one before. */
  linkUp(link: Link): boolean {
    const before = this.upIdentity;
    this.upIdentity = this.identity;
    this.places.met(this.attempt === link);
    if (this.attempt === link) this.attempt = null;
    this.cancelTimer();
    this.link = link;
    this.upSinceMs = this.owner.clock.nowMs();
    this.absenceTold = false;
    this.refusalTold = null;
    this.counters.connections += 1;
    return before !== null && this.identity !== null && !sameIncarnation(before, this.identity);
  }

  linkEnded(link: Link, loss: PeerLoss): void {
    if (this.attempt === link) {
      this.attempt = null;
      if (this.places.missed(loss.refused)) this.tellAbsence();
      this.dialIn(this.backoff.nextMs());
    } else if (this.knocking === link) {
      this.knocking = null;
      if (this.places.missed(loss.refused)) this.tellAbsence();
      else if (loss.refused) this.knock(this.knocksLeft + 1);
      else this.wakeIn(knockDelayMs, () => this.knock(this.knocksLeft));
    } else if (this.link === link) {
      this.link = null;
      const { clock, limits } = this.owner;
      const nowMs = clock.nowMs();
      if (nowMs - this.upSinceMs >= limits.livedMs) this.backoff.reset();
      // A peer that died is known to be dead sooner if it is asked at once; elections wait for that. Once in a while
      // is enough: a link that breaks all the time is dialed at leisure.
      const hurry = nowMs - this.hurriedMs >= limits.livedMs;
      if (hurry) this.hurriedMs = nowMs;
      this.owner.events.onPeerDown(this.id, loss);
      if (this.dials) this.dialIn(hurry ? 0 : this.backoff.nextMs());
      else if (loss.code !== lossCodes.replaced) this.knock(knocksMax);
    }
  }

  /** The peer is there and has no link to us: dial now. A link to an earlier life of it is dead, if not yet ended. */
  knocked(identity: PeerIdentity): void {
    if (this.link !== null && this.identity !== null && !sameIncarnation(this.identity, identity)) {
      this.link.end({ code: lossCodes.lost, refused: false });
    }
    if (this.link === null && this.attempt === null) this.dialIn(0);
  }

  /** It refused us; until something changes there, asking often is no use. */
  refusedUs(): void {
    this.backoff.slowDown();
  }

  /** A connection for snapshots could not be made. */
  missed(): void {
    this.places.missed(false);
  }

  stop(): void {
    this.started = false;
    this.cancelTimer();
    const { attempt, knocking, link } = this;
    this.attempt = null;
    this.knocking = null;
    if (knocking !== null) knocking.end({ code: lossCodes.removed, refused: false });
    if (attempt !== null) attempt.end({ code: lossCodes.removed, refused: false });
    if (link !== null) link.end({ code: lossCodes.removed, refused: false });
  }

  private dialIn(delayMs: number): void {
    this.wakeIn(delayMs, () => {
      if (this.link === null && this.attempt === null) this.attempt = this.owner.dial(this);
    });
  }

  /**
   * The listening side does not dial, so it knocks: says hello and is hung up on. The peer then dials at once instead
   * of when its backoff ends; and when nobody opens, the peer is known to be gone.
   */
  private knock(times: number): void {
    if (times === 0 || !this.started || this.link !== null || this.knocking !== null) return;
    this.knocksLeft = times - 1;
    this.knocking = this.owner.dial(this);
  }

  private tellAbsence(): void {
    if (!this.started || this.absenceTold || this.link !== null) return;
    this.absenceTold = true;
    this.owner.events.onPeerDown(this.id, { code: lossCodes.refused, refused: true });
  }

  private wakeIn(delayMs: number, wake: () => void): void {
    this.cancelTimer();
    if (!this.started) return;
    this.timer = this.owner.clock.wakeAt(this.owner.clock.nowMs() + delayMs, () => {
      this.timer = null;
      if (this.started) wake();
    });
  }

  private cancelTimer(): void {
    if (this.timer !== null) this.timer.cancel();
    this.timer = null;
  }
}
