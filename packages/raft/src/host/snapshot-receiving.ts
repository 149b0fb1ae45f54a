import { NoriError } from '../base/errors.ts';
import { decodeSnapshotHeader, type SnapshotHeader } from '../codec/snapshot.ts';
import { type SnapshotChunk, type SnapshotOffer, TransferKind, TransferStatus } from '../codec/snapshot-transfer.ts';
import { type NodeId, Role } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import { IncomingSnapshot } from '../snapshot/incoming.ts';
import type { Group } from './group.ts';
import { isDiskFull, type SnapshotHouse } from './snapshot-house.ts';

/** One that another node offers takes the place of one that has not moved for so long. */
const staleMs = 5_000;

/** A snapshot that is coming in for one group. */
interface Arrival {
  readonly group: Group;
  readonly header: SnapshotHeader;
  from: NodeId;
  transfer: number;
  /** Null until it is open. */
  file: IncomingSnapshot | null;
  /** What the next chunk is to begin with, counting those that wait to be written. */
  expected: number;
  /** The gap was reported: one report is enough until something fits again. */
  gapTold: boolean;
  movedMs: number;
  state: 'arriving' | 'verifying' | 'ready' | 'restoring';
  /** Writes, one after another. */
  work: Promise<void>;
}

/** Takes snapshots over from other nodes: chunk by chunk into a file, verified, then into the state machine. */
export class SnapshotReceiving {
  private readonly house: SnapshotHouse;
  private readonly arrivals = new Map<Group, Arrival>();

  constructor(house: SnapshotHouse) {
    this.house = house;
  }

  onItem(from: NodeId, item: SnapshotOffer | SnapshotChunk): void {
    const group = this.house.groups.get(item.group);
    if (item.kind === TransferKind.offer) this.onOffer(from, group, item);
    else if (group !== undefined) this.onChunk(from, group, item);
  }

  /** The state machine is between two batches now, unless it is busy. */
  afterTurn(group: Group): void {
    const arrival = this.arrivals.get(group);
    if (arrival === undefined || arrival.state !== 'ready' || group.applier.busy || this.house.closed) return;
    const { index } = arrival.header.point;
    if (index <= group.raft.log.applied) {
      // The log was faster: it is a snapshot like one taken here.
      this.arrivals.delete(group);
      this.house.taken(group, index);
      return;
    }
    arrival.state = 'restoring';
    // Until the end no batch and no query runs.
    group.applier.busy = true;
    this.house.background(this.restore(arrival));
  }

  close(): void {
    for (const { file, state } of this.arrivals.values()) {
      if (file !== null && state === 'arriving') this.house.background(file.close());
    }
    this.arrivals.clear();
  }

  private onOffer(from: NodeId, group: Group | undefined, offer: SnapshotOffer): void {
    const header = readHeader(offer);
    if (group === undefined || group.halted !== null || header === null || header.group !== group.id) {
      this.answer(from, offer, 0, TransferStatus.refused);
      return;
    }
    const { raft } = group;
    const { index, term } = header.point;
    const arrival = this.arrivals.get(group);
    if (arrival?.state === 'restoring' || arrival?.state === 'ready' || arrival?.state === 'verifying') {
      this.answer(from, offer, 0, TransferStatus.installing);
    } else if (index <= raft.log.applied || raft.log.termAt(index) === term) {
      this.answer(from, offer, header.fileBytes, TransferStatus.done);
    } else if (raft.role === Role.leader) {
      this.answer(from, offer, 0, TransferStatus.refused);
    } else if (arrival !== undefined && sameFile(arrival.header, header)) this.goOn(arrival, from, offer.transfer);
    else if (arrival !== undefined && this.moves(arrival) && index <= arrival.header.point.index) {
      this.answer(from, offer, 0, TransferStatus.refused);
    } else this.begin(group, header, from, offer);
  }

  private moves({ movedMs }: Arrival): boolean {
    return this.house.clock.nowMs() - movedMs < staleMs;
  }

  /** Another connection, or another life of the sender: it goes on behind what is here. */
  private goOn(arrival: Arrival, from: NodeId, transfer: number): void {
    arrival.from = from;
    arrival.transfer = transfer;
    arrival.gapTold = false;
    this.enqueue(arrival, () => {
      if (arrival.file === null || arrival.transfer !== transfer) return Promise.resolve();
      arrival.expected = arrival.file.offset;
      this.say(arrival, TransferStatus.more);
      return Promise.resolve();
    });
  }

  private begin(group: Group, header: SnapshotHeader, from: NodeId, offer: SnapshotOffer): void {
    const before = this.arrivals.get(group);
    const arrival: Arrival = {
      group,
      header,
      from,
      transfer: offer.transfer,
      file: null,
      expected: 0,
      gapTold: false,
      movedMs: this.house.clock.nowMs(),
      state: 'arriving',
      work: before?.work ?? Promise.resolve(),
    };
    this.arrivals.set(group, arrival);
    const { narrator } = this.house;
    const { index } = header.point;
    narrator.tell({ scope: 'Shard', event: { type: 'SnapshotStart', group: group.id, index, from } });
    this.enqueue(arrival, async () => {
      await before?.file?.close();
      const { house } = this;
      const store = house.storeOf(group.id);
      await store.prepare();
      if (house.closed) return;
      arrival.file = await IncomingSnapshot.begin(house.disk, store.incomingPath, offer.header);
      arrival.expected = arrival.file.offset;
      if (arrival.file.complete) await this.complete(arrival, arrival.file);
      else this.say(arrival, TransferStatus.more);
    });
  }

