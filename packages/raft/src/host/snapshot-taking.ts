import { isStateDamaged, NoriError } from '../base/errors.ts';
import type { Index, SnapshotPoint } from '../core/types.ts';
import { snapshotIdBytes } from '../codec/snapshot.ts';
import { Metric } from '../observe/metrics.ts';
import { writeSnapshot } from '../snapshot/writer.ts';
import type { Group } from './group.ts';
import { diskFailure, isDiskFull, pointOf, type SnapshotHouse } from './snapshot-house.ts';

/** At once on one host: each reads a whole state and writes it. */
const takingMax = 2;
/** After one that failed. */
const retryMs = 5_000;

interface Waiter {
  /** The snapshot is to cover this. */
  readonly index: Index;
  resolve(index: Index): void;
  reject(error: NoriError): void;
}

interface Wish {
  readonly waiters: Waiter[];
  taking: boolean;
  renew: boolean;
  notBeforeMs: number;
}

/** Takes snapshots of the groups of a host, a few at a time, while applying goes on. */
export class SnapshotTaking {
  private readonly house: SnapshotHouse;
  /** Groups that want one, oldest wish first. */
  private readonly wishes = new Map<Group, Wish>();
  private running = 0;

  constructor(house: SnapshotHouse) {
    this.house = house;
  }

  trigger(group: Group): Promise<Index> {
    return new Promise((resolve, reject) => {
      this.wish(group).waiters.push({ index: group.raft.log.applied, resolve, reject });
      this.house.turn.schedule(group);
    });
  }

  /** With `renew`, even if nothing was applied since the last one: that one is damaged. */
  request(group: Group, renew: boolean): void {
    const wish = this.wish(group);
    // One that is being taken is another already.
    wish.renew ||= renew && !wish.taking;
    this.house.turn.schedule(group);
  }

  /** Nothing of the group is inside its state machine now, or else there will be another turn. */
  afterTurn(group: Group): void {
    if (this.house.closed) return;
    const wish = this.wishes.get(group) ?? (this.due(group) ? this.wish(group) : null);
    if (wish === null || wish.taking || group.applier.busy || this.running >= takingMax) return;
    if (this.house.clock.nowMs() >= wish.notBeforeMs) this.begin(group, wish);
  }

  close(): void {
    const error = new NoriError('CLOSED', { message: 'the node was closed', outcome: 'none' });
    for (const { waiters } of this.wishes.values()) for (const waiter of waiters) waiter.reject(error);
    this.wishes.clear();
  }

  private due({ raft, bytesSinceSnapshot }: Group): boolean {
    const { snapshotEntries, snapshotLogBytes } = this.house.options;
    const entries = raft.log.applied - raft.snapshotIndex;
    return entries > snapshotEntries || (entries > 0 && bytesSinceSnapshot > snapshotLogBytes);
  }

  private wish(group: Group): Wish {
    let wish = this.wishes.get(group);
    if (wish === undefined) {
      wish = { waiters: [], taking: false, renew: false, notBeforeMs: Number.NEGATIVE_INFINITY };
      this.wishes.set(group, wish);
    }
    return wish;
  }

  private begin(group: Group, wish: Wish): void {
    const point = pointOf(group);
    if (point.index === 0 || (point.index <= group.raft.snapshotIndex && !wish.renew)) {
      this.settle(group, wish, group.raft.snapshotIndex);
      return;
    }
    // The view is opened here and now, between two batches; what is applied from here on does not show in it.
    const image = opened(group.stateMachine.snapshot());
    wish.taking = true;
    wish.renew = false;
    this.running += 1;
    group.bytesSinceSnapshot = 0;
    const { narrator } = this.house;
    narrator.tell({
      scope: 'Shard',
      event: { type: 'SnapshotStart', group: group.id, index: point.index, from: null },
    });
    this.house.background(this.take(group, wish, point, image));
  }

