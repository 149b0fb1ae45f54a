import { createHash } from 'node:crypto';
import type { GroupStatus } from 'nori-raft';
import type { KvHost } from './host.ts';
import type { ShardMap, SlotRange } from './shards.ts';

export interface NodeView {
  readonly id: string;
  /** Redis Cluster's name for the node: 40 hexadecimal digits. */
  readonly redisId: string;
  /** The client-facing addresses, HOST:PORT, or null while the node has not told them. */
  readonly resp: string | null;
  readonly http: string | null;
  readonly peer: string;
  readonly alive: boolean;
  readonly self: boolean;
  /** The shards it leads, as far as this node knows. */
  readonly leads: readonly number[];
}

export interface ShardView {
  readonly shard: number;
  readonly slots: SlotRange;
  readonly leader: string | null;
  readonly members: readonly string[];
  readonly status: GroupStatus;
}

/** The cluster as this node sees it now. */
export interface ClusterView {
  readonly self: NodeView;
  /** Hexadecimal. */
  readonly clusterId: string;
  readonly nodes: readonly NodeView[];
  readonly shards: readonly ShardView[];
}

/** What this node says of itself to peers and clients. */
export interface Announced {
  readonly resp: string;
  readonly http: string;
}

export function redisIdOf(id: string): string {
  return createHash('sha1').update(`nori-kv node ${id}`).digest('hex');
}

export function clusterView(host: KvHost, map: ShardMap, announced: Announced): ClusterView {
  const status = host.status();
  const shards: ShardView[] = [];
  const leads = new Map<string, number[]>();
  for (let shard = 0; shard < map.count; shard += 1) {
    const group = host.groupStatus(map.groupOf(shard));
    shards.push({
      shard,
      slots: map.rangeOf(shard),
      leader: group.leader,
      members: [...group.voters, ...group.learners],
      status: group,
    });
    if (group.leader === null) continue;
    const led = leads.get(group.leader);
    if (led === undefined) leads.set(group.leader, [shard]);
    else led.push(shard);
  }
  const self: NodeView = {
    id: status.id,
    redisId: redisIdOf(status.id),
    resp: announced.resp,
    http: announced.http,
    // What it listens on may be 0.0.0.0: the group knows where it is reached.
    peer: shards[0]?.status.members.find(({ id }) => id === status.id)?.address ?? status.address,
    alive: status.state === 'running',
    self: true,
    leads: leads.get(status.id) ?? [],
  };
  const others = host.peers().map((peer) => ({
    id: peer.id,
    redisId: redisIdOf(peer.id),
    resp: peer.attributes['resp'] ?? null,
    http: peer.attributes['http'] ?? null,
    peer: peer.address,
    alive: peer.connected,
    self: false,
    leads: leads.get(peer.id) ?? [],
  }));
  const nodes = [self, ...others].sort((left, right) => (left.id < right.id ? -1 : 1));
  return { self, clusterId: status.clusterId, nodes, shards };
}

/** Slot ranges of the shards, neighbours joined: `[[0, 5460], [8192, 10922]]`. */
export function rangesOf(shards: readonly number[], map: ShardMap): SlotRange[] {
  const ranges: [number, number][] = [];
  for (const shard of [...shards].sort((left, right) => left - right)) {
    const [from, to] = map.rangeOf(shard);
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1 === from) last[1] = to;
    else ranges.push([from, to]);
  }
  return ranges;
}

/** HOST:PORT in two halves; an IPv6 host may stand in brackets. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(colon + 1)) };
}
