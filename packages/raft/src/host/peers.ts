import { NoriError } from '../base/errors.ts';
import { isMember, replicasOf } from '../core/configuration.ts';
import { InputKind } from '../core/input.ts';
import type { RaftState } from '../core/state.ts';
import { type Configuration, type GroupId, type Index, type Life, type NodeId, Role } from '../core/types.ts';
import type { PeerLoss } from '../transport/api.ts';
import type { Transport } from '../transport/transport.ts';
import type { DataDirectory } from '../wal/data-directory.ts';
import { Admission } from './admission.ts';
import type { HostPeerStatus } from './api.ts';
import type { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import type { HostOptions } from './options.ts';
import { priorityOf } from './priority.ts';
import type { Turn } from './turn.ts';

const doubtSweepMs = 500;

export interface PeerParts {
  readonly options: HostOptions;
  readonly directory: DataDirectory;
  readonly transport: Transport;
  readonly turn: Turn;
  readonly groups: ReadonlyMap<GroupId, Group>;
  readonly narrator: Narrator;
  /** Calls that were passed to the peer are lost. */
  onLinkLost(peer: NodeId): void;
  onRefused(peer: NodeId, error: NoriError): void;
  fail(error: NoriError): void;
  /** Why the host takes part no more, or null. */
  stopped(): NoriError | null;
}

/** The other hosts: who is let in, who is there, and who does not want us. */
export class Peers {
  private readonly parts: PeerParts;
  private readonly admission: Admission;
  /** Everybody who may be a peer, and where: at one address, or, while it moves, at one of several. */
  private members = new Map<NodeId, readonly string[]>();
  /** Whom the groups of this host name. */
  private named: ReadonlySet<NodeId> = new Set();
  /** Whom they named once and do not any more. */
  private readonly departed = new Set<NodeId>();
  /** Who left a group since it was last connected or forgotten, and which. It may be named there again. */
  private readonly left = new Map<NodeId, Set<GroupId>>();
  /** Through here the committed configurations of a group were looked at; of what was on disk only the last counts. */
  private readonly lookedAt = new WeakMap<RaftState, Index>();
  /** Met in an earlier life of this node. */
  private readonly metBefore: ReadonlySet<NodeId>;
  /** With the newest addresses, for when this host is in doubt. */
  private readonly everKnown = new Map<NodeId, readonly string[]>();
  /** While the cluster is not founded: who has let this node in, in this life of it. */
  private readonly letUsIn = new Set<NodeId>();
  /** Members no more, and heard until then: a leader that was removed has its office to hand over. */
  private readonly lingering = new Map<NodeId, number>();
  private sweptMs = 0;
  private inDoubt = false;
  private lostSinceMs: number = Number.POSITIVE_INFINITY;
  private sweepAtMs = 0;
  private readonly refusals: Map<NodeId, NoriError> = new Map();

  constructor(parts: PeerParts) {
    this.parts = parts;
    this.metBefore = new Set(parts.directory.peers.keys());
    for (const { id, address } of parts.options.members) {
      this.members.set(id, [address]);
      this.everKnown.set(id, [address]);
    }
    this.admission = new Admission(parts.directory, parts.options.id, {
      isMember: (peer) => this.members.has(peer),
      isNamed: (peer) => this.named.has(peer),
    });
  }

  /**
   * Some group may have new members, or fewer. Peers are those whom any group names, committed or not. Only before the
   * cluster is founded, or while no group of this host names anybody, it goes by what it was started with; and in doubt
   * by everybody it ever knew.
   */
  followMembers(): void {
    const { options, groups, transport, directory } = this.parts;
    const named = addressesIn(groups.values());
    for (const id of this.named) {
      if (named.has(id)) continue;
      this.departed.add(id);
      this.lingering.set(id, this.sweptMs + 3 * options.raft.electionTimeoutMsMax);
    }
    // Who is named anew may come with another disk: what it was before is forgotten first.
    for (const id of named.keys()) {
      if (this.lingering.delete(id)) this.part(id);
      this.departed.delete(id);
    }
    this.forgetReturned(named);
    this.named = new Set(named.keys());
    const members = new Map<NodeId, readonly string[]>();
    if (named.size === 0 || !directory.founded) {
      for (const { id, address } of options.members) members.set(id, [address]);
    }
    if (this.inDoubt) for (const [id, addresses] of this.everKnown) members.set(id, addresses);
    for (const id of this.lingering.keys()) members.set(id, this.everKnown.get(id) ?? ['']);
    for (const [id, addresses] of named) {
      if (addresses.length > 0) this.everKnown.set(id, addresses);
      members.set(id, this.everKnown.get(id) ?? ['']);
    }
    const before = this.members;
    this.members = members;
    for (const [id, addresses] of members) if (id !== options.id) transport.setPeer(id, addresses);
    for (const id of before.keys()) if (id !== options.id && !members.has(id)) this.part(id);
  }

  /**
   * Who was away hears at once that a node left and that it is back, and it may be back with another disk: if it left every
   * group that names it, what it was before is forgotten. So is one that had left already when this node started. A
   * snapshot does not tell of this.
   */
  private forgetReturned(named: ReadonlyMap<NodeId, readonly string[]>): void {
    const { groups } = this.parts;
    this.noteNewlyNamed(named);
    for (const [group, { raft }] of groups) this.noteLeavers(group, raft);
    for (const [id, left] of this.left) {
      if (!named.has(id)) this.left.delete(id);
      else if ([...groups].every(([group, { raft }]) => left.has(group) || !isMember(raft.configuration, id))) {
        this.left.delete(id);
        this.departed.add(id);
        this.part(id);
        this.departed.delete(id);
      }
    }
  }

  private noteLeavers(group: GroupId, raft: RaftState): void {
    const seen = this.lookedAt.get(raft);
    this.lookedAt.set(raft, Math.max(seen ?? raft.configurationIndex, raft.committedConfigurationIndex));
    if (seen === undefined || seen >= raft.committedConfigurationIndex) return;
    const configurations = raft.committedConfigurationsSince(seen);
    for (const [at, before] of configurations.slice(0, -1).entries()) {
      const after = configurations[at + 1] as Configuration;
      for (const id of replicasOf(before)) {
        if (isMember(after, id) || id === this.parts.options.id) continue;
        this.noteLeft(id, group);
      }
    }
  }

  /** Named only now, and met in an earlier life: that it left went by while this node was down, or was not written down. */
  private noteNewlyNamed(named: ReadonlyMap<NodeId, readonly string[]>): void {
    for (const id of named.keys()) {
      if (this.named.has(id) || !this.metBefore.has(id)) continue;
      for (const [group, { raft }] of this.parts.groups) {
        const seen = this.lookedAt.get(raft);
        if (seen !== undefined && seen > 0 && isMember(raft.configuration, id)) this.noteLeft(id, group);
      }
    }
  }

  /**
   * Not of one that is here: it is back with the disk it had, which may vote in that group again, and must not be forgotten
   * for what it leaves later (the simulator, `--scenario churn`, seed 658).
   */
  private noteLeft(id: NodeId, group: GroupId): void {
    if (this.parts.transport.connected(id)) return;
    this.left.set(id, (this.left.get(id) ?? new Set()).add(group));
  }

  /**
   * A node that missed changes may not know who leads it now, and would refuse its leader as a stranger. So when some
   * group has not heard a leader for long, or is one this node was removed from and may be added to again, whoever was known
   * once is let in again until that is over.
   */
  sweep(nowMs: number): void {
    this.sweptMs = nowMs;
    let gone = false;
    for (const [id, untilMs] of this.lingering) if (untilMs <= nowMs) gone = this.lingering.delete(id);
    if (gone) this.followMembers();
    if (nowMs < this.sweepAtMs) return;
    this.sweepAtMs = nowMs + doubtSweepMs;
    let lost = false;
    for (const { halted, quarantine, raft } of this.parts.groups.values()) {
      lost ||= halted === null ? isLost(raft, nowMs) : quarantine !== null;
    }
    if (!lost || this.lostSinceMs === Number.POSITIVE_INFINITY) this.lostSinceMs = nowMs;
    const inDoubt = nowMs - this.lostSinceMs >= 2 * this.parts.options.raft.electionTimeoutMsMax;
    if (inDoubt === this.inDoubt) return;
    this.inDoubt = inDoubt;
    this.followMembers();
  }

  private part(peer: NodeId): void {
    this.parts.transport.removePeer(peer);
    this.refusals.delete(peer);
    // A node that no group has named yet was not removed, and stays known by its disk.
    if (!this.departed.has(peer)) return;
    this.parts.narrator.logger?.info({ peer }, `${peer} is a member no more`);
    this.admission.forget(peer).catch((cause: unknown) => {
      const error = notWritten(cause);
      if (error.code !== 'DISK_FULL') this.parts.fail(error);
    });
  }

  async admit(
    peer: NodeId,
    identity: Parameters<Admission['admit']>[1],
    vouched: Parameters<Admission['admit']>[2],
  ): Promise<NoriError | null> {
    let refusal: NoriError | null;
    try {
      refusal = (await this.admission.admit(peer, identity, vouched)) ?? this.parts.stopped();
      if (refusal === null) this.dismissDisputed();
    } catch (cause) {
      refusal = notWritten(cause);
      // A full volume passes: the peer comes again.
      if (refusal.code !== 'DISK_FULL') this.parts.fail(refusal);
    }
    // The transport tells of it, as of any connection that it refuses.
    return refusal;
  }

  private dismissDisputed(): void {
    const { options, transport } = this.parts;
    for (const { id } of options.members) if (this.admission.isDisputed(id)) transport.removePeer(id);
  }

  /**
   * A new cluster acts only once every founder has met every other: until then a wiped node could pass for a new one
   * (docs/adr/0003). Met is who has let this node in, too: a wiped one lets everybody in, and is let in by nobody.
   */
  async foundWhenMet(): Promise<void> {
    const { directory, options } = this.parts;
    const founders = options.members.map((member) => member.id);
    if (directory.founded || !this.admission.hasMet(founders)) return;
    if (!founders.every((id) => id === options.id || this.letUsIn.has(id))) return;
    await directory.markFounded();
    // Two peers met at once found a cluster once.
    if (!this.parts.turn.held) return;
    this.parts.narrator.logger?.info(
      { members: this.parts.options.members.map((member) => member.id) },
      'every founding member was met',
    );
    this.parts.turn.release();
    this.followMembers();
  }

  /** `returned` says that it is a later life than the one that was connected before. */
  onPeerUp(peer: NodeId, life: Life, returned: boolean): void {
    if (!this.parts.directory.founded) {
      this.letUsIn.add(peer);
      this.foundWhenMet().catch((cause: unknown) => this.parts.fail(notWritten(cause)));
    }
    this.left.delete(peer);
    this.refusals.delete(peer);
    this.parts.narrator.logger?.info({ peer }, 'peer connected');
    this.parts.narrator.tell({ scope: 'Peer', event: { type: 'PeerConnected', peer } });
    this.resetLink(peer, life);
    if (returned) this.leaderGone(peer, false);
  }

  onPeerDown(peer: NodeId, why: PeerLoss): void {
    this.parts.narrator.logger?.warn({ peer, code: why.code }, 'peer lost');
    this.parts.narrator.tell({ scope: 'Peer', event: { type: 'PeerLost', peer, code: why.code } });
    this.parts.onLinkLost(peer);
    this.resetLink(peer);
    if (why.refused) this.leaderGone(peer, true);
  }

  /** Proof that a process ended, of which silence is none: the groups it led need not wait for their timeout. */
  private leaderGone(peer: NodeId, absent: boolean): void {
    for (const group of this.parts.groups.values()) {
      if (group.raft.leaderId !== peer || group.halted !== null) continue;
      group.push({ kind: InputKind.leaderGone, peer, absent });
      this.parts.turn.schedule(group);
    }
  }

  private resetLink(peer: NodeId, life?: Life): void {
    const kind = InputKind.linkReset;
    for (const group of this.parts.groups.values()) {
      if (group.raft.role !== Role.leader || group.halted !== null) continue;
      group.push(life === undefined ? { kind, peer } : { kind, peer, life });
      this.parts.turn.schedule(group);
    }
  }

  onPeerRefused(peer: NodeId, error: NoriError): void {
    this.refusals.set(peer, error);
    this.parts.narrator.logger?.error(
      { peer, code: error.code, remedy: error.remedy },
      `${peer} refuses this node: ${error.message}`,
    );
    this.parts.narrator.tell({
      scope: 'Peer',
      event: { type: 'PeerRefused', peer, code: error.code, message: error.message },
    });
    if (error.code === 'STALE_INCARNATION') void this.condemn(error);
    else this.parts.onRefused(peer, error);
  }

  /** One peer that knows a later life of this disk is proof enough: whatever the others say, this one has forgotten votes. */
  private async condemn(error: NoriError): Promise<void> {
    try {
      await this.parts.directory.condemn(error.message);
      this.parts.fail(error);
    } catch (cause) {
      this.parts.fail(notWritten(cause));
    }
  }

  status(): HostPeerStatus[] {
    return this.parts.transport.peers().map((peer) => {
      const attributes = peer.identity?.attributes ?? this.parts.directory.peers.get(peer.id)?.attributes ?? {};
      return {
        id: peer.id,
        address: peer.address,
        connected: peer.connected,
        attributes,
        priority: priorityOf(attributes),
        refusal: this.refusals.get(peer.id)?.message ?? null,
      };
    });
  }
}

/**
 * Whom the groups name, committed or not, and where. A node that moves does so in one group after another, so until the
 * last one they disagree.
 */
function addressesIn(groups: Iterable<Group>): Map<NodeId, string[]> {
  const named = new Map<NodeId, string[]>();
  for (const { raft } of groups) {
    for (const { members } of [raft.configuration, raft.committedConfiguration]) {
      for (const { id, address } of members) {
        const addresses = named.get(id) ?? [];
        if (address !== '' && !addresses.includes(address)) addresses.push(address);
        named.set(id, addresses);
      }
    }
  }
  return named;
}

/** What this node knows of who is in the group is out of date, or may be. A learner never asks who leads: it waits. */
function isLost(raft: RaftState, nowMs: number): boolean {
  if (raft.leader !== null) return false;
  const silent = nowMs - raft.leaderHeardMs > raft.options.electionTimeoutMsMax;
  return silent || raft.isRemoved || !isMember(raft.configuration, raft.id);
}

function notWritten(cause: unknown): NoriError {
  const code = cause instanceof NoriError && cause.code === 'DISK_FULL' ? 'DISK_FULL' : 'DISK_FAILED';
  return new NoriError(code, { message: 'what a peer said of its identity or ours could not be written down', cause });
}
