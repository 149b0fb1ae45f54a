import { type MembersChange, NoriError } from 'nori-raft';
import type { KvHost } from '../router/host.ts';
import type { ShardMap } from '../router/shards.ts';
import { changeUnderWay } from './change-under-way.ts';

const retryMs = 100;
/** A new node fetches so many shards at once. */
const shardsAtOnce = 4;

/** What shall become of one node, in every shard. */
export type MemberOrder =
  | { readonly action: 'add' | 'learn' | 'move'; readonly id: string; readonly address: string }
  | { readonly action: 'remove' | 'promote' | 'demote'; readonly id: string };

export interface ShardOutcome {
  readonly shard: number;
  /** False when there was nothing to do: the shard was what was asked for. */
  readonly changed: boolean;
  /** Null: the shard is what was asked for. */
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string } | null;
}

/**
 * Carries an order out in every shard. Asking again is safe: a shard that is what was asked for is left alone. Shards
 * whose time ran out may still get there by themselves.
 */
export async function orderMember(
  host: KvHost,
  map: ShardMap,
  order: MemberOrder,
  timeoutMs: number,
): Promise<ShardOutcome[]> {
  const untilMs = performance.now() + timeoutMs;
  const left = Array.from({ length: map.count }, (_, shard) => shard);
  const outcomes: ShardOutcome[] = [];
  const work = async (): Promise<void> => {
    for (let shard = left.shift(); shard !== undefined; shard = left.shift()) {
      outcomes.push({ shard, ...(await orderInShard(host, map.groupOf(shard), order, untilMs)) });
    }
  };
  await Promise.all(Array.from({ length: shardsAtOnce }, work));
  return outcomes.sort((a, b) => a.shard - b.shard);
}

async function orderInShard(
  host: KvHost,
  group: number,
  order: MemberOrder,
  untilMs: number,
): Promise<Omit<ShardOutcome, 'shard'>> {
  const failed = (error: NoriError): Omit<ShardOutcome, 'shard'> => ({ changed: false, error });
  const elsewhere = addressElsewhere(host, group, order);
  if (elsewhere !== null) {
    const message = `${order.id} is a member at ${elsewhere} already`;
    const remedy = 'move it there if it is the same node with the same disk; if not, remove it first';
    return failed(new NoriError('CONFIGURATION_INVALID', { message, remedy }));
  }
  let last: NoriError | null = null;
  while (!isDone(host, group, order)) {
    const timeoutMs = untilMs - performance.now();
    if (timeoutMs <= 0) return failed(inTheWay(host, group) ?? last ?? late(group));
    try {
      await host.changeMembers(group, changeOf(order), { timeoutMs });
      return { changed: true, error: null };
    } catch (error) {
      if (!(error instanceof NoriError)) throw error;
      // The same mistake twice: what this node knew was not old, it is the order that does not fit.
      if (error.code === 'CONFIGURATION_INVALID' && last?.code === 'CONFIGURATION_INVALID') return failed(error);
      // With an unknown outcome the next look tells: an order may be given twice.
      const again = error.code === 'CONFIGURATION_INVALID' || error.retryable || error.outcome === 'unknown';
      if (!again) return failed(error);
      last = error;
    }
    await new Promise((wake) => setTimeout(wake, retryMs));
  }
  return { changed: last !== null, error: null };
}

/** What keeps the shard from being what was asked for. */
function inTheWay(host: KvHost, group: number): NoriError | null {
  const { members, change } = host.groupStatus(group);
  const obstacle = changeUnderWay(members, change);
  return obstacle === null ? null : new NoriError('CHANGE_IN_PROGRESS', obstacle);
}

function late(group: number): NoriError {
  return new NoriError('COMMIT_TIMEOUT', { message: `group ${group} did not get there in time` });
}

function isDone(host: KvHost, group: number, order: MemberOrder): boolean {
  const { members, change } = host.groupStatus(group);
  if (change !== null) return false;
  const member = members.find(({ id }) => id === order.id);
  if (order.action === 'remove') return members.length > 0 && member === undefined;
  if (order.action === 'move') return member?.address === order.address;
  return member?.role === (order.action === 'learn' || order.action === 'demote' ? 'learner' : 'voter');
}

/** Where a node that is to be added is a member already, if that is not where it is to be added. */
function addressElsewhere(host: KvHost, group: number, order: MemberOrder): string | null {
  if (!('address' in order) || order.action === 'move') return null;
  const address = host.groupStatus(group).members.find(({ id }) => id === order.id)?.address;
  return address === undefined || address === order.address ? null : address;
}

function changeOf(order: MemberOrder): MembersChange {
  switch (order.action) {
    case 'add':
      return { add: { [order.id]: order.address } };
    case 'learn':
      return { addLearners: { [order.id]: order.address } };
    case 'move':
      return { move: { [order.id]: order.address } };
    case 'remove':
      return { remove: [order.id] };
    case 'promote':
      return { promote: [order.id] };
    default:
      return { demote: [order.id] };
  }
}
