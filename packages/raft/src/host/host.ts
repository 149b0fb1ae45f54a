import { NoriError } from '../base/errors.ts';
import { InputKind } from '../core/input.ts';
import type { RaftState } from '../core/state.ts';
import { type GroupId, type Index, type NodeId, Role } from '../core/types.ts';
import { lifeOf } from '../transport/identity.ts';
import { Transport } from '../transport/transport.ts';
import type { DataDirectory } from '../wal/data-directory.ts';
import type { Wal } from '../wal/wal.ts';
import type {
  AppliedCommandSource,
  CallOptions,
  CreateGroup,
  ExecuteDone,
  GroupStatus,
  HostPeerStatus,
  HostStatus,
  MembersChange,
  MemberStatus,
  ReadAnswer,
  ReadDone,
  ReadOptions,
  ReadProof,
} from './api.ts';
import { Calls } from './calls.ts';
import { Client, type Executed } from './client.ts';
import { explain } from './explain.ts';
import type { Group } from './group.ts';
import { Groups } from './groups.ts';
import { Handover } from './handover.ts';
import { Narrator } from './narrator.ts';
import { checkedChange, type HostConfig, type HostOptions, type Ports } from './options.ts';
import { Peers } from './peers.ts';
import { Priorities } from './priorities.ts';
import { Snapshots } from './snapshots.ts';
import { asksTheForgetful } from './quarantine.ts';
import { Refill } from './refill.ts';
import { Room } from './room.ts';
import { groupStatus, hostStatus, leaderOf, memberStatus } from './status.ts';
import { inTime, openStorage, type Storage } from './storage.ts';
import { Subscription } from './subscription.ts';
import { Turn } from './turn.ts';

/** Many groups on one thread, with one log, one disk wait a turn and one connection to each peer. */
export class Host {
  /** The host stopped itself, because its disk failed. Told once. */
  onFailed: ((error: NoriError) => void) | null = null;
  /** A peer refuses this node. Told once per reason. */
  onRefused: ((peer: string, error: NoriError) => void) | null = null;
  private readonly options: HostOptions;
  private readonly ports: Ports;
  private readonly directory: DataDirectory;
  private readonly wal: Wal;
  private readonly transport: Transport;
  private readonly narrator: Narrator;
  private readonly turn: Turn;
  private readonly groups: Groups;
  private readonly snapshots: Snapshots;
  private readonly calls: Calls;
  private readonly client: Client;
  private readonly handover: Handover;
  private readonly peerTable: Peers;
  private readonly priorities: Priorities;
  private readonly refill: Refill;
  private readonly room: Room;
  private address = '';

  private state: HostStatus['state'] = 'running';
  private failure: NoriError | null = null;
  private closing: Promise<void> | null = null;

  /**
   * Opens the data directory, recovers the log, and listens for peers.
   *
   * @throws NoriError CONFIG_INVALID, DATA_DIR_*, WAL_DAMAGED, FORMAT_TOO_NEW, ADDRESS_IN_USE, ADDRESS_INVALID.
   */
  static async openWith(config: HostConfig, ports: Ports): Promise<Host> {
    const parts = await openStorage(config, ports);
    const host = new Host(parts, ports);
    await host.start();
    return host;
  }

