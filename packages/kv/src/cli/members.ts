import { styleText } from 'node:util';
import type { ChangeStatus, MemberStatus } from 'nori-raft';
import type { ClusterDocument } from '../http/cluster-document.ts';
import { changeUnderWay } from '../server/change-under-way.ts';
import { wrongPassword } from './node-http.ts';
import { fetchCluster, table } from './status.ts';

export interface AdminOptions {
  readonly http: string;
  readonly password?: string;
  /** Seconds. */
  readonly wait: number;
}

interface MembersAnswer {
  readonly shards: readonly {
    readonly shard: number;
    readonly leader: string | null;
    readonly members: readonly MemberStatus[];
    readonly change: ChangeStatus | null;
  }[];
}

/** So long an order waits before it says for what. */
const silenceMs = 3_000;

interface OrderAnswer {
  readonly done?: boolean;
  readonly message?: string;
  readonly remedy?: string;
  readonly shards?: readonly {
    readonly shard: number;
    readonly changed: boolean;
    readonly error: { readonly message: string; readonly remedy: string } | null;
  }[];
}

/** One line per node: in how many shards it is what, and which changes are under way. */
export async function runMemberList(options: AdminOptions): Promise<void> {
  const { ok, body } = await call(options, 'GET', '/v1/members');
  if (!ok) throw new Error(refusal(body as OrderAnswer, 'it was refused'));
  const { shards } = body as MembersAnswer;
  const nodes = new Map<string, { addresses: Set<string>; roles: Map<string, number>; leads: number }>();
  for (const { members, leader } of shards) {
    for (const { id, address, role } of members) {
      const node = nodes.get(id) ?? { addresses: new Set(), roles: new Map<string, number>(), leads: 0 };
      node.addresses.add(address);
      node.roles.set(role, (node.roles.get(role) ?? 0) + 1);
      if (leader === id) node.leads += 1;
      nodes.set(id, node);
    }
  }
  const count = (roles: Map<string, number>, role: string): string => String(roles.get(role) ?? 0);
  const rows = [...nodes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, { addresses, roles, leads }]) => [
      id,
      [...addresses].join(' or '),
      ...['voter', 'learner', 'joining', 'leaving'].map((role) => count(roles, role)),
      String(leads),
    ]);
  process.stdout.write(table(['node', 'peer', 'votes in', 'learns in', 'joins', 'leaves', 'leads'], rows));
  for (const line of changesUnderWay(shards)) process.stdout.write(`${line}\n`);
}

/** A line for each thing that is under way, with the shards in which it is. */
function changesUnderWay(shards: MembersAnswer['shards']): string[] {
  const found = new Map<string, number[]>();
  for (const { shard, members, change } of shards) {
    const obstacle = changeUnderWay(members, change);
    if (obstacle === null) continue;
    const what = `${obstacle.message}; ${obstacle.remedy}`;
    found.set(what, [...(found.get(what) ?? []), shard]);
  }
  return [...found].map(([what, where]) => `changing: shard ${where.join(', ')}: ${what}`);
}

async function tellWhatIsUnderWay(options: AdminOptions): Promise<void> {
  try {
    const { ok, body } = await call(options, 'GET', '/v1/members');
    if (!ok) return;
    for (const line of changesUnderWay((body as MembersAnswer).shards)) process.stderr.write(`${line}\n`);
  } catch {
    // The order itself says what is wrong.
  }
}

const giveHttp = 'give the HTTP address of a node that runs: --http HOST:PORT';

const alreadySo = {
  add: 'nothing to do, it has a vote in all',
  learn: 'nothing to do, it learns in all',
  promote: 'nothing to do, it has a vote in all',
  demote: 'nothing to do, it learns in all',
  move: 'nothing to do, it is at that address in all',
  remove: 'nothing to do, it is in none of',
} as const;

/** Carries an order out in every shard, and says what became of it. The exit code is 1 when a shard did not get there. */
export async function runMemberOrder(
  action: keyof typeof alreadySo,
  id: string,
  options: AdminOptions & { readonly address?: string },
): Promise<void> {
  const query = new URLSearchParams({ timeoutMs: String(options.wait * 1000), address: options.address ?? '' });
  const path = `/v1/members/${encodeURIComponent(id)}/${action}?${query.toString()}`;
  const telling = setTimeout(() => void tellWhatIsUnderWay(options), silenceMs);
  const { body } = await call(options, 'POST', path).finally(() => clearTimeout(telling));
  const { done, shards = [], message } = body as OrderAnswer;
  if (done === true) {
    const changed = shards.some((shard) => shard.changed);
    process.stdout.write(`${id}: ${changed ? `${action} is done in` : alreadySo[action]} ${shards.length} shards\n`);
    return;
  }
  for (const { shard, error } of shards) {
    if (error !== null) process.stderr.write(`shard ${shard}: ${error.message}; ${error.remedy}\n`);
  }
  const failed = shards.filter(({ error }) => error !== null).length;
  throw new Error(
    message === undefined
      ? `${failed} of ${shards.length} shards are not there yet, for the reasons above; the same command again goes on where it stopped`
      : refusal(body as OrderAnswer, message),
  );
}

