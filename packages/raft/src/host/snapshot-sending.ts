import { NoriError } from '../base/errors.ts';
import { InputKind } from '../core/input.ts';
import { ProgressState } from '../core/progress.ts';
import { type SnapshotAck, TransferKind, TransferStatus } from '../codec/snapshot-transfer.ts';
import type { NodeId } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import type { Timer } from '../ports/clock.ts';
import type { SnapshotReader } from '../snapshot/reader.ts';
import type { Group } from './group.ts';
import { diskFailure, type SnapshotHouse } from './snapshot-house.ts';

/** Chunks sent and not yet acknowledged as written, per transfer. */
const windowChunks = 16;
const tickMs = 100;
/** An offer without an answer is made again; so is one whose receiver is busy taking the snapshot over. */
const offerEveryMs = 1_000;
/** When all that may be sent is sent and nobody answers for so long, a chunk or its answer was lost: it is offered again. */
const silenceMs = 5_000;
/** Without any answer for so long the log is pinned no longer, and the follower gets a newer snapshot when it is back. */
const patienceMs = 30_000;

/** One snapshot file on its way to one follower. */
interface Outgoing {
  readonly group: Group;
  readonly to: NodeId;
  readonly transfer: number;
  reader: SnapshotReader | null;
  /** Acknowledged as written, and sent. */
  acked: number;
  sent: number;
  /** The receiver has said where to go on from, over this connection. */
  agreed: boolean;
  offeredMs: number;
  heardMs: number;
  reading: boolean;
  over: boolean;
}

/** Sends snapshots to followers that need compacted entries: in a window, below a rate, from where they stopped. */
export class SnapshotSending {
  private readonly house: SnapshotHouse;
  private readonly renew: (group: Group) => void;
  private readonly outgoing = new Set<Outgoing>();
  private timer: Timer | null = null;
  /** Bytes that may leave now, and as of when. */
  private allowance = 0;
  private allowanceMs = 0;

  /** `renew` asks for a new snapshot where the newest turned out to be damaged. */
  constructor(house: SnapshotHouse, renew: (group: Group) => void) {
    this.house = house;
    this.renew = renew;
  }

  private get chunkBytes(): number {
    return this.house.options.snapshotChunkBytes;
  }

  private get windowBytes(): number {
    return windowChunks * this.chunkBytes;
  }

  begin(group: Group, to: NodeId): void {
    for (const other of this.outgoing) if (other.group === group && other.to === to) this.end(other);
    const nowMs = this.house.clock.nowMs();
    const out: Outgoing = {
      group,
      to,
      transfer: this.house.random.uint32(),
      reader: null,
      acked: 0,
      sent: 0,
      agreed: false,
      offeredMs: Number.NEGATIVE_INFINITY,
      heardMs: nowMs,
      reading: false,
      over: false,
    };
    this.outgoing.add(out);
    this.house.background(this.open(out));
    this.arm();
  }

  onAck(peer: NodeId, ack: SnapshotAck): void {
    for (const out of this.outgoing) {
      if (out.to !== peer || out.transfer !== ack.transfer || out.group.id !== ack.group) continue;
      this.acknowledged(out, ack);
      return;
    }
  }

  onBulkUp(peer: NodeId): void {
    for (const out of this.outgoing) if (out.to === peer) this.pump(out);
  }

  /** What was in flight may be lost: the receiver says how far it got when it is asked again. */
  onBulkDown(peer: NodeId): void {
    for (const out of this.outgoing) {
      if (out.to !== peer) continue;
      out.agreed = false;
      out.offeredMs = Number.NEGATIVE_INFINITY;
    }
  }