  /** Use `openWith`. */
  protected constructor(storage: Storage, ports: Ports) {
    const { options, directory, wal, recovered, quarantine } = storage;
    this.options = options;
    this.ports = ports;
    this.directory = directory;
    this.wal = wal;
    this.narrator = new Narrator(options);
    this.transport = this.makeTransport();
    const { transport, narrator } = this;
    const { clock, random } = ports;
    this.turn = new Turn({
      clock,
      wal,
      transport,
      narrator,
      leaseMs: options.raft.leaseMs,
      stallTimeoutMs: options.stallTimeoutMs,
      onDiskFailed: (error) => this.fail(error),
      onSweep: (nowMs) => {
        this.calls.expire(nowMs);
        this.snapshots.sweep();
        this.peerTable.sweep(nowMs);
        this.refill.sweep(nowMs);
        this.room.look();
        this.priorities.sweep(nowMs);
      },
      onMembersChanged: () => this.peerTable.followMembers(),
      onStateDamaged: (group, cause) => this.groups.onStateDamaged(group, cause),
    });
    const { turn } = this;
    this.groups = new Groups({
      options,
      life: lifeOf(directory),
      clock,
      random,
      wal,
      turn,
      recovered,
      snapshots: () => this.snapshots,
      quarantine,
      narrator,
      onQuarantine: (group) => this.refill.watch(group),
      assertRunning: () => this.assertRunning(),
    });
    const groups = this.groups.open;
    this.snapshots = new Snapshots({
      options,
      disk: ports.disk,
      clock,
      random,
      wal,
      transport,
      turn,
      narrator,
      groups,
      fail: (error) => this.fail(error),
    });
    turn.snapshots = this.snapshots;
    this.calls = new Calls({
      options,
      clock,
      turn,
      wal,
      transport,
      groups,
      // By chance, so that the late answer to a question of this node's last life fits none of this one's.
      firstRequestId: random.uint32() * 0x10_0000,
      stopped: () => this.stopped(),
    });
    this.priorities = new Priorities({ priority: options.priority, transport, turn, groups });
    this.client = new Client(this.calls, clock, 2 * options.raft.electionTimeoutMsMax);
    this.handover = new Handover({ options, clock, turn });
    this.peerTable = new Peers({
      options,
      directory,
      transport,
      turn,
      groups,
      narrator,
      onLinkLost: (peer) => this.calls.onPeerDown(peer),
      onRefused: (peer, error) => this.onRefused?.(peer, error),
      fail: (error) => this.fail(error),
      stopped: () => this.stopped(),
    });
    const stopped = (): NoriError | null => this.stopped();
    this.refill = new Refill({
      id: options.id,
      clock,
      transport,
      narrator,
      groups: this.groups,
      calls: this.calls,
      stopped,
    });
    wal.onFailed = (error) => this.fail(error);
    this.room = new Room({ wal, turn, groups, narrator, directory: options.directory });
    wal.onRoom = () => this.room.look();
  }

  get id(): NodeId {
    return this.options.id;
  }

  private makeTransport(): Transport {
    const { options, ports, directory } = this;
    return new Transport({
      clock: ports.clock,
      network: ports.network,
      random: ports.random,
      self: {
        nodeId: options.id,
        clusterId: directory.clusterId,
        identity: {
          diskId: directory.diskId,
          incarnation: directory.incarnation,
          attributes: options.attributes,
          deadSince: directory.deadSince,
        },
      },
      founding: () => !directory.founded,
      listenAddress: options.listen,
      knownPeers: () => [...directory.peers].map(([id, peer]) => [id, peer.diskId] as const),
      events: {
        admit: (peer, identity, vouched) => this.peerTable.admit(peer, identity, vouched),
        onMessage: (_peer, groupId, message, life) => {
          const group = this.groups.open.get(groupId);
          // A cluster that is not founded yet hears nothing: it could neither act on it nor keep it all.
          if (group === undefined || group.halted !== null || this.turn.held) return;
          if (group.quarantine !== null && asksTheForgetful(group.quarantine, group.raft, message)) return;
          group.push({ kind: InputKind.message, message, life });
          this.turn.schedule(group);
        },
        onRequest: (peer, request) => this.calls.onRequest(peer, request),
        onReply: (peer, reply) => this.calls.onReply(peer, reply),
        onTransfer: (peer, item) => this.snapshots.onTransfer(peer, item),
        onBulkUp: (peer) => this.snapshots.onBulkUp(peer),
        onBulkDown: (peer) => this.snapshots.onBulkDown(peer),
        onBatchEnd: () => undefined,
        onPeerUp: (peer, life, returned) => this.peerTable.onPeerUp(peer, life, returned),
        onPeerDown: (peer, why) => this.peerTable.onPeerDown(peer, why),
        onRefused: (peer, error) => this.peerTable.onPeerRefused(peer, error),
        onRejected: (remote, error) => this.narrator.rejected(remote, error),
      },
    });
  }

  protected async start(): Promise<void> {
    try {
      for (const { id, address } of this.options.members) if (id !== this.id) this.transport.setPeer(id, [address]);
      // Who joins a cluster has no part in founding it, and asks nobody for a vote before the log says it has one.
      if (this.options.join && !this.directory.founded) await this.directory.markFounded();
      this.turn.held = !this.directory.founded;
      if (this.options.listen !== '') this.address = await this.transport.start();
      await this.peerTable.foundWhenMet();
      this.turn.request();
    } catch (error) {
      await this.close({ handover: false });
      throw error;
    }
  }

