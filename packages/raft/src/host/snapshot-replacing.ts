import { NoriError } from '../base/errors.ts';
import { snapshotIdBytes } from '../codec/snapshot.ts';
import { replicasOf } from '../core/configuration.ts';
import { type Index, Role } from '../core/types.ts';
import { SnapshotReader } from '../snapshot/reader.ts';
import { writeSnapshot } from '../snapshot/writer.ts';
import type { Group } from './group.ts';
import { isDiskFull, pointOf, type SnapshotHouse } from './snapshot-house.ts';

/**
 * Replaces the state of a group by an image from outside: a backup. Only where this node is the whole group: what others
 * hold of its log would lead them to another state. Members that are added later get the new state as a snapshot.
 */
export class SnapshotReplacing {
  private readonly house: SnapshotHouse;
  /** Who waits for a moment between two batches. */
  private readonly waiting = new Map<Group, () => void>();
  /** From the first byte of an image to the end: they would write to the same files. */
  private readonly underWay = new Set<Group>();

  constructor(house: SnapshotHouse) {
    this.house = house;
  }

  afterTurn(group: Group): void {
    if (group.applier.busy) return;
    const go = this.waiting.get(group);
    this.waiting.delete(group);
    go?.();
  }

  /** @throws NoriError UNSUPPORTED, OVERLOADED, SNAPSHOT_FAILED, APPLY_FAILED, CLOSED. */
  async install(group: Group, image: AsyncIterable<Uint8Array>): Promise<Index> {
    this.requireAlone(group);
    requireReset(group);
    if (this.underWay.has(group)) throw new NoriError('OVERLOADED', { message: 'the group is being replaced already' });
    this.underWay.add(group);
    try {
      return await this.installAlone(group, image);
    } finally {
      this.underWay.delete(group);
    }
  }

  private async installAlone(group: Group, image: AsyncIterable<Uint8Array>): Promise<Index> {
    const { house } = this;
    const store = house.storeOf(group.id);
    await store.prepare();
    // First all of it, so that the group stands still only for as long as it takes to restore it.
    const spooled = await this.spool(group, store.spoolPath, image);
    if (!spooled) throw new NoriError('CLOSED', { message: 'the node was closed', outcome: 'notApplied' });
    await new Promise<void>((resolve) => {
      this.waiting.set(group, () => {
        // From here on no batch and no query runs, and nobody joins: the log leads to the old state.
        group.applier.busy = true;
        group.replacing = true;
        resolve();
      });
      house.turn.schedule(group);
    });
    try {
      this.requireAlone(group);
      return await this.replace(group);
    } finally {
      group.replacing = false;
      group.applier.busy = false;
      house.turn.schedule(group);
    }
  }

  private async spool(group: Group, path: string, image: AsyncIterable<Uint8Array>): Promise<boolean> {
    const { house } = this;
    const title = this.title(group);
    try {
      const goOn = (): boolean => !house.closed && group.halted === null;
      return (await writeSnapshot(house.disk, path, title, image[Symbol.asyncIterator](), goOn)) !== null;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new NoriError('SNAPSHOT_FAILED', { message: 'the volume has no room for the image', cause: error });
    }
  }

  /**
   * Nothing is acknowledged on the new state before the snapshot of it is durable: a crash leaves one or the other. What a
   * state machine keeps itself changes before that, so until then it is in doubt.
   */
  private async replace(group: Group): Promise<Index> {
    const { house } = this;
    const store = house.storeOf(group.id);
    const title = this.title(group);
    const { index, term } = title.point;
    const keepsItself = group.stateMachine.durablePosition !== undefined;
    try {
      if (keepsItself) await store.doubtState();
      const reader = await SnapshotReader.open(house.disk, store.spoolPath);
      try {
        await group.stateMachine.restore(reader.image(), { index, term });
      } finally {
        await reader.close();
      }
      const own = group.stateMachine.snapshot()[Symbol.asyncIterator]();
      const header = await writeSnapshot(house.disk, store.replacingPath, title, own, () => !house.closed);
      this.requireAlone(group);
      if (header !== null) {
        await store.adopt(store.replacingPath, header);
        if (keepsItself) await store.trustState();
      }
      await house.disk.remove(store.spoolPath);
    } catch (error) {
      // The state may be the old, the new or neither; a restart goes on with what is durable.
      if (!house.closed) house.turn.halt(group, error);
      throw error;
    }
    if (house.closed) throw new NoriError('CLOSED', { message: 'the node was closed' });
    house.replaced(group, index);
    return index;
  }

  private title(group: Group): Parameters<typeof writeSnapshot>[2] {
    const { random, options } = this.house;
    const id = random.bytes(snapshotIdBytes);
    return { group: group.id, point: pointOf(group), id, chunkBytes: options.snapshotChunkBytes };
  }

  private requireAlone(group: Group): void {
    const { raft } = group;
    if (raft.role === Role.leader && replicasOf(raft.configuration).length === 1 && raft.log.applied > 0) return;
    throw new NoriError('UNSUPPORTED', {
      message: `group ${group.id} has other members, or is not led by this node`,
      remedy: 'replace the state of a group of one node, then add the others',
    });
  }
}

/** After a crash on the way its own state says nothing, and is built anew. */
function requireReset({ id, stateMachine }: Group): void {
  if (stateMachine.durablePosition === undefined || stateMachine.reset !== undefined) return;
  throw new NoriError('UNSUPPORTED', {
    message: `the state machine of group ${id} keeps its own state and cannot reset it`,
    remedy: 'give it the method reset, or put the image into its store before the group is created',
  });
}