  close(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const out of this.outgoing) this.end(out);
  }

  private async open(out: Outgoing): Promise<void> {
    const store = this.house.storeOf(out.group.id);
    let reader: SnapshotReader | null;
    try {
      reader = await store.read();
    } catch (error) {
      if (!(error instanceof NoriError) || error.code !== 'SNAPSHOT_DAMAGED') throw error;
      this.replaceDamaged(out);
      return;
    }
    if (reader === null) return;
    if (out.over) await store.release(reader);
    else {
      out.reader = reader;
      this.pump(out);
    }
  }

  private acknowledged(out: Outgoing, ack: SnapshotAck): void {
    if (ack.status !== TransferStatus.refused) out.heardMs = this.house.clock.nowMs();
    switch (ack.status) {
      case TransferStatus.more:
        // The first answer to an offer, or one that says again what it has: the rest was lost on the way.
        if (!out.agreed || ack.offset <= out.acked) out.sent = ack.offset;
        out.agreed = true;
        out.acked = ack.offset;
        this.pump(out);
        return;
      case TransferStatus.installing:
      case TransferStatus.done:
        out.acked = out.reader?.header.fileBytes ?? ack.offset;
        out.sent = out.acked;
        return;
      case TransferStatus.damaged:
        this.replaceDamaged(out);
        return;
      default:
        // Not now: it is asked again, until patience ends.
        out.agreed = false;
    }
  }

  /** Sends as much as window, rate and connection allow. */
  private pump(out: Outgoing): void {
    const { reader, to } = out;
    const { transport, clock } = this.house;
    if (reader === null || out.over) return;
    const queued = transport.bulk.queuedBytes(to);
    if (queued === null) {
      transport.openBulk(to);
      return;
    }
    const nowMs = clock.nowMs();
    const silent = nowMs - out.heardMs >= silenceMs;
    const idle = !out.agreed || silent || out.acked === reader.header.fileBytes;
    if (idle && nowMs - out.offeredMs >= offerEveryMs) {
      out.offeredMs = nowMs;
      this.background(out, this.offer(out, reader));
      return;
    }
    if (!out.agreed || out.reading || queued > this.windowBytes || out.sent - out.acked >= this.windowBytes) return;
    if (out.sent < reader.header.fileBytes && this.mayLeave(nowMs)) {
      out.reading = true;
      this.background(out, this.sendChunk(out, reader));
    }
  }

  private async offer(out: Outgoing, reader: SnapshotReader): Promise<void> {
    const header = await reader.read(0, reader.header.headerBytes);
    if (out.over) return;
    if (header.length < reader.header.headerBytes) return this.replaceDamaged(out);
    const { transfer, group } = out;
    this.house.transport.bulk.send(out.to, { kind: TransferKind.offer, transfer, group: group.id, header });
  }

  private async sendChunk(out: Outgoing, reader: SnapshotReader): Promise<void> {
    const offset = out.sent;
    const bytes = await reader.read(offset, this.chunkBytes);
    out.reading = false;
    // The file has lost its end.
    if (bytes.length === 0 && !out.over) return this.replaceDamaged(out);
    // It may have been told meanwhile to go on from elsewhere.
    if (out.over || !out.agreed || out.sent !== offset) return this.pump(out);
    const { transfer, group } = out;
    const chunk = { kind: TransferKind.chunk, transfer, group: group.id, offset, bytes } as const;
    if (!this.house.transport.bulk.send(out.to, chunk)) return;
    out.sent += bytes.length;
    this.allowance -= bytes.length;
    this.house.narrator.meter?.count(Metric.snapshotSentBytes, group.id, bytes.length);
    this.pump(out);
  }

  private background(out: Outgoing, work: Promise<void>): void {
    this.house.background(
      work.catch((error: unknown) => {
        // A reader that was closed under it fails; nothing else may.
        if (!out.over) throw diskFailure(error);
      }),
    );
  }

  /** The allowance grows with time, to one tick's worth at most. */
  private mayLeave(nowMs: number): boolean {
    const perMs = this.house.options.snapshotBytesPerSecond / 1000;
    const grown = this.allowance + (nowMs - this.allowanceMs) * perMs;
    this.allowance = Math.min(grown, Math.max(this.chunkBytes, perMs * tickMs));
    this.allowanceMs = nowMs;
    return this.allowance > 0;
  }

  private arm(): void {
    if (this.timer !== null || this.outgoing.size === 0 || this.house.closed) return;
    const { clock } = this.house;
    this.timer = clock.wakeAt(clock.nowMs() + tickMs, () => {
      this.timer = null;
      const nowMs = clock.nowMs();
      for (const out of this.outgoing) {
        if (!isWanted(out)) this.end(out);
        else if (nowMs - out.heardMs > patienceMs) this.abandon(out);
        else this.pump(out);
      }
      this.arm();
    });
  }

  /** The follower gets the next one; the state here is whole, whatever became of the file. */
  private replaceDamaged(out: Outgoing): void {
    const { group, to } = out;
    this.house.narrator.logger?.error(
      { group: group.id, to },
      `the snapshot of group ${group.id} is damaged: taking another`,
    );
    this.renew(group);
    this.abandon(out);
  }

  private abandon(out: Outgoing): void {
    this.end(out);
    if (out.group.halted !== null) return;
    out.group.push({ kind: InputKind.snapshotAbandoned, to: out.to });
    this.house.turn.schedule(out.group);
  }

  private end(out: Outgoing): void {
    if (out.over) return;
    out.over = true;
    this.outgoing.delete(out);
    const { house } = this;
    if (out.reader !== null) house.background(house.storeOf(out.group.id).release(out.reader));
    for (const other of this.outgoing) if (other.to === out.to) return;
    house.transport.bulk.close(out.to);
  }
}

/** The core has not heard yet that the follower has it. */
function isWanted({ group, to }: Outgoing): boolean {
  if (group.halted !== null) return false;
  return group.raft.leader?.progress.get(to)?.state === ProgressState.snapshot;
}
