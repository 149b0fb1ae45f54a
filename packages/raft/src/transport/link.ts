import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import { type BatchSink, readBatch } from '../codec/batch.ts';
import { malformed } from '../codec/bytes.ts';
import { type Frame, FrameReader, FrameType, optionalFlag } from '../codec/frame.ts';
import { Channel, type Hello, readHello, readRefusal, writeHello, writeRefusal } from '../codec/handshake.ts';
import type { ForwardReply, ForwardRequest } from '../codec/request.ts';
import type { TransferItem } from '../codec/snapshot-transfer.ts';
import type { Message } from '../core/message.ts';
import { type GroupId, firstLife, type Life, type NodeId } from '../core/types.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Connection, ConnectionEvents } from '../ports/network.ts';
import { lifeOf } from './identity.ts';
import { lossCodes, type PeerLoss, type TransportEvents } from './api.ts';
import type { TrafficCounters } from './counters.ts';
import type { TransportLimits } from './limits.ts';
import { Outbox } from './outbox.ts';

/** A peer too slow to take this much does not get to hear why it is cut off. */
const refusalQueueBytesMax = 64 * 1024;

/** Decides what a link may not decide alone: who the peer is, and what follows from an end. */
export interface LinkOwner {
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly events: TransportEvents;
  readonly selfId: NodeId;
  readonly totals: TrafficCounters;
  /** The first frame of the other side. */
  onHello(link: Link, hello: Hello): void;
  /** Both sides have welcomed each other; true to go on. */
  onWelcomed(link: Link): boolean;
  onTransfer(link: Link, item: TransferItem): void;
  onRefusal(link: Link, error: NoriError): void;
  onReject(link: Link, error: NoriError): void;
  onLinkEnd(link: Link, loss: PeerLoss): void;
}

/**
 * One connection, either way round. Both sides say Hello; each judges the other and says Welcome; whoever has said and
 * heard it may send batches. So nothing of a peer can arrive before it was admitted, and what does ends the link.
 */
export class Link implements ConnectionEvents, BatchSink {
  /** Later connections have larger numbers. */
  readonly serial: number;
  readonly inbound: boolean;
  readonly outbox: Outbox;
  /** What it carries: an inbound link learns it from the Hello. */
  channel: Channel;
  hello: Hello | null = null;
  up = false;
  wasUp = false;
  closed = false;
  lastHeardMs: number;
  private readonly owner: LinkOwner;
  private readonly reader = new FrameReader();
  private connection: Connection | null = null;
  private peerId: NodeId | null;
  private traffic: TrafficCounters | null;
  private timer: Timer;
  private life: Life = firstLife;
  private framed = false;
  private admitted = false;
  private welcomed = false;

  /** `peer` is whom we dialed; an inbound link learns it from the Hello. */
  constructor(
    owner: LinkOwner,
    serial: number,
    peer: { readonly id: NodeId; readonly counters: TrafficCounters } | null,
    channel: Channel = Channel.main,
  ) {
    this.owner = owner;
    this.serial = serial;
    this.inbound = peer === null;
    this.channel = channel;
    this.peerId = peer === null ? null : peer.id;
    this.traffic = peer === null ? null : peer.counters;
    this.outbox = new Outbox(owner.limits);
    this.lastHeardMs = owner.clock.nowMs();
    this.timer = this.deadline(this.inbound ? owner.limits.handshakeTimeoutMs : owner.limits.connectTimeoutMs);
  }

  /** Who is at the other end: dialed, or identified. */
  get peer(): NodeId | null {
    return this.peerId;
  }

  get remote(): string {
    const address = this.connection === null ? 'unknown' : this.connection.remote;
    return this.peerId === null ? address : `${this.peerId} (${address})`;
  }

  get queuedBytes(): number {
    return this.outbox.bytes + (this.connection === null ? 0 : this.connection.queuedBytes);
  }

  attach(connection: Connection): void {
    this.connection = connection;
    if (this.closed) connection.close();
  }

  /** An inbound link's Hello was found in order. */
  identify(peer: { readonly id: NodeId; readonly counters: TrafficCounters }): void {
    this.peerId = peer.id;
    this.traffic = peer.counters;
  }

  opened(): void {
    if (this.closed) return;
    this.timer.cancel();
    this.timer = this.deadline(this.owner.limits.handshakeTimeoutMs);
  }

  sendHello(hello: Hello): void {
    this.outbox.control(FrameType.hello, 0, (writer) => writeHello(writer, hello));
    this.flush();
  }

  /** The peer was admitted; our Welcome tells it that it may send. */
  admit(): void {
    this.admitted = true;
    this.outbox.control(FrameType.welcome);
    this.flush();
    this.goUp();
  }

  ping(): void {
    this.outbox.control(FrameType.ping, optionalFlag);
    this.flush();
  }

  flush(): void {
    const connection = this.connection;
    if (connection === null || this.closed) return;
    const bytes = this.outbox.take();
    if (bytes === null) return;
    const frames = this.outbox.takeFrameCount();
    this.owner.totals.framesSent += frames;
    this.owner.totals.bytesSent += bytes.length;
    if (this.traffic !== null) {
      this.traffic.framesSent += frames;
      this.traffic.bytesSent += bytes.length;
    }
    connection.send(bytes);
  }

