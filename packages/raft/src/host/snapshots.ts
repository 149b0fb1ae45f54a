import type { NoriError } from '../base/errors.ts';
import type { SnapshotWanted } from '../core/output.ts';
import { InputKind } from '../core/input.ts';
import { TransferKind, type TransferItem } from '../codec/snapshot-transfer.ts';
import type { GroupId, Index, NodeId } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import { SnapshotStore } from '../snapshot/store.ts';
import type { Transport } from '../transport/transport.ts';
import type { RecoveredGroup, Wal } from '../wal/wal.ts';
import type { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import type { HostOptions } from './options.ts';
import { diskFailure, type SnapshotHouse, type SnapshotParts } from './snapshot-house.ts';
import { recoverState, type StartOfGroup } from './snapshot-recovery.ts';
import { SnapshotReceiving } from './snapshot-receiving.ts';
import { SnapshotReplacing } from './snapshot-replacing.ts';
import { SnapshotSending } from './snapshot-sending.ts';
import { SnapshotTaking } from './snapshot-taking.ts';
import type { SnapshotKeeper, Turn } from './turn.ts';

/** The snapshots of all groups of a host (thesis 5): taken here, sent to followers, taken over from leaders. */
export class Snapshots implements SnapshotKeeper, SnapshotHouse {
  readonly options: HostOptions;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly wal: Wal;
  readonly transport: Transport;
  readonly turn: Turn;
  readonly narrator: Narrator;
  readonly groups: ReadonlyMap<GroupId, Group>;
  readonly fail: (error: NoriError) => void;
  closed = false;
  private readonly stores = new Map<GroupId, SnapshotStore>();
  private readonly works = new Set<Promise<void>>();
  private readonly taking: SnapshotTaking;
  private readonly sending: SnapshotSending;
  private readonly receiving: SnapshotReceiving;
  private readonly replacing: SnapshotReplacing;

  constructor(parts: SnapshotParts) {
    this.options = parts.options;
    this.disk = parts.disk;
    this.clock = parts.clock;
    this.random = parts.random;
    this.wal = parts.wal;
    this.transport = parts.transport;
    this.turn = parts.turn;
    this.narrator = parts.narrator;
    this.groups = parts.groups;
    this.fail = (error) => parts.fail(error);
    this.taking = new SnapshotTaking(this);
    this.sending = new SnapshotSending(this, (group) => this.taking.request(group, true));
    this.receiving = new SnapshotReceiving(this);
    this.replacing = new SnapshotReplacing(this);
  }

  /**
   * Brings the state machine of a group to its newest snapshot, and says where its log goes on.
   *
   * @throws NoriError SNAPSHOT_DAMAGED | FORMAT_TOO_NEW | DISK_FAILED, or what the state machine throws.
   */
  recover(start: RecoveredGroup, stateMachine: StateMachine): Promise<StartOfGroup> {
    return recoverState(this.storeOf(start.group), start, stateMachine, this.wal);
  }

  /** Resolves with the index of a durable snapshot of everything applied by now. */
  trigger(group: Group): Promise<Index> {
    return this.taking.trigger(group);
  }

  /** Replaces the state of a group that is this node alone. Resolves with the index as of which it is another. */
  install(group: Group, image: AsyncIterable<Uint8Array>): Promise<Index> {
    const installed = this.replacing.install(group, image);
    this.background(
      installed.then(
        () => undefined,
        () => undefined,
      ),
    );
    return installed;
  }

  wanted(group: Group, wanted: readonly SnapshotWanted[]): void {
    for (const { to } of wanted) this.sending.begin(group, to);
  }

  afterTurn(group: Group): void {
    this.receiving.afterTurn(group);
    this.replacing.afterTurn(group);
    this.taking.afterTurn(group);
  }

  onTransfer(peer: NodeId, item: TransferItem): void {
    if (this.closed) return;
    if (item.kind === TransferKind.ack) this.sending.onAck(peer, item);
    else this.receiving.onItem(peer, item);
  }

  onBulkUp(peer: NodeId): void {
    this.sending.onBulkUp(peer);
  }

  onBulkDown(peer: NodeId): void {
    this.sending.onBulkDown(peer);
  }

  /** Called now and then: moves what holds the log back. */
  sweep(): void {
    if (!this.closed) this.relieve();
  }

  /** A group is gone from this node. */
  async destroy(group: GroupId): Promise<void> {
    await this.storeOf(group).destroy();
    this.stores.delete(group);
  }

  /** Ends what is under way, and waits for it: nothing touches the directory afterwards. */
  async close(): Promise<void> {
    this.closed = true;
    this.taking.close();
    this.sending.close();
    this.receiving.close();
    while (this.works.size > 0) await Promise.allSettled(this.works);
  }

  storeOf(group: GroupId): SnapshotStore {
    let store = this.stores.get(group);
    if (store === undefined) {
      store = new SnapshotStore(this.disk, `${this.options.directory}/snapshots`, group);
      this.stores.set(group, store);
    }
    return store;
  }

  background(work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) => {
        if (!this.closed) this.fail(diskFailure(error));
      })
      .finally(() => this.works.delete(ended));
    this.works.add(ended);
  }

  taken(group: Group, index: Index): void {
    if (this.closed || group.halted !== null) return;
    const { snapshotTailEntries: entries, snapshotLogBytes } = this.options;
    const tailStart = group.raft.log.tailStart(index, { entries, bytes: snapshotLogBytes / 4 });
    // A state machine that keeps its own state goes on from the log at the next start.
    const kept = group.stateMachine.durablePosition?.();
    const compactIndex = kept === undefined ? tailStart : Math.min(tailStart, kept?.index ?? 0);
    group.push({ kind: InputKind.snapshotTaken, index, compactIndex });
    this.turn.schedule(group);
  }

  replaced(group: Group, index: Index): void {
    group.bytesSinceSnapshot = 0;
    group.push({ kind: InputKind.snapshotTaken, index, compactIndex: index });
    group.applier.busy = false;
    this.turn.schedule(group);
  }

  /**
   * One log serves all groups, and gives up its segments oldest first: a group that is quiet would keep all that came
   * after its last entries. What little such a group has is written again at the end; one with more takes a snapshot.
   */
  private relieve(): void {
    if (this.wal.bytes <= this.options.walBytesMax) return;
    for (const id of this.wal.oldestHolders()) {
      const group = this.groups.get(id);
      if (group === undefined || group.halted !== null) continue;
      const { log } = group.raft;
      if (log.bytes <= this.wal.copyBytesMax) {
        if (log.lastIndex > log.baseIndex) this.wal.copyForward(id, log.range(log.baseIndex + 1, log.lastIndex));
      } else this.taking.request(group, false);
    }
    if (this.wal.staged) this.wal.flush(() => undefined);
  }
}