  /**
   * Takes up a group: as it is on disk, or, if it is not, as a new one founded by `members`. Every founding member
   * must create it with the same members.
   *
   * @throws NoriError GROUP_EXISTS, GROUP_DESTROYED (its id was used on this node before), STATE_FOREIGN,
   *   CONFIG_INVALID, DISK_FAILED, CLOSED.
   */
  async createGroup(create: CreateGroup): Promise<void> {
    this.assertRunning();
    await this.groups.create(create);
  }

  /**
   * Ends a group on this node and forgets its log. Its id cannot be used here again.
   *
   * @throws NoriError GROUP_UNKNOWN, DISK_FAILED, CLOSED.
   */
  async destroyGroup(group: GroupId): Promise<void> {
    this.assertRunning();
    await this.groups.destroy(group);
  }

  /** The callback door of `execute`: see there. Takes over the bytes. `done` is called exactly once and must not throw. */
  submit(group: GroupId, command: Uint8Array, options: CallOptions, done: ExecuteDone): void {
    this.calls.submit(group, command, options, done);
  }

  /** The callback door of `read`: see there. Takes over the bytes. `done` is called exactly once and must not throw. */
  query(group: GroupId, query: Uint8Array, options: ReadOptions, done: ReadDone): void {
    this.calls.query(group, query, options, done);
  }

  /**
   * Proposes a command; resolves once it is committed on a majority of disks and applied on the node that leads. A
   * node that does not lead passes it on, unless `forward` is false.
   *
   * @throws NoriError NOT_LEADER, QUORUM_UNAVAILABLE, PROPOSAL_DROPPED, OVERLOADED, PAYLOAD_TOO_LARGE, DISK_FULL
   *   (certainly not applied); COMMIT_TIMEOUT, OUTCOME_UNKNOWN, ABORTED, DISK_FAILED, CLOSED (read `outcome`).
   */
  execute(group: GroupId, command: Uint8Array, options?: CallOptions): Promise<Executed> {
    return this.client.execute(group, command, options);
  }

  /** `execute` for those who only want to know where in the log the command is. */
  async propose(group: GroupId, command: Uint8Array, options?: CallOptions): Promise<Index> {
    return (await this.client.execute(group, command, options)).index;
  }

  /**
   * Asks the state machine. The answer reflects every command acknowledged before the call (thesis 6.4), unless
   * `consistency` is `stale`: then it is what this node has.
   *
   * @throws NoriError NOT_LEADER, QUORUM_UNAVAILABLE, READ_TIMEOUT, OVERLOADED, APPLY_FAILED, ABORTED, CLOSED.
   */
  read(group: GroupId, query: Uint8Array, options?: ReadOptions): Promise<ReadAnswer> {
    return this.client.read(group, query, options);
  }

  /** Resolves when this node has applied every command acknowledged before the call. Throws what `read` throws. */
  readIndex(group: GroupId, options?: CallOptions): Promise<ReadProof> {
    return this.client.readIndex(group, options);
  }

  /** Commands as they are applied on this node, from now on. */
  subscribeApplied(group: GroupId): AppliedCommandSource {
    const { subscriptions } = this.acting(group);
    const subscription = new Subscription((ended) => subscriptions.delete(ended));
    subscriptions.add(subscription);
    return subscription;
  }

  isLeader(group: GroupId): boolean {
    const { halted, raft } = this.groups.known(group);
    return this.state === 'running' && halted === null && raft.role === Role.leader;
  }

  /** Who leads the group, as far as this node knows. */
  leader(group: GroupId): NodeId | null {
    const known = this.groups.known(group);
    return this.state === 'running' ? leaderOf(known, this.ports.clock.nowMs()) : null;
  }

  /**
   * Hands leadership of a group to `to`, or to the voter with the longest log when null (thesis 3.10). Resolves when
   * this node leads no more.
   *
   * @throws NoriError NOT_LEADER when it does not lead now, QUORUM_UNAVAILABLE when nobody took over in time.
   */
  async transferLeadership(groupId: GroupId, to: string | null = null): Promise<void> {
    this.assertRunning();
    const group = this.groups.known(groupId);
    if (!this.isLeader(groupId)) {
      const leaderHint = this.leader(groupId);
      throw new NoriError('NOT_LEADER', { message: `this node does not lead group ${groupId}`, leaderHint });
    }
    await this.handover.transfer(group, to);
  }