  /** Ends the link for what the other side said or was, and tells it why if it speaks our protocol. */
  fail(error: NoriError): void {
    if (this.closed) return;
    this.owner.onReject(this, error);
    this.dismiss(error, { code: error.code, refused: false });
  }

  /** Tells the other side why, then ends. */
  dismiss(reason: NoriError, loss: PeerLoss): void {
    if (this.framed && this.queuedBytes <= refusalQueueBytesMax) {
      this.outbox.control(FrameType.refuse, 0, (writer) => writeRefusal(writer, reason));
      this.flush();
    }
    this.end(loss);
  }

  end(loss: PeerLoss): void {
    if (this.closed) return;
    this.shut();
    if (this.connection !== null) this.connection.close();
    this.owner.onLinkEnd(this, loss);
  }

  onData(bytes: Uint8Array): void {
    if (this.closed) return;
    this.lastHeardMs = this.owner.clock.nowMs();
    this.owner.totals.bytesReceived += bytes.length;
    if (this.traffic !== null) this.traffic.bytesReceived += bytes.length;
    const before = this.owner.totals.framesReceived;
    const wasUp = this.up;
    try {
      this.reader.push(bytes);
      this.readFrames();
    } catch (error) {
      // Anything else is a fault of our own, and must not pass for one of the peer's.
      if (!(error instanceof NoriError)) throw error;
      this.fail(error);
    }
    if ((wasUp || this.up) && this.owner.totals.framesReceived !== before) this.owner.events.onBatchEnd();
  }

  onClose(_error: Error | null, refused: boolean): void {
    if (this.closed) return;
    if (this.inbound && !this.up && this.reader.midFrame) {
      this.owner.onReject(this, malformed('the connection ended within a frame'));
    }
    this.shut();
    this.owner.onLinkEnd(this, { code: refused ? lossCodes.refused : lossCodes.lost, refused });
  }

  message(group: GroupId, message: Message): void {
    if (this.channel !== Channel.main) throw malformed('a message out of place');
    if (this.up) this.owner.events.onMessage(this.identified(), group, message, this.life);
  }

  transfer(item: TransferItem): void {
    if (this.up) this.owner.onTransfer(this, item);
  }

  request(request: ForwardRequest): void {
    if (this.up) this.owner.events.onRequest(this.identified(), request);
  }

  reply(reply: ForwardReply): void {
    if (this.up) this.owner.events.onReply(this.identified(), reply);
  }

  private readFrames(): void {
    for (;;) {
      const frame = this.reader.next();
      if (frame === null) return;
      this.owner.totals.framesReceived += 1;
      if (this.traffic !== null) this.traffic.framesReceived += 1;
      this.onFrame(frame);
      if (this.closed) return;
    }
  }

  private onFrame(frame: Frame): void {
    switch (frame.type) {
      case FrameType.hello:
        this.framed = true;
        if (this.hello !== null) throw malformed('a second hello');
        this.hello = readHello(frame.body);
        this.life = lifeOf(this.hello.identity);
        if (this.inbound) this.channel = this.hello.channel;
        this.owner.onHello(this, this.hello);
        return;
      case FrameType.welcome:
        if (this.hello === null || this.welcomed) throw malformed('a welcome out of place');
        this.welcomed = true;
        this.goUp();
        return;
      case FrameType.refuse:
        if (this.hello === null && this.inbound) throw malformed('a refusal from a stranger');
        this.onRefuse(frame.body);
        return;
      case FrameType.batch:
        // Nobody sends one before our Welcome but a peer that lies about having heard it.
        if (!this.up) throw malformed('a batch before the handshake has ended');
        readBatch(frame.body, this.identified(), this.owner.selfId, this);
        return;
      case FrameType.ping:
        if (!this.up) throw malformed('a ping before the handshake has ended');
        this.pong();
        return;
      case FrameType.pong:
        return;
      default:
        if (!this.up) throw malformed(`a frame of the unknown type ${frame.type} before the handshake has ended`);
        if ((frame.flags & optionalFlag) !== 0) return;
        throw new NoriError('WIRE_VERSION', { message: `the peer sent a frame of the unknown type ${frame.type}` });
    }
  }

  private onRefuse(body: Uint8Array): void {
    const error = readRefusal(body);
    this.owner.onRefusal(this, error);
    this.end({ code: error.code, refused: false });
  }

  /** A peer that pings and never reads must not fill our memory with answers. */
  private pong(): void {
    if (this.queuedBytes >= this.owner.limits.queueBytesMax) return;
    this.outbox.control(FrameType.pong, optionalFlag);
    this.flush();
  }

  private goUp(): void {
    if (this.closed || this.up || !this.admitted || !this.welcomed) return;
    this.timer.cancel();
    this.up = this.owner.onWelcomed(this);
    this.wasUp ||= this.up;
    if (this.up) this.reader.allowBatches(this.owner.limits.frameBytesMax);
  }

  private identified(): NodeId {
    assert(this.peerId !== null, 'a link that is up knows its peer');
    return this.peerId;
  }

  private deadline(delayMs: number): Timer {
    return this.owner.clock.wakeAt(this.owner.clock.nowMs() + delayMs, () => {
      if (this.inbound) this.owner.onReject(this, malformed('no handshake in time'));
      this.end({ code: lossCodes.timeout, refused: false });
    });
  }

  private shut(): void {
    this.closed = true;
    this.up = false;
    this.timer.cancel();
  }
}