  private onChunk(from: NodeId, group: Group, chunk: SnapshotChunk): void {
    const arrival = this.arrivals.get(group);
    if (arrival?.state !== 'arriving' || arrival.from !== from || arrival.transfer !== chunk.transfer) return;
    const { offset, bytes } = chunk;
    if (arrival.file === null || bytes.length === 0) return;
    if (offset !== arrival.expected || offset + bytes.length > arrival.header.fileBytes) {
      if (arrival.gapTold) return;
      arrival.gapTold = true;
      this.enqueue(arrival, () => Promise.resolve(this.say(arrival, TransferStatus.more)));
      return;
    }
    arrival.expected += bytes.length;
    arrival.gapTold = false;
    arrival.movedMs = this.house.clock.nowMs();
    this.enqueue(arrival, async () => {
      const { file } = arrival;
      // A new offer may have come while this one waited.
      if (file === null || file.offset !== offset || arrival.state !== 'arriving') return;
      await file.write(bytes);
      this.house.narrator.meter?.count(Metric.snapshotBytes, group.id, bytes.length);
      if (file.complete) await this.complete(arrival, file);
      else this.say(arrival, TransferStatus.more);
    });
  }

  /** All bytes are there. The file gets its name only when it is durable and passes its checksums. */
  private async complete(arrival: Arrival, file: IncomingSnapshot): Promise<void> {
    const { house } = this;
    const { group, header } = arrival;
    const store = house.storeOf(group.id);
    arrival.state = 'verifying';
    this.say(arrival, TransferStatus.installing);
    try {
      await file.finish();
    } catch (error) {
      if (!(error instanceof NoriError) || error.code !== 'SNAPSHOT_DAMAGED') throw error;
      await house.disk.remove(store.incomingPath);
      this.give(arrival, error, TransferStatus.damaged);
      return;
    }
    // What came for a replica that was given up meanwhile is not for the one that takes its place.
    if (group.halted !== null) return;
    const newer = await store.adopt(store.incomingPath, header);
    if (house.closed || this.arrivals.get(group) !== arrival) return;
    if (newer) {
      arrival.state = 'ready';
      house.turn.schedule(group);
    } else this.arrivals.delete(group);
  }

  private async restore(arrival: Arrival): Promise<void> {
    const { house } = this;
    const { group, header, from } = arrival;
    const { point, fileBytes: bytes } = header;
    const store = house.storeOf(group.id);
    try {
      const reader = await store.read();
      if (reader === null) return;
      try {
        await group.stateMachine.restore(reader.image(), { index: point.index, term: point.term });
      } finally {
        await store.release(reader);
      }
      if (house.closed || group.halted !== null) return;
      this.arrivals.delete(group);
      group.onRestored(point);
    } catch (error) {
      // The state may be neither the old nor the new one. On disk the new one is whole: a restart goes on from it.
      if (!house.closed && group.halted === null) house.turn.halt(group, error);
      return;
    } finally {
      // Nothing is on its way into the state machine any more.
      if (group.halted !== null) group.applier.busy = false;
    }
    house.narrator.meter?.count(Metric.snapshotsInstalled, group.id, 1);
    house.narrator.logger?.info({ group: group.id, index: point.index, from, bytes }, 'snapshot taken over');
    house.narrator.tell({
      scope: 'Shard',
      event: { type: 'SnapshotDone', group: group.id, index: point.index, from, bytes },
    });
    this.answer(from, { transfer: arrival.transfer, group: group.id }, bytes, TransferStatus.done);
    house.turn.schedule(group);
  }

  /** Does it when everything asked for before is done. */
  private enqueue(arrival: Arrival, act: () => Promise<void>): void {
    arrival.work = arrival.work.then(async () => {
      const { group } = arrival;
      if (this.house.closed || group.halted !== null || this.arrivals.get(group) !== arrival) return;
      try {
        await act();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        this.give(arrival, error, TransferStatus.refused);
        await arrival.file?.close();
      }
    });
    this.house.background(arrival.work);
  }

  /** This one will not be taken over; the sender may offer another. */
  private give(arrival: Arrival, error: unknown, status: TransferStatus): void {
    const { group, header, from } = arrival;
    this.arrivals.delete(group);
    const message = error instanceof Error ? error.message : String(error);
    this.house.narrator.logger?.warn({ group: group.id, from, err: error }, `a snapshot is not taken over: ${message}`);
    const event = { type: 'SnapshotFailed', group: group.id, index: header.point.index, from, message } as const;
    this.house.narrator.tell({ scope: 'Shard', event });
    this.say(arrival, status);
  }

  private say({ from, transfer, group, file }: Arrival, status: TransferStatus): void {
    this.answer(from, { transfer, group: group.id }, file?.offset ?? 0, status);
  }

  private answer(
    to: NodeId,
    about: { readonly transfer: number; readonly group: number },
    offset: number,
    status: TransferStatus,
  ): void {
    const { transfer, group } = about;
    this.house.transport.bulk.answer(to, { kind: TransferKind.ack, transfer, group, offset, status });
  }
}

function readHeader(offer: SnapshotOffer): SnapshotHeader | null {
  try {
    return decodeSnapshotHeader(offer.header);
  } catch {
    return null; // of a newer version, or garbage: it is refused
  }
}

function sameFile(one: SnapshotHeader, other: SnapshotHeader): boolean {
  return one.fileBytes === other.fileBytes && one.id.every((byte, at) => byte === other.id[at]);
}
