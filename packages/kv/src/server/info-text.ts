import { clusterNodes } from './cluster-text.ts';
import type { NodeContext } from './node-context.ts';

/** The version of Redis whose commands and texts these are; clients switch features by it. */
export const redisVersion = '7.0.15';

type Facts = readonly (readonly [name: string, value: string | number])[];

const sections: Readonly<Record<string, (context: NodeContext) => Facts>> = {
  server: (context) => [
    ['redis_version', redisVersion],
    ['redis_mode', 'cluster'],
    ['nori_version', context.version],
    ['nori_node', context.id],
    ['os', `${process.platform} ${process.arch}`],
    ['arch_bits', 64],
    ['process_id', process.pid],
    ['tcp_port', context.announced.resp.slice(context.announced.resp.lastIndexOf(':') + 1)],
    ['uptime_in_seconds', Math.floor((Date.now() - context.startedAtMs) / 1000)],
    ['uptime_in_days', Math.floor((Date.now() - context.startedAtMs) / 86_400_000)],
  ],
  clients: (context) => [
    ['connected_clients', [...context.clients()].length],
    ['maxclients', context.clientsMax],
    ['blocked_clients', 0],
  ],
  memory: () => {
    const memory = process.memoryUsage();
    return [
      ['used_memory', memory.heapUsed + memory.external],
      ['used_memory_rss', memory.rss],
      ['maxmemory', 0],
      ['maxmemory_policy', 'noeviction'],
    ];
  },
  persistence: (context) => [
    ['loading', context.router === null ? 1 : 0],
    ['rdb_bgsave_in_progress', 0],
    ['aof_enabled', 1],
    ['aof_last_write_status', context.router?.host.status().diskFull === true ? 'err' : 'ok'],
  ],
  stats: ({ stats }) => [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', stats.commandsProcessed],
    ['total_net_input_bytes', stats.inputBytes],
    ['total_net_output_bytes', stats.outputBytes],
    ['rejected_connections', stats.connectionsRejected],
    ['protocol_errors', stats.protocolErrors],
    ['total_error_replies', stats.errorReplies],
  ],
  replication,
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return [
      ['used_cpu_sys', (system / 1e6).toFixed(6)],
      ['used_cpu_user', (user / 1e6).toFixed(6)],
    ];
  },
  cluster: () => [['cluster_enabled', 1]],
  leases,
  keyspace: (context) => {
    const keys = context.keyCount();
    return keys === 0 ? [] : [['db0', `keys=${keys},expires=0,avg_ttl=0`]];
  },
};

/** What the reads and writes of each shard this node leads rest on: shard0:lease_ms=1843,barrier_ms=0,limbo=0. */
function leases(context: NodeContext): Facts {
  const { router } = context;
  if (router === null) return [];
  const facts: [string, string][] = [];
  for (let shard = 0; shard < router.map.count; shard += 1) {
    const { lease } = router.host.groupStatus(router.map.groupOf(shard));
    if (lease === null) continue;
    const { remainingMs, barrierMs, limboEntries } = lease;
    const text = `lease_ms=${Math.floor(remainingMs)},barrier_ms=${Math.ceil(barrierMs)},limbo=${limboEntries}`;
    facts.push([`shard${shard}`, text]);
  }
  return facts;
}

/** A node that leads any shard is a master; the others replicate one, as CLUSTER NODES says. */
function replication(context: NodeContext): Facts {
  const view = context.view();
  const map = context.router?.map;
  const own = view === null || map === undefined ? undefined : clusterNodes(view, map).find((node) => node.view.self);
  if (view === null || own === undefined || own.master === null || own.master.resp === null) {
    return [
      ['role', 'master'],
      ['connected_slaves', view?.nodes.filter((node) => !node.self && node.alive).length ?? 0],
      ['nori_leads', view?.self.leads.length ?? 0],
    ];
  }
  const colon = own.master.resp.lastIndexOf(':');
  return [
    ['role', 'slave'],
    ['master_host', own.master.resp.slice(0, colon)],
    ['master_port', own.master.resp.slice(colon + 1)],
    ['master_link_status', own.master.alive ? 'up' : 'down'],
    ['connected_slaves', 0],
    ['nori_leads', 0],
  ];
}

/** The text of INFO, for the named sections or for all. */
export function infoText(wanted: readonly string[], context: NodeContext): string {
  const all = wanted.length === 0 || wanted.some((name) => ['all', 'default', 'everything'].includes(name));
  return Object.entries(sections)
    .filter(([name]) => all || wanted.includes(name))
    .map(([name, facts]) => {
      const lines = facts(context).map(([fact, value]) => `${fact}:${value}\r\n`);
      return `# ${name[0]?.toUpperCase()}${name.slice(1)}\r\n${lines.join('')}`;
    })
    .join('\r\n');
}