  private async take(group: Group, wish: Wish, point: SnapshotPoint, image: AsyncIterator<Uint8Array>): Promise<void> {
    const { house } = this;
    const startMs = house.clock.nowMs();
    try {
      const bytes = await this.write(group, point, image);
      this.ended(wish);
      if (bytes === null || house.closed || group.halted !== null) return;
      house.narrator.meter?.observe(Metric.snapshotMs, group.id, house.clock.nowMs() - startMs);
      house.narrator.meter?.count(Metric.snapshotBytes, group.id, bytes);
      const done = { type: 'SnapshotDone', group: group.id, index: point.index, from: null, bytes } as const;
      house.narrator.tell({ scope: 'Shard', event: done });
      house.taken(group, point.index);
      this.settle(group, wish, point.index);
    } catch (error) {
      this.ended(wish);
      if (house.closed) return;
      this.failed(group, wish, point, error);
    } finally {
      if (group.halted !== null) this.forget(group, wish, group.halted);
      if (!house.closed) this.next();
    }
  }

  /** The size of the file; null when it was given up, or a newer snapshot came from elsewhere meanwhile. */
  private async write(group: Group, point: SnapshotPoint, image: AsyncIterator<Uint8Array>): Promise<number | null> {
    const { house } = this;
    const store = house.storeOf(group.id);
    await store.prepare();
    const title = {
      group: group.id,
      point,
      id: house.random.bytes(snapshotIdBytes),
      chunkBytes: house.options.snapshotChunkBytes,
    };
    const goOn = (): boolean => !house.closed && group.halted === null;
    const header = await writeSnapshot(house.disk, store.takingPath, title, image, goOn);
    if (header === null || !goOn()) return null;
    return (await store.adopt(store.takingPath, header)) ? header.fileBytes : null;
  }

  /** The group takes no part on this node any more, and has no turn in which it would be seen to. */
  private forget(group: Group, { waiters }: Wish, why: NoriError): void {
    this.wishes.delete(group);
    for (const waiter of waiters.splice(0)) waiter.reject(why);
  }

  private ended(wish: Wish): void {
    this.running -= 1;
    wish.taking = false;
  }

  private settle(group: Group, wish: Wish, index: Index): void {
    const waiting = wish.waiters.splice(0);
    for (const waiter of waiting) {
      if (waiter.index <= index) waiter.resolve(index);
      else wish.waiters.push(waiter);
    }
    if (wish.waiters.length === 0) this.wishes.delete(group);
    else this.house.turn.schedule(group);
  }

  /** A state machine or a volume that cannot now may be able to later; a disk that fails stops the host. */
  private failed(group: Group, wish: Wish, point: SnapshotPoint, error: unknown): void {
    const { house } = this;
    const cause = error instanceof NoriError ? error.cause : null;
    if (isStateDamaged(cause)) {
      house.turn.halt(group, cause);
      return;
    }
    const own = error instanceof NoriError && error.code === 'SNAPSHOT_FAILED';
    if (!own && !isDiskFull(error)) {
      house.fail(diskFailure(error));
      return;
    }
    const message = `no snapshot of group ${group.id}: ${error instanceof Error ? error.message : String(error)}`;
    house.narrator.logger?.error({ group: group.id, err: error }, message);
    const event = { type: 'SnapshotFailed', group: group.id, index: point.index, from: null, message } as const;
    house.narrator.tell({ scope: 'Shard', event });
    for (const waiter of wish.waiters.splice(0)) {
      waiter.reject(new NoriError('SNAPSHOT_FAILED', { message, cause: error }));
    }
    wish.notBeforeMs = house.clock.nowMs() + retryMs;
    house.clock.wakeAt(wish.notBeforeMs, () => {
      if (!house.closed && group.halted === null) house.turn.schedule(group);
    });
  }

  private next(): void {
    for (const group of this.wishes.keys()) if (group.halted === null) this.house.turn.schedule(group);
  }
}

/** Asks for the first piece at once: an image written as a generator only looks at the state when it is asked. */
function opened(image: AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  const iterator = image[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<Uint8Array>> | null = iterator.next();
  // Whoever asks for it hears of the error; until then it is nobody's.
  first.catch(() => undefined);
  return {
    next: () => {
      const next = first ?? iterator.next();
      first = null;
      return next;
    },
    return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }),
  };
}