  /**
   * Takes a snapshot of a group on this node, while it goes on, and gives up the log in front of it. Resolves with the
   * index it covers: everything applied here before the call.
   *
   * @throws NoriError GROUP_UNKNOWN, APPLY_FAILED, SNAPSHOT_FAILED, CLOSED.
   */
  async triggerSnapshot(groupId: GroupId): Promise<Index> {
    return this.snapshots.trigger(this.acting(groupId));
  }

  /**
   * Replaces the state of a group by an image that its kind of state machine gave (`StateMachine.snapshot`), say a backup.
   * Only where this node is the whole group; members that are added later get the new state. Resolves once it is
   * durable. While the image is restored the group stands still. If it cannot be restored the group halts on this
   * node, and a restart goes on with the old state.
   *
   * @throws NoriError GROUP_UNKNOWN, UNSUPPORTED, OVERLOADED, SNAPSHOT_FAILED, APPLY_FAILED, CLOSED.
   */
  async installSnapshot(groupId: GroupId, image: AsyncIterable<Uint8Array>): Promise<Index> {
    return this.snapshots.install(this.acting(groupId), image);
  }

  /**
   * Makes a node a voter of the group. It must be running, opened with `join`; it learns first, and votes once it has
   * caught up. Any member may be asked. Resolves with the index of the last step when all of it is committed.
   *
   * @param options `timeoutMs` is 60,000 by default.
   * @throws NoriError what `changeMembers` throws.
   */
  addMember(group: GroupId, id: string, address: string, options?: CallOptions): Promise<Index> {
    return this.changeMembers(group, { add: { [id]: address } }, options);
  }

  /** Removes a member, be it the leader, who then hands over. Throws what `changeMembers` throws. */
  removeMember(group: GroupId, id: string, options?: CallOptions): Promise<Index> {
    return this.changeMembers(group, { remove: [id] }, options);
  }

  /**
   * Says where a member is to be found from now on: its process listens at another peer address, or will after its next
   * start. It keeps its disk, its log and its vote; whoever is connected to it stays so. Throws what `changeMembers` throws.
   */
  moveMember(group: GroupId, id: string, address: string, options?: CallOptions): Promise<Index> {
    return this.changeMembers(group, { move: { [id]: address } }, options);
  }

  /**
   * Changes any number of members at once (thesis 4.3). One change at a time; a change goes on when its leader dies, and
   * when the caller stops waiting.
   *
   * @throws NoriError CONFIGURATION_INVALID, CHANGE_IN_PROGRESS, CHANGE_GIVEN_UP, NOT_LEADER, QUORUM_UNAVAILABLE,
   *   PROPOSAL_DROPPED (the group is as it was); COMMIT_TIMEOUT, OUTCOME_UNKNOWN, ABORTED (it may still go on).
   */
  async changeMembers(group: GroupId, change: MembersChange, options?: CallOptions): Promise<Index> {
    this.groups.known(group);
    return await this.client.change(group, checkedChange(change), options);
  }

  /**
   * Gives up the change under way: one that waits for a new member to catch up, or for new voters who do not answer.
   *
   * @throws NoriError what `changeMembers` throws; CONFIGURATION_INVALID when there is none.
   */
  async giveUpChange(group: GroupId, options?: CallOptions): Promise<Index> {
    this.groups.known(group);
    return await this.client.change(group, null, options);
  }

  /**
   * Gives up what this node has of the group: it is silent until the group counts on it no more, then learns everything
   * anew from the others, and votes again once it has caught up. What happens by itself when its log or snapshot is
   * found damaged at a start; by hand it is for a group that halted. Resolves when that is durable; `groupStatus` says
   * how far it is. A group that needs this node for a majority stands still until it is back.
   *
   * @throws NoriError GROUP_UNKNOWN, UNSUPPORTED (with it the group has one voter or two, who could not decide anything
   *   without it), DISK_FAILED, CLOSED.
   */
  async refillGroup(group: GroupId): Promise<void> {
    this.assertRunning();
    await this.groups.refillAsAsked(group);
  }