/** Who leads which shard, and who is in it. */
export async function runShardList(options: AdminOptions): Promise<void> {
  const cluster = await fetchCluster(options.http);
  const rows = cluster.shards.map(({ id, slots, leader, term, members }) => [
    String(id),
    `${slots[0]}-${slots[1]}`,
    leader ?? styleText('red', 'none'),
    String(term),
    members.join(' '),
  ]);
  process.stdout.write(table(['shard', 'slots', 'leader', 'term', 'members'], rows));
  for (const line of await ailments(cluster)) process.stdout.write(`${styleText('yellow', line)}\n`);
}

/** Shards that are not whole on some node, as those nodes say themselves. */
async function ailments(cluster: ClusterDocument): Promise<string[]> {
  const views = await Promise.allSettled(
    cluster.nodes.map(({ id, http }) =>
      id === cluster.self || http === null ? Promise.resolve(id === cluster.self ? cluster : null) : fetchCluster(http),
    ),
  );
  const lines: string[] = [];
  for (const view of views) {
    if (view.status !== 'fulfilled' || view.value === null) continue;
    const { self, shards } = view.value;
    for (const { id, halted, quarantine } of shards) {
      if (quarantine !== null) {
        const what = quarantine.stage === 'refilling' ? 'is being refilled' : 'is in quarantine';
        lines.push(`shard ${id} ${what} on ${self}: ${quarantine.reason}`);
      } else if (halted !== null) lines.push(`shard ${id} is halted on ${self}: ${halted}`);
    }
  }
  return lines;
}

/** Has the node give up what it has of the shard and get it anew from the others. */
export async function runShardRefill(shard: string, options: AdminOptions): Promise<void> {
  const { ok, body } = await call(options, 'POST', `/v1/shards/${encodeURIComponent(shard)}/refill`);
  if (!ok) throw new Error(refusal(body as OrderAnswer, 'it was refused'));
  process.stdout.write(
    `shard ${shard} is in quarantine on that node and gets refilled; shard list says how far it is\n`,
  );
}

/** Asks the leader of a shard to hand over. With balancing on, the shard goes back to where it belongs after a while. */
export async function runShardTransfer(shard: string, options: AdminOptions & { readonly to?: string }): Promise<void> {
  const cluster = await fetchCluster(options.http);
  const leading = cluster.shards.find(({ id }) => String(id) === shard);
  if (leading === undefined) throw new Error(`no shard ${shard}; there are ${cluster.shards.length}, from 0`);
  if (options.to !== undefined && options.to === leading.leader) {
    process.stdout.write(`${options.to} leads shard ${shard}: nothing to do\n`);
    return;
  }
  const http = httpOf(cluster, leading.leader);
  const query = options.to === undefined ? '' : `?to=${encodeURIComponent(options.to)}`;
  const { ok, body } = await call({ ...options, http }, 'POST', `/v1/shards/${shard}/transfer${query}`);
  if (!ok) throw new Error(refusal(body as OrderAnswer, 'the transfer failed'));
  process.stdout.write(`${leading.leader} has handed shard ${shard} over\n`);
}

function refusal({ message, remedy }: OrderAnswer, otherwise: string): string {
  return `${message ?? otherwise}${remedy === undefined ? '' : `; ${remedy}`}`;
}

function httpOf(cluster: ClusterDocument, leader: string | null): string {
  const http = cluster.nodes.find(({ id }) => id === leader)?.http;
  if (http === undefined || http === null) throw new Error('the shard has no leader that answers HTTP; try again');
  return http;
}

async function call(
  options: AdminOptions,
  method: string,
  path: string,
): Promise<{ readonly ok: boolean; readonly body: unknown }> {
  const url = `${/^https?:/.test(options.http) ? options.http : `http://${options.http}`}${path}`;
  const password = options.password ?? process.env['NORI_PASSWORD'];
  const headers: Record<string, string> =
    password === undefined ? {} : { authorization: `Basic ${Buffer.from(`default:${password}`).toString('base64')}` };
  let response: Response;
  try {
    response = await fetch(url, { method, headers, signal: AbortSignal.timeout(options.wait * 1000 + 5000) });
  } catch {
    throw new Error(`no answer from ${url}; ${giveHttp}`);
  }
  if (response.status === 401) throw new Error(wrongPassword);
  try {
    return { ok: response.ok, body: (await response.json()) as unknown };
  } catch {
    throw new Error(`${url} answered ${response.status}, and not as a node does; ${giveHttp}`);
  }
}
