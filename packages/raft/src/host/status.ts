import { isInLimbo, leaseGrant, limboEntries } from '../core/lease.ts';
import { ProgressState } from '../core/progress.ts';
import type { RaftState } from '../core/state.ts';
import { Role } from '../core/types.ts';
import type { NodeId } from '../core/types.ts';
import type { Transport } from '../transport/transport.ts';
import type { Wal } from '../wal/wal.ts';
import { hex } from './admission.ts';
import type { GroupStatus, HostPeerStatus, HostStatus, LeaseStatus } from './api.ts';
import type { Group } from './group.ts';

export function groupStatus(group: Group, nowMs: number): GroupStatus {
  const { raft, halted } = group;
  const { log, configuration } = raft;
  const voters = [...new Set([...configuration.incoming, ...configuration.outgoing])];
  return {
    group: group.id,
    role: halted === null ? roleName(raft.role) : 'follower',
    term: raft.term,
    leader: halted === null ? raft.leaderId : null,
    commit: log.commit,
    applied: log.applied,
    lastIndex: log.lastIndex,
    persistedIndex: log.persistedIndex,
    voters,
    learners: configuration.learners,
    halted: halted?.message ?? null,
    lease: halted === null ? leaseStatus(raft, nowMs) : null,
    peers: [...(raft.leader?.progress ?? [])].map(([id, progress]) => ({
      id,
      matchIndex: progress.matchIndex,
      state: progress.state === ProgressState.probe ? 'probe' : 'replicate',
    })),
  };
}

function leaseStatus(raft: RaftState, nowMs: number): LeaseStatus | null {
  if (raft.leader === null) return null;
  const remainingMs = Math.min(raft.options.leaseMs, leaseGrant(raft, nowMs)?.remainingMs ?? 0);
  const limbo = isInLimbo(raft) ? limboEntries(raft).length : 0;
  return { remainingMs, barrierMs: Math.max(0, raft.leader.barrierUntilMs - nowMs), limboEntries: limbo };
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
    diskFull: wal.full,
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
