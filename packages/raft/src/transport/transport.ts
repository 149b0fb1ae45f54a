import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import { malformed } from '../codec/bytes.ts';
import { controlFrameBytesMax } from '../codec/frame.ts';
import {
  attributesMax,
  Channel,
  clusterIdBytes,
  diskIdBytes,
  type Hello,
  helloBytes,
  nonceBytes,
  protocolMax,
  protocolMin,
  vouchedMax,
} from '../codec/handshake.ts';
import type { ForwardReply, ForwardRequest } from '../codec/request.ts';
import type { TransferItem } from '../codec/snapshot-transfer.ts';
import type { Message } from '../core/message.ts';
import type { GroupId, NodeId } from '../core/types.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { ConnectionEvents, Connection, Listener, Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';
import { lossCodes, type PeerLoss, type PeerStatus, type TransportEvents, type TransportOptions } from './api.ts';
import { BulkLinks } from './bulk.ts';
import { trafficCounters, type TransportCounters } from './counters.ts';
import { judgeIdentity, lifeOf, sameBytes, sameIncarnation } from './identity.ts';
import { resolveLimits, type TransportLimits } from './limits.ts';
import { Link } from './link.ts';
import { Peer, type PeerOwner } from './peer.ts';

/** What a Hello may take before the disk ids it vouches for. */
const helloBytesMax = controlFrameBytesMax - vouchedMax * (2 + 64 + diskIdBytes) - 1024;

/**
 * Carries messages between hosts: one connection per pair of them, whatever the number of groups. It promises nothing
 * Raft does not need: what cannot be sent now is dropped and counted, never kept for later.
 */
export class Transport implements PeerOwner {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly limits: TransportLimits;
  readonly events: TransportEvents;
  readonly selfId: NodeId;
  readonly counters: TransportCounters = { ...trafficCounters(), rejected: {} };
  readonly totals: TransportCounters = this.counters;
  private readonly options: TransportOptions;
  /** The connections for snapshots. */
  readonly bulk: BulkLinks = new BulkLinks();
  private readonly byId = new Map<NodeId, Peer>();
  /** Inbound links whose handshake has not ended, oldest first. */
  private readonly halfOpen = new Set<Link>();
  private listener: Listener | null = null;
  private watchTimer: Timer | null = null;
  private watchedMs = 0;
  private running = false;
  private closed = false;
  private closing: Promise<void> | null = null;
  private serial = 0;
  private rejectSecond = 0;
  private rejectReports = 0;

  /** @throws NoriError CONFIG_INVALID. */
  constructor(options: TransportOptions) {
    this.options = options;
    this.clock = options.clock;
    this.network = options.network;
    this.random = options.random;
    this.limits = resolveLimits(options.limits);
    this.events = options.events;
    this.selfId = options.self.nodeId;
    const { clusterId, identity } = options.self;
    assert(clusterId.length === clusterIdBytes, 'a cluster id has 16 bytes');
    assert(identity.diskId.length === diskIdBytes, 'a disk id has 16 bytes');
    assert(identity.incarnation.nonce.length === nonceBytes, 'an incarnation nonce has 8 bytes');
    const attributes = Object.keys(identity.attributes).length;
    if (attributes > attributesMax || helloBytes(this.helloTo(this.selfId, [])) > helloBytesMax) {
      throw new NoriError('CONFIG_INVALID', {
        message: `node attributes are more than ${attributesMax}, or do not fit in ${helloBytesMax} bytes`,
      });
    }
  }

  /** Listens, starts to dial, and answers with the address really bound. */
  async start(): Promise<string> {
    assert(!this.running && !this.closed, 'a transport is started once');
    const listener = await this.network.listen(this.options.listenAddress, (connection) => this.accept(connection));
    if (this.closed) {
      await listener.close();
      throw new NoriError('CLOSED', { message: 'the transport was closed while it started' });
    }
    this.listener = listener;
    this.running = true;
    this.watchedMs = this.clock.nowMs();
    this.watch();
    for (const peer of this.byId.values()) peer.start();
    return listener.address;
  }

