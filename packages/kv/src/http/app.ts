import { type Context, Hono } from 'hono';
import { isAuthorized } from './authorization.ts';
import { getBackup, getDigest, postRestore } from './backup.ts';
import { clusterDocument } from './cluster-document.ts';
import type { HttpContext } from './context.ts';
import { errorBody } from './error-response.ts';
import { indexPage } from './index-page.ts';
import { deleteKey, getKey, putKey } from './key-value.ts';
import { addMemberRoutes } from './members.ts';
import { notReadyReasons } from './readiness.ts';
import type { Router } from '../router/router.ts';

export function createHttpApp(node: HttpContext): Hono {
  const app = new Hono();
  const starting = (c: Context): Response =>
    c.json({ code: 'STARTING', message: 'the node is reading its log' }, 503, { 'retry-after': '1' });

  app.get('/', (c) => c.html(indexPage(node)));

  app.get('/healthz', (c) => {
    const failure = node.failure?.message ?? node.host?.status().failure ?? null;
    if (failure !== null) return c.json({ status: 'failed', failure }, 503);
    return c.json({ status: 'ok', id: node.id, version: node.version });
  });

  app.get('/readyz', (c) => {
    const reasons = notReadyReasons(node);
    return c.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
  });

  app.get('/metrics', async (c) =>
    c.body(await node.registry.metrics(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );

  app.get('/v1/cluster', (c) => {
    const view = node.view();
    if (view === null) return starting(c);
    const digestOf = (shard: number): string => node.stateMachines[shard]?.digest() ?? '';
    return c.json(clusterDocument(view, c.req.query('digest') === '1' ? digestOf : undefined));
  });

  app.get('/v1/shards/:id/digest', (c) => {
    const shard = Number(c.req.param('id'));
    const { router } = node;
    if (router === null) return starting(c);
    const machine = Number.isInteger(shard) ? node.stateMachines[shard] : undefined;
    if (machine === undefined) {
      return c.json(
        { code: 'SHARD_UNKNOWN', message: `no shard ${c.req.param('id')}; there are ${router.map.count}, from 0` },
        404,
      );
    }
    const { applied, term } = router.host.groupStatus(router.map.groupOf(shard));
    return c.json({ shard, node: node.id, digest: machine.digest(), applied, term });
  });

  addMemberRoutes(app, node, starting);

  /** Keys and values are behind the password. */
  const guarded = (respond: (c: Context, router: Router) => Response | Promise<Response>) => (c: Context) => {
    const { router } = node;
    if (router === null) return starting(c);
    return isAuthorized(c, node.password) ? respond(c, router) : unauthorized(c);
  };

  app.get(
    '/v1/backup',
    guarded((c, router) => getBackup(c, node, router)),
  );
  app.get(
    '/v1/digest',
    guarded((c, router) => getDigest(c, router)),
  );
  app.post(
    '/v1/restore',
    guarded((c, router) => postRestore(c, node, router)),
  );

  app.all(
    '/kv/*',
    guarded((c, router) => {
      switch (c.req.method) {
        case 'GET':
        case 'HEAD':
          return getKey(c, node, router);
        case 'PUT':
          return putKey(c, node, router);
        case 'DELETE':
          return deleteKey(c, node, router);
        default:
          return c.json({ code: 'METHOD_UNKNOWN', message: 'a key takes GET, PUT and DELETE' }, 405, {
            allow: 'GET, HEAD, PUT, DELETE',
          });
      }
    }),
  );

  app.notFound((c) =>
    c.json({ code: 'NOT_FOUND', message: `nothing at ${c.req.path}`, remedy: 'see / for what there is' }, 404),
  );
  app.onError((error, c) => c.json(errorBody(error), 500));
  return app;
}

function unauthorized(c: Context): Response {
  return c.json(
    {
      code: 'UNAUTHORIZED',
      message: 'this cluster has a password',
      remedy: 'send it as HTTP basic authentication, user default',
    },
    401,
    { 'www-authenticate': 'Basic realm="nori-kv"' },
  );
}
