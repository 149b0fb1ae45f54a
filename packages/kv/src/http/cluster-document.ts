import type { ClusterView } from '../router/topology.ts';

/** What `/v1/cluster` answers: the cluster as the node `self` sees it. */
export interface ClusterDocument {
  readonly self: string;
  /** Hexadecimal: what a node that joins must know. */
  readonly clusterId: string;
  readonly nodes: readonly {
    readonly id: string;
    readonly resp: string | null;
    readonly http: string | null;
    readonly peer: string;
    readonly alive: boolean;
  }[];
  readonly shards: readonly ShardDocument[];
}

export interface ShardDocument {
  readonly id: number;
  readonly group: number;
  readonly slots: readonly [from: number, to: number];
  readonly leader: string | null;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly persistedIndex: number;
  /** What this node is in the shard. */
  readonly role: string;
  readonly members: readonly string[];
  readonly halted: string | null;
  /** Its log or snapshot was damaged on this node, and the others refill it; else null. */
  readonly quarantine: { readonly stage: 'quarantined' | 'refilling'; readonly reason: string } | null;
  /** Only where this node leads: how long its reads need nobody, how long it commits nothing yet, and what is in limbo. */
  readonly lease: { readonly remainingMs: number; readonly barrierMs: number; readonly limboEntries: number } | null;
  readonly digest?: string;
}

/** `digestOf` is asked per shard, or left out: a digest is of this node's own state. */
export function clusterDocument(view: ClusterView, digestOf?: (shard: number) => string): ClusterDocument {
  return {
    self: view.self.id,
    clusterId: view.clusterId,
    nodes: view.nodes.map(({ id, resp, http, peer, alive }) => ({ id, resp, http, peer, alive })),
    shards: view.shards.map(({ shard, slots, leader, members, status }) => ({
      id: shard,
      group: status.group,
      slots,
      leader,
      term: status.term,
      commit: status.commit,
      applied: status.applied,
      lastIndex: status.lastIndex,
      persistedIndex: status.persistedIndex,
      role: status.role,
      members,
      halted: status.halted,
      quarantine: status.quarantine,
      lease: status.lease,
      ...(digestOf === undefined ? {} : { digest: digestOf(shard) }),
    })),
  };
}
