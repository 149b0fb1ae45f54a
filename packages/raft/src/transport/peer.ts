import type { ErrorCode } from '../base/errors.ts';
import type { PeerIdentity } from '../codec/handshake.ts';
import type { NodeId } from '../core/types.ts';
import type { Timer } from '../ports/clock.ts';
import type { Connection, Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';
import { lossCodes, type PeerLoss, type PeerStatus } from './api.ts';
import { Backoff } from './backoff.ts';
import { trafficCounters } from './counters.ts';
import type { Link, LinkOwner } from './link.ts';

/** A listener looks this often whether a lost peer still listens: once at once, once when its process has surely gone. */
const probesMax = 2;
const probeDelayMs = 100;

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
  private address: string;
  private readonly owner: PeerOwner;
  private readonly backoff: Backoff;
  private attempt: Link | null = null;
  private probing: Connection | null = null;
  private timer: Timer | null = null;
  private started = false;
  private upSinceMs = 0;
  private absenceTold = false;

  constructor(owner: PeerOwner, id: NodeId, address: string) {
    this.owner = owner;
    this.id = id;
    this.address = address;
    this.dials = owner.selfId < id;
    this.backoff = new Backoff(owner.limits.backoffMsMin, owner.limits.backoffMsMax, owner.random);
  }

  /** Where to dial. A network that finds nodes by id needs no address. */
  get dialAddress(): string {
    return this.address === '' ? this.id : this.address;
  }

  get status(): PeerStatus {
    return {
      id: this.id,
      address: this.address,
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
  }

  /** A link that is up stays: whoever is at its other end proved to be the peer. */
  setAddress(address: string): void {
    if (address === this.address) return;
    this.address = address;
    if (!this.started || !this.dials || this.link !== null) return;
    this.backoff.reset();
    const attempt = this.attempt;
    this.attempt = null;
    if (attempt !== null) attempt.end({ code: lossCodes.replaced, refused: false });
    this.dialIn(0);
  }

  linkUp(link: Link): void {
    if (this.attempt === link) this.attempt = null;
    this.cancelTimer();
    this.link = link;
    this.upSinceMs = this.owner.clock.nowMs();
    this.absenceTold = false;
    this.refusalTold = null;
    this.counters.connections += 1;
  }

  linkEnded(link: Link, loss: PeerLoss): void {
    if (this.attempt === link) {
      this.attempt = null;
      if (loss.refused) this.tellAbsence();
      this.dialIn(this.backoff.nextMs());
    } else if (this.link === link) {
      this.link = null;
      const lived = this.owner.clock.nowMs() - this.upSinceMs >= this.owner.limits.livedMs;
      if (lived) this.backoff.reset();
      this.owner.events.onPeerDown(this.id, loss);
      // A peer that died is known to be dead sooner if it is asked at once; elections wait for that.
      if (this.dials) this.dialIn(lived ? 0 : this.backoff.nextMs());
      else if (loss.code !== lossCodes.replaced) this.probe(probesMax);
    }
  }

  /** It refused us; until something changes there, asking often is no use. */
  refusedUs(): void {
    this.backoff.slowDown();
  }

  stop(): void {
    this.started = false;
    this.cancelTimer();
    if (this.probing !== null) this.probing.close();
    const { attempt, link } = this;
    this.attempt = null;
    if (attempt !== null) attempt.end({ code: lossCodes.removed, refused: false });
    if (link !== null) link.end({ code: lossCodes.removed, refused: false });
  }

  private dialIn(delayMs: number): void {
    this.wakeIn(delayMs, () => {
      if (this.link === null && this.attempt === null) this.attempt = this.owner.dial(this);
    });
  }

  /** The listening side does not dial, yet has to learn that a peer is gone: it knocks, and hangs up when answered. */
  private probe(left: number): void {
    if (left === 0 || !this.started || this.link !== null || this.probing !== null) return;
    const { clock, limits, network } = this.owner;
    const timeout = clock.wakeAt(clock.nowMs() + limits.connectTimeoutMs, () => connection.close());
    const connection: Connection = network.connect(this.dialAddress, {
      onOpen: () => connection.close(),
      onData: () => undefined,
      onClose: (_error, refused) => {
        timeout.cancel();
        this.probing = null;
        if (refused) this.tellAbsence();
        else this.wakeIn(probeDelayMs, () => this.probe(left - 1));
      },
    });
    this.probing = connection;
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