  /** Who is in the group, as far as this node knows. */
  members(group: GroupId): readonly MemberStatus[] {
    return memberStatus(this.groups.known(group).raft);
  }

  /** The core of a group that is open here and not halted, for those who check it: to look at, never to change. */
  raftState(group: GroupId): RaftState | null {
    const open = this.groups.open.get(group);
    return open === undefined || open.halted !== null ? null : open.raft;
  }

  /** Why the group cannot elect, commit or read on this node right now, a sentence each; empty when nothing is in the way. */
  explain(group: GroupId): string[] {
    return explain(this.groups.known(group), {
      nowMs: this.ports.clock.nowMs(),
      turn: this.turn,
      diskFull: this.room.full,
      isConnected: (peer) => this.transport.connected(peer),
    });
  }

  groupStatus(group: GroupId): GroupStatus {
    return groupStatus(this.groups.known(group), this.ports.clock.nowMs());
  }

  peers(): HostPeerStatus[] {
    return this.peerTable.status();
  }

  status(): HostStatus {
    return hostStatus({
      id: this.id,
      clusterId: this.directory.clusterId,
      address: this.address,
      founded: this.directory.founded,
      nowMs: this.ports.clock.nowMs(),
      state: this.state,
      failure: this.failure?.message ?? null,
      wal: this.wal,
      diskFull: this.room.full,
      transport: this.transport,
      groups: [...this.groups.open.values()],
      peers: this.peers(),
    });
  }

  /** A disk that failed once, or is an old copy, is never trusted again: the host stops at once and says why. */
  private fail(error: NoriError): void {
    if (this.state !== 'running') return;
    this.state = 'failed';
    this.failure = error;
    this.narrator.logger?.error({ err: error, remedy: error.remedy }, `the host stops: ${error.message}`);
    if (error.code !== 'STALE_INCARNATION') {
      this.narrator.tell({ scope: 'Storage', event: { type: 'DiskFailed', message: error.message } });
    }
    this.stopActing(error);
    void this.closePort();
    this.onFailed?.(error);
  }

  private async closePort(): Promise<void> {
    try {
      await this.transport.close();
    } catch (cause) {
      this.narrator.logger?.warn({ err: cause }, 'the peer port could not be closed');
    }
  }

  private stopActing(error: NoriError): void {
    this.turn.stop();
    this.calls.failAll(error);
  }

  private stopped(): NoriError | null {
    if (this.state === 'running') return null;
    const code = this.state === 'failed' ? 'DISK_FAILED' : 'CLOSED';
    return new NoriError(code, { message: this.failure?.message ?? 'the node is closed', outcome: 'notApplied' });
  }

  private acting(id: GroupId): Group {
    const error = this.stopped() ?? this.groups.known(id).halted;
    if (error !== null) throw error;
    return this.groups.known(id);
  }

  private assertRunning(): void {
    const error = this.stopped();
    if (error !== null) throw error;
  }

  /**
   * Passes on every group that this node leads, and resolves when the successors serve: what was asked here before is
   * answered by then. It takes a few round trips, three election timeouts at most, and never fails: a group nobody else
   * can lead stays. The node goes on, as a follower.
   */
  async handOver(): Promise<void> {
    if (this.state === 'running') await this.handover.all(this.groups.open.values());
  }

  /**
   * Stops. With `handover` (the default) it first passes on what it leads, see `handOver`.
   * Callers that still wait get CLOSED. May be called more than once.
   *
   * @throws NoriError DISK_FAILED when the disk does not answer for 5 s: the directory stays locked until the process ends.
   */
  close(options: { readonly handover?: boolean } = {}): Promise<void> {
    this.closing ??= this.shutDown(options.handover ?? true);
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async shutDown(handover: boolean): Promise<void> {
    if (handover) await this.handOver();
    this.state = 'closed';
    this.stopActing(new NoriError('CLOSED', { message: 'the node was closed' }));
    await inTime(this.release(), this.ports.clock, this.options.directory);
  }

  /** The directory stays locked while something may still be written to it. */
  private async release(): Promise<void> {
    await this.transport.close();
    await this.snapshots.close();
    await this.wal.close();
    await this.directory.close();
  }
}
