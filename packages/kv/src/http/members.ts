import type { Context, Hono } from 'hono';
import { type NodeId, NoriError } from 'nori-raft';
import { type MemberOrder, orderMember } from '../server/members.ts';
import { isAuthorized } from './authorization.ts';
import type { HttpContext } from './context.ts';
import { errorBody, failedResponse, refused } from './error-response.ts';

const timeoutMsDefault = 60_000;
const timeoutMsMax = 600_000;
const idPattern = /^[A-Za-z0-9._-]{1,64}$/;
const addressPattern = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;
const portMax = 65_535;

/** `/v1/members` and the handing over of shards: what `nori-kv member` and `nori-kv shard` ask for. */
export function addMemberRoutes(app: Hono, node: HttpContext, starting: (c: Context) => Response): void {
  app.use('/v1/members/*', (c, next) => guard(c, node, next));
  app.use('/v1/shards/:id/transfer', (c, next) => guard(c, node, next));
  app.use('/v1/shards/:id/refill', (c, next) => guard(c, node, next));

  app.get('/v1/members', (c) => {
    const { router } = node;
    if (router === null) return starting(c);
    const shards = Array.from({ length: router.map.count }, (_, shard) => {
      const { members, change, leader } = router.host.groupStatus(router.map.groupOf(shard));
      return { shard, leader, members, change };
    });
    return c.json({ shards });
  });

  app.post('/v1/members/:id/:action', async (c) => {
    const order = orderOf(c.req.param('id'), c.req.param('action'), c.req.query('address') ?? '');
    if (typeof order === 'string') return refused(c, 400, 'ORDER_INVALID', order);
    const asked = Number(c.req.query('timeoutMs') ?? timeoutMsDefault);
    if (!(asked > 0 && asked <= timeoutMsMax)) {
      return refused(c, 400, 'ORDER_INVALID', `timeoutMs must be from 1 to ${timeoutMsMax}`);
    }
    const { router } = node;
    if (router === null) return starting(c);
    const outcomes = await orderMember(router.host, router.map, order, asked);
    const failed = outcomes.filter(({ error }) => error !== null);
    const shards = outcomes.map(({ shard, changed, error }) => ({
      shard,
      changed,
      error: error === null ? null : errorBody(error),
    }));
    return c.json({ done: failed.length === 0, shards }, failed.length === 0 ? 200 : 503);
  });

  app.post('/v1/shards/:id/transfer', async (c) => {
    const { router } = node;
    if (router === null) return starting(c);
    const shard = shardOf(c.req.param('id'), router.map.count);
    if (shard === null) return refused(c, 400, 'SHARD_UNKNOWN', `there are ${router.map.count} shards, from 0`);
    const to = c.req.query('to') ?? null;
    const { members, leader } = router.host.groupStatus(router.map.groupOf(shard));
    const voters = members.filter(({ role }) => role === 'voter').map(({ id }) => id);
    if (to === null && voters.length === 1) {
      return refused(c, 400, 'ORDER_INVALID', `${voters[0]} is the only voter of shard ${shard}`);
    }
    if (to !== null && !voters.includes(to as NodeId)) {
      return refused(
        c,
        400,
        'ORDER_INVALID',
        `${to} has no vote in shard ${shard}; its voters are ${voters.join(', ')}`,
      );
    }
    try {
      if (to !== null && to === leader && to === node.id) return c.json({ shard, leader });
      await router.host.transferLeadership(router.map.groupOf(shard), to);
      return c.json({ shard, leader: router.host.groupStatus(router.map.groupOf(shard)).leader });
    } catch (error) {
      if (error instanceof NoriError) return failedResponse(c, error, false);
      throw error;
    }
  });

  app.post('/v1/shards/:id/refill', async (c) => {
    const { router } = node;
    if (router === null) return starting(c);
    const shard = shardOf(c.req.param('id'), router.map.count);
    if (shard === null) return refused(c, 400, 'SHARD_UNKNOWN', `there are ${router.map.count} shards, from 0`);
    try {
      await router.host.refillGroup(router.map.groupOf(shard));
      return c.json({ shard, quarantine: router.host.groupStatus(router.map.groupOf(shard)).quarantine }, 202);
    } catch (error) {
      if (error instanceof NoriError) return failedResponse(c, error, false);
      throw error;
    }
  });
}

/** Digits and nothing else: `Number` takes a blank for shard 0. */
function shardOf(text: string, count: number): number | null {
  const shard = Number(text);
  return /^\d+$/.test(text) && shard < count ? shard : null;
}

function isPeerAddress(address: string): boolean {
  const port = Number(addressPattern.exec(address)?.[1] ?? 0);
  return port > 0 && port <= portMax;
}

async function guard(c: Context, node: HttpContext, next: () => Promise<void>): Promise<Response | void> {
  if (isAuthorized(c, node.password)) return next();
  const message = 'this cluster has a password';
  const remedy = 'send it as HTTP basic authentication, user default';
  return c.json({ code: 'UNAUTHORIZED', message, remedy }, 401, { 'www-authenticate': 'Basic realm="nori-kv"' });
}

/** The order, or what is wrong with it. */
function orderOf(id: string, action: string, address: string): MemberOrder | string {
  if (!idPattern.test(id)) return 'a node id is 1 to 64 letters, digits, dots, dashes or underscores';
  switch (action) {
    case 'add':
    case 'learn':
    case 'move':
      return isPeerAddress(address)
        ? { action, id, address }
        : `address must be HOST:PORT, the peer address of the node, with a port from 1 to ${portMax}`;
    case 'remove':
    case 'promote':
    case 'demote':
      return { action, id };
    default:
      return `no such order: ${action}; there are add, learn, move, promote, demote and remove`;
  }
}