  /**
   * Adds a peer, or tells where it is now: at one of these addresses, which are tried in turn. The node's own id is
   * ignored. A connection that is up stays: whoever is at its other end proved to be the peer.
   */
  setPeer(id: NodeId, addresses: readonly string[]): void {
    if (id === this.selfId || this.closed) return;
    let peer = this.byId.get(id);
    if (peer === undefined) {
      peer = new Peer(this, id, addresses);
      this.byId.set(id, peer);
      if (this.running) peer.start();
    } else {
      peer.setAddresses(addresses);
    }
  }

  /** Nothing is delivered from it any more, and its connections are refused. */
  removePeer(id: NodeId): void {
    const peer = this.byId.get(id);
    if (peer === undefined) return;
    const { link } = peer;
    this.bulk.drop(id);
    if (link !== null) link.dismiss(this.unknownMember(id), { code: lossCodes.removed, refused: false });
    peer.stop();
    this.byId.delete(id);
    for (const stray of this.halfOpen) if (stray.peer === id) stray.fail(this.unknownMember(id));
  }

  /** Queues a message until `flush`; dropped, and counted, when it cannot go now. */
  send(to: NodeId, group: GroupId, message: Message): void {
    const link = this.sendable(to);
    if (link === null || !link.outbox.message(group, message)) this.countDrop(to);
  }

  /** False when there is no connection, its queue is full, or the payload fits in no frame. */
  request(to: NodeId, request: ForwardRequest): boolean {
    const link = this.sendable(to);
    if (link?.outbox.request(request)) return true;
    this.countDrop(to);
    return false;
  }

  reply(to: NodeId, reply: ForwardReply): boolean {
    const link = this.sendable(to);
    if (link?.outbox.reply(reply)) return true;
    this.countDrop(to);
    return false;
  }

  /** Dials the peer for a snapshot, unless that was done. `onBulkUp` or `onBulkDown` follows. */
  openBulk(to: NodeId): void {
    const peer = this.byId.get(to);
    if (peer === undefined || !this.running || this.closed || this.bulk.dialed(to)) return;
    this.bulk.dialing(to, this.connectTo(peer, Channel.bulk));
  }

  /** One write per peer with everything queued for it. */
  flush(): void {
    for (const peer of this.byId.values()) if (peer.link !== null) peer.link.flush();
  }

  connected(id: NodeId): boolean {
    const peer = this.byId.get(id);
    return peer !== undefined && peer.link !== null;
  }

