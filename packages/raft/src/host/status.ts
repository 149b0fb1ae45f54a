import { isJoint, isMember } from '../core/configuration.ts';
import { isInLimbo, leaseGrant, limboEntries } from '../core/lease.ts';
import { knowsItselfRemoved } from '../core/membership.ts';
import { ProgressState } from '../core/progress.ts';
import type { RaftState } from '../core/state.ts';
import { Role } from '../core/types.ts';
import type { NodeId } from '../core/types.ts';
import type { Transport } from '../transport/transport.ts';
import type { Wal } from '../wal/wal.ts';
import { hex } from './admission.ts';
import type {
  ChangeStatus,
  GroupStatus,
  HostPeerStatus,
  HostStatus,
  LeaseStatus,
  MemberStatus,
  QuarantineStatus,
} from './api.ts';
import { QuarantineStage } from '../codec/record.ts';
import type { Group } from './group.ts';
import { isAiling } from './quarantine.ts';

export function groupStatus(group: Group, nowMs: number): GroupStatus {
  const { raft, halted } = group;
  const { log, configuration } = raft;
  const voters = [...new Set([...configuration.incoming, ...configuration.outgoing])];
  return {
    group: group.id,
    role: halted === null ? roleName(raft.role) : 'follower',
    term: raft.term,
    leader: leaderOf(group, nowMs),
    commit: log.commit,
    applied: log.applied,
    lastIndex: log.lastIndex,
    persistedIndex: log.persistedIndex,
    voters,
    learners: configuration.learners,
    members: memberStatus(raft),
    change: changeStatus(raft),
    removed: knowsItselfRemoved(raft),
    halted: halted?.message ?? null,
    quarantine: quarantineStatus(group),
    lease: halted === null ? leaseStatus(raft, nowMs) : null,
    peers: [...(raft.leader?.progress ?? [])].map(([id, progress]) => ({
      id,
      matchIndex: progress.matchIndex,
      state: progressNames[progress.state],
    })),
  };
}

const progressNames: Readonly<Record<ProgressState, string>> = {
  [ProgressState.probe]: 'probe',
  [ProgressState.replicate]: 'replicate',
  [ProgressState.snapshot]: 'snapshot',
};

/** Who leads, as far as the node knows. One that was removed hears of no later leader, so what it knew is soon of the past. */
export function leaderOf({ raft, halted }: Group, nowMs: number): NodeId | null {
  if (halted !== null) return null;
  const silent = nowMs - raft.leaderHeardMs > 3 * raft.options.electionTimeoutMsMax;
  return raft.leader === null && silent && knowsItselfRemoved(raft) ? null : raft.leaderId;
}

function quarantineStatus({ quarantine }: Group): QuarantineStatus | null {
  if (!isAiling(quarantine)) return null;
  const { stage, reason } = quarantine;
  return { stage: stage === QuarantineStage.refilling ? 'refilling' : 'quarantined', reason };
}

function leaseStatus(raft: RaftState, nowMs: number): LeaseStatus | null {
  if (raft.leader === null) return null;
  const remainingMs = Math.min(raft.options.leaseMs, leaseGrant(raft, nowMs)?.remainingMs ?? 0);
  const limbo = isInLimbo(raft) ? limboEntries(raft).length : 0;
  return { remainingMs, barrierMs: Math.max(0, raft.leader.barrierUntilMs - nowMs), limboEntries: limbo };
}

export function memberStatus({ configuration }: RaftState): MemberStatus[] {
  const { incoming, outgoing, planned } = configuration;
  const roleOf = (id: NodeId): MemberStatus['role'] => {
    if (incoming.includes(id)) return planned?.voters.includes(id) === false ? 'leaving' : 'voter';
    if (outgoing.includes(id)) return 'leaving';
    return planned?.voters.includes(id) === true ? 'joining' : 'learner';
  };
  return configuration.members
    .filter(({ id }) => isMember(configuration, id))
    .map(({ id, address }) => ({ id, address, role: roleOf(id) }));
}

function changeStatus(raft: RaftState): ChangeStatus | null {
  const { configuration, log, leader } = raft;
  const { incoming, planned } = configuration;
  const committed = raft.configurationIndex <= log.commit;
  if (committed && !isJoint(configuration) && planned === undefined) return null;
  const phase = planned === undefined ? (isJoint(configuration) ? 'joint' : 'committing') : 'catchingUp';
  const catchingUp = [...(leader?.catchUps ?? [])].map(([id, { round, targetIndex }]) => ({
    id,
    round,
    targetIndex,
    matchIndex: leader?.progress.get(id)?.matchIndex ?? 0,
  }));
  return { phase, voters: planned?.voters ?? incoming, joined: planned?.joined ?? [], catchingUp };
}

function roleName(role: Role): GroupStatus['role'] {
  if (role === Role.leader) return 'leader';
  return role === Role.follower ? 'follower' : 'candidate';
}

export function hostStatus(parts: {
  readonly id: NodeId;
  readonly clusterId: Uint8Array;
  readonly address: string;
  readonly founded: boolean;
  readonly nowMs: number;
  readonly state: HostStatus['state'];
  readonly failure: string | null;
  readonly wal: Wal;
  readonly diskFull: boolean;
  readonly transport: Transport;
  readonly groups: readonly Group[];
  readonly peers: readonly HostPeerStatus[];
}): HostStatus {
  const { id, address, founded, state, failure, peers, wal, transport } = parts;
  return {
    id,
    clusterId: hex(parts.clusterId),
    address,
    founded,
    state,
    failure,
    diskFull: parts.diskFull,
    groups: parts.groups.map((group) => groupStatus(group, parts.nowMs)),
    peers,
    wal: { ...wal.stats() },
    transport: numbersOf(transport.counters),
  };
}

/** Nested counters, flattened: {rejected: {WIRE_CHECKSUM: 2}} becomes {'rejected.WIRE_CHECKSUM': 2}. */
function numbersOf(counters: object): Record<string, number> {
  const flat: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters) as [string, unknown][]) {
    if (typeof value === 'number') flat[name] = value;
    else if (value instanceof Map) for (const [key, count] of value) flat[`${name}.${String(key)}`] = Number(count);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, count] of Object.entries(numbersOf(value))) flat[`${name}.${key}`] = count;
    }
  }
  return flat;
}
