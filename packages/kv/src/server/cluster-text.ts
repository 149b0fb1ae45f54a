import { type ClusterView, type NodeView, rangesOf, splitAddress } from '../router/topology.ts';
import type { ShardMap, SlotRange } from '../router/shards.ts';
import type { Reply } from '../resp/reply.ts';

/** A node as Redis Cluster sees it: masters serve slots, every other node replicates one master. */
interface ClusterNode {
  readonly view: NodeView;
  readonly host: string;
  readonly port: number;
  readonly master: NodeView | null;
  readonly ranges: readonly SlotRange[];
}

/** Redis derives a bus port from the client port; clients parse it and nobody connects to it. */
const busPortOffset = 10_000;

/**
 * The leader of a shard is the master of its slots. Redis Cluster lets a replica have one master only, so a node that
 * leads nothing is shown under the first node that leads something; CLUSTER SLOTS and SHARDS show the real members.
 */
export function clusterNodes(view: ClusterView, map: ShardMap): ClusterNode[] {
  const masters = view.nodes.filter((node) => node.leads.length > 0);
  const candidates = masters.filter((node) => node.alive);
  return view.nodes.map((node, at) => {
    const { host, port } = node.resp === null ? { host: '', port: 0 } : splitAddress(node.resp);
    const pool = candidates.length > 0 ? candidates : masters;
    const master = node.leads.length > 0 ? null : (pool[at % Math.max(1, pool.length)] ?? null);
    return { view: node, host, port, master, ranges: rangesOf(node.leads, map) };
  });
}

/** The newest term of any shard: it grows whenever a leader changes, as Redis's config epoch does. */
function epochOf(view: ClusterView, nodeId: string | null): number {
  let epoch = 0;
  for (const shard of view.shards)
    if (nodeId === null || shard.leader === nodeId) epoch = Math.max(epoch, shard.status.term);
  return epoch;
}

export function clusterNodesText(view: ClusterView, map: ShardMap): string {
  const lines = clusterNodes(view, map).map((node) => {
    const role = node.master === null ? 'master' : 'slave';
    const flags = [node.view.self ? 'myself' : '', role, node.view.alive ? '' : 'fail'].filter((flag) => flag !== '');
    const ranges = node.ranges.map(([from, to]) => (from === to ? ` ${from}` : ` ${from}-${to}`)).join('');
    return (
      `${node.view.redisId} ${node.host}:${node.port}@${node.port + busPortOffset} ${flags.join(',')} ` +
      `${node.master?.redisId ?? '-'} 0 0 ${epochOf(view, node.view.id)} ${node.view.alive ? 'connected' : 'disconnected'}${ranges}\n`
    );
  });
  return lines.join('');
}

/** `[[from, to, master, replica, ...], ...]`; a range without a leader is left out, as Redis does with uncovered slots. */
export function clusterSlots(view: ClusterView): Reply {
  const nodes = new Map(view.nodes.map((node) => [node.id, node]));
  const rows: Reply[] = [];
  for (const shard of view.shards) {
    const leader = shard.leader === null ? undefined : nodes.get(shard.leader);
    if (leader === undefined || leader.resp === null) continue;
    const replicas = shard.members
      .map((id) => nodes.get(id))
      .filter(
        (node): node is NodeView => node !== undefined && node.id !== shard.leader && node.alive && node.resp !== null,
      );
    rows.push([shard.slots[0], shard.slots[1], ...[leader, ...replicas].map(slotNode)]);
  }
  return rows;
}

function slotNode(node: NodeView): Reply {
  const { host, port } = splitAddress(node.resp as string);
  return [host, port, node.redisId, []];
}

export function clusterShards(view: ClusterView): Reply {
  const nodes = new Map(view.nodes.map((node) => [node.id, node]));
  return view.shards.map(
    (shard): Reply => ({
      map: [
        ['slots', [shard.slots[0], shard.slots[1]]],
        [
          'nodes',
          shard.members
            .map((id) => nodes.get(id))
            .filter((node): node is NodeView => node !== undefined && node.resp !== null)
            .map((node) => shardNode(node, node.id === shard.leader, shard.status.applied)),
        ],
      ],
    }),
  );
}

function shardNode(node: NodeView, leads: boolean, offset: number): Reply {
  const { host, port } = splitAddress(node.resp as string);
  return {
    map: [
      ['id', node.redisId],
      ['port', port],
      ['ip', host],
      ['endpoint', host],
      ['role', leads ? 'master' : 'replica'],
      ['replication-offset', offset],
      ['health', node.alive ? 'online' : 'fail'],
    ],
  };
}

export function clusterInfoText(view: ClusterView, map: ShardMap): string {
  let served = 0;
  for (const shard of view.shards) {
    const [from, to] = map.rangeOf(shard.shard);
    if (shard.leader !== null) served += to - from + 1;
  }
  const total = map.rangeOf(map.count - 1)[1] + 1;
  const masters = view.nodes.filter((node) => node.leads.length > 0).length;
  const facts: readonly (readonly [string, string | number])[] = [
    ['cluster_state', served === total ? 'ok' : 'fail'],
    ['cluster_slots_assigned', total],
    ['cluster_slots_ok', served],
    ['cluster_slots_pfail', 0],
    ['cluster_slots_fail', total - served],
    ['cluster_known_nodes', view.nodes.length],
    ['cluster_size', masters],
    ['cluster_current_epoch', epochOf(view, null)],
    ['cluster_my_epoch', epochOf(view, view.self.id)],
    ['cluster_stats_messages_sent', 0],
    ['cluster_stats_messages_received', 0],
  ];
  return facts.map(([name, value]) => `${name}:${value}\r\n`).join('');
}