  /** When the peer was last heard on the connection that is up, in the clock's monotonic ms; -Infinity without one. */
  heardMs(id: NodeId): number {
    return this.byId.get(id)?.link?.lastHeardMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Asks the peer for a sign of life, if it is connected. */
  ping(id: NodeId): void {
    const link = this.byId.get(id)?.link ?? null;
    if (link !== null && link.queuedBytes < this.limits.queueBytesMax) link.ping();
  }

  peers(): readonly PeerStatus[] {
    return Array.from(this.byId.values(), (peer) => peer.status);
  }

  /** Ends every connection without another event; again is the same as once. */
  close(): Promise<void> {
    if (this.closing === null) this.closing = this.shut();
    return this.closing;
  }

  dial(peer: Peer): Link {
    return this.connectTo(peer, Channel.main);
  }

  private connectTo(peer: Peer, channel: Channel): Link {
    this.serial += 1;
    const link = new Link(this, this.serial, peer, channel);
    link.attach(
      this.network.connect(peer.dialAddress, {
        onOpen: () => {
          link.opened();
          link.sendHello(this.helloTo(peer.id, this.options.knownPeers(), channel));
        },
        onData: (bytes) => link.onData(bytes),
        onClose: (error, refused) => link.onClose(error, refused),
      }),
    );
    return link;
  }

  onHello(link: Link, hello: Hello): void {
    const peer = this.byId.get(hello.nodeId);
    const error = this.judge(link, hello, peer);
    if (error !== null || peer === undefined) {
      link.fail(error ?? this.unknownMember(hello.nodeId));
      return;
    }
    if (link.inbound && peer.dials && link.channel === Channel.main) {
      // Of two nodes the one with the smaller id dials; the other one only asks for it.
      peer.knocked(hello.identity);
      link.end({ code: lossCodes.replaced, refused: false });
      return;
    }
    if (link.inbound) {
      link.identify(peer);
      link.sendHello(this.helloTo(peer.id, this.options.knownPeers(), link.channel));
    }
    this.events.admit(peer.id, hello.identity, hello.vouched).then(
      (refusal) => (refusal === null ? this.admitted(link, peer, hello) : link.fail(refusal)),
      (cause: unknown) => link.fail(admissionFailed(peer.id, cause)),
    );
  }

  onWelcomed(link: Link): boolean {
    const peer = link.peer === null ? undefined : this.byId.get(link.peer);
    assert(peer !== undefined && link.hello !== null, 'a welcomed link has a known peer');
    if (link.channel === Channel.bulk) return this.bulkWelcomed(link, peer.id);
    const newer = peer.link !== null && peer.link.serial > link.serial;
    if (newer || peer.identity === null || !sameIncarnation(peer.identity, link.hello.identity)) {
      link.end({ code: lossCodes.replaced, refused: false });
      return false;
    }
    if (peer.link !== null) peer.link.end({ code: lossCodes.replaced, refused: false });
    // The host may have removed the peer when it heard of that end.
    if (link.closed) return false;
    this.halfOpen.delete(link);
    this.counters.connections += 1;
    const returned = peer.linkUp(link);
    this.events.onPeerUp(peer.id, lifeOf(peer.identity), returned);
    return !link.closed;
  }

  private bulkWelcomed(link: Link, peer: NodeId): boolean {
    this.halfOpen.delete(link);
    this.bulk.up(link, peer);
    // It may be used as soon as this has returned.
    if (!link.inbound) this.clock.soon(() => this.closed || link.closed || this.events.onBulkUp(peer));
    return !link.closed;
  }

  onTransfer(link: Link, item: TransferItem): void {
    if (link.channel !== Channel.bulk || link.peer === null) throw malformed('a part of a snapshot out of place');
    this.events.onTransfer(link.peer, item);
  }

  onRefusal(link: Link, error: NoriError): void {
    const peer = link.peer === null ? undefined : this.byId.get(link.peer);
    if (peer === undefined || this.closed) return;
    peer.refusedUs();
    if (peer.refusalTold === error.code) return;
    peer.refusalTold = error.code;
    this.events.onRefused(peer.id, error);
  }

  onReject(link: Link, error: NoriError): void {
    if (this.closed) return;
    this.counters.rejected[error.code] = (this.counters.rejected[error.code] ?? 0) + 1;
    const second = Math.floor(this.clock.nowMs() / 1000);
    if (second !== this.rejectSecond) {
      this.rejectSecond = second;
      this.rejectReports = 0;
    }
    this.rejectReports += 1;
    if (this.rejectReports <= this.limits.rejectReportsPerSecondMax) this.events.onRejected(link.remote, error);
  }

  onLinkEnd(link: Link, loss: PeerLoss): void {
    this.halfOpen.delete(link);
    if (link.channel === Channel.bulk && link.peer !== null) {
      this.bulk.ended(link, link.peer);
      if (this.closed || link.inbound) return;
      if (!link.wasUp) this.byId.get(link.peer)?.missed();
      this.events.onBulkDown(link.peer);
      return;
    }
    const peer = link.peer === null ? undefined : this.byId.get(link.peer);
    if (peer !== undefined && !this.closed) peer.linkEnded(link, loss);
  }

  private async shut(): Promise<void> {
    this.closed = true;
    if (this.watchTimer !== null) this.watchTimer.cancel();
    for (const peer of this.byId.values()) peer.stop();
    for (const link of this.bulk.links()) link.end({ code: lossCodes.removed, refused: false });
    for (const link of this.halfOpen) link.end({ code: lossCodes.removed, refused: false });
    if (this.listener !== null) await this.listener.close();
  }

  private accept(connection: Connection): ConnectionEvents {
    this.serial += 1;
    const link = new Link(this, this.serial, null);
    link.attach(connection);
    if (this.closed) {
      link.end({ code: lossCodes.removed, refused: false });
      return link;
    }
    this.halfOpen.add(link);
    // The newest may be an honest peer; the oldest has had its time.
    const [oldest] = this.halfOpen;
    if (this.halfOpen.size > this.limits.halfOpenMax && oldest !== undefined) {
      oldest.fail(new NoriError('OVERLOADED', { message: 'too many connections that have not shaken hands' }));
    }
    return link;
  }

  private judge(link: Link, hello: Hello, peer: Peer | undefined): NoriError | null {
    if (!sameBytes(hello.clusterId, this.options.self.clusterId)) {
      return new NoriError('WRONG_CLUSTER', { message: `node ${hello.nodeId} belongs to another cluster` });
    }
    if (hello.expectedId !== this.selfId) {
      return new NoriError('WRONG_NODE', {
        message: `node ${hello.nodeId} looked for ${hello.expectedId} and found ${this.selfId}`,
      });
    }
    if (hello.nodeId === this.selfId || (link.peer !== null && link.peer !== hello.nodeId)) {
      return new NoriError('WRONG_NODE', {
        message: `node ${this.selfId} looked for ${link.peer ?? 'a peer'} and found ${hello.nodeId}`,
      });
    }
    if (peer === undefined) return this.unknownMember(hello.nodeId);
    return judgeIdentity(peer.id, peer.identity, hello.identity);
  }

  private admitted(link: Link, peer: Peer, hello: Hello): void {
    if (link.closed || this.closed) return;
    // While this one was judged the peer may have been removed, or have come back as a newer incarnation.
    const error =
      this.byId.get(peer.id) === peer
        ? judgeIdentity(peer.id, peer.identity, hello.identity)
        : this.unknownMember(peer.id);
    if (error !== null) {
      link.fail(error);
      return;
    }
    const before = peer.identity;
    peer.identity = hello.identity;
    // An earlier life of the peer is over, whatever its connection still holds.
    if (before !== null && peer.link !== null && !sameIncarnation(before, hello.identity)) {
      peer.link.end({ code: lossCodes.replaced, refused: false });
    }
    if (!link.closed) link.admit();
  }

  private sendable(to: NodeId): Link | null {
    const link = this.byId.get(to)?.link ?? null;
    return link === null || link.queuedBytes >= this.limits.queueBytesMax ? null : link;
  }

  private countDrop(to: NodeId): void {
    this.counters.dropped += 1;
    const peer = this.byId.get(to);
    if (peer !== undefined) peer.counters.dropped += 1;
  }

  /**
   * Gives up peers that are silent though pinged. Raft would notice too, but TCP waits for minutes before it sends again
   * after a network was cut, and a new connection does not.
   */
  private watch(): void {
    const nowMs = this.clock.nowMs();
    const { pingMs, silentPings } = this.limits;
    // When this process itself stood still, what it has not read yet is no silence of the peer.
    const stalled = nowMs - this.watchedMs > 2 * pingMs;
    this.watchedMs = nowMs;
    for (const link of [...Array.from(this.byId.values(), (peer) => peer.link), ...this.bulk.links()]) {
      if (link === null || !link.up) continue;
      if (stalled) link.lastHeardMs = nowMs;
      const silentMs = nowMs - link.lastHeardMs;
      if (silentMs >= pingMs * silentPings) link.end({ code: lossCodes.silent, refused: false });
      else if (silentMs >= pingMs / 2 && link.queuedBytes < this.limits.queueBytesMax) link.ping();
    }
    this.watchTimer = this.clock.wakeAt(nowMs + pingMs, () => this.watch());
  }

  private helloTo(
    expectedId: NodeId,
    known: Iterable<readonly [NodeId, Uint8Array]>,
    channel: Channel = Channel.main,
  ): Hello {
    const { nodeId, clusterId, identity: own } = this.options.self;
    const identity = this.options.founding?.() === true ? { ...own, founding: true } : own;
    const vouched = [...known].slice(0, vouchedMax);
    return { protocolMin, protocolMax, clusterId, nodeId, expectedId, identity, vouched, channel };
  }

  private unknownMember(id: NodeId): NoriError {
    return new NoriError('UNKNOWN_MEMBER', { message: `node ${this.selfId} knows no member ${id}` });
  }
}

function admissionFailed(peer: NodeId, cause: unknown): NoriError {
  if (cause instanceof NoriError) return cause;
  return new NoriError('DISK_FAILED', { message: `node ${peer} could not be judged: ${String(cause)}`, cause });
}
