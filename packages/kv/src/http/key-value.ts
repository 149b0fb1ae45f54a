import type { Context } from 'hono';
import type { Consistency } from 'nori-raft';
import { encodeCommand } from '../commands/command-codec.ts';
import { slotOf } from '../commands/key-slot.ts';
import { decodeResult } from '../resp/result.ts';
import type { Reply } from '../resp/reply.ts';
import { Call } from '../router/call.ts';
import type { Router } from '../router/router.ts';
import { Session } from '../router/session.ts';
import type { HttpContext } from './context.ts';
import { readBody } from './body.ts';
import { failedResponse, refused } from './error-response.ts';

const prefix = '/kv/';

/** The key a path names, percent-decoded byte by byte (`%2F` is a slash, `%FF` a byte that is no text), or null. */
function keyOf(c: Context): Buffer | null {
  const { pathname } = new URL(c.req.url);
  const text = pathname.slice(prefix.length);
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null;
  const bytes = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(bytes, 'latin1');
}

const consistencies: ReadonlySet<string> = new Set(['lease', 'linearizable', 'stale']);

export async function getKey(c: Context, node: HttpContext, router: Router): Promise<Response> {
  const consistency = c.req.query('consistency') ?? router.reads;
  if (!consistencies.has(consistency)) {
    return refused(c, 400, 'CONSISTENCY_UNKNOWN', 'consistency must be lease, linearizable or stale');
  }
  return withKey(c, node, async (key) => {
    const call = await run(router, { write: false, key, args: ['GET', key], consistency: consistency as Consistency });
    return answer(c, call, (reply) => {
      if (reply instanceof Uint8Array)
        return c.body(new Uint8Array(reply), 200, { 'content-type': 'application/octet-stream' });
      if (reply === null) return c.json({ code: 'KEY_NOT_FOUND', message: 'the key does not exist' }, 404);
      return null;
    });
  });
}

export function putKey(c: Context, node: HttpContext, router: Router): Promise<Response> {
  return withKey(c, node, async (key) => {
    const value = await readBody(c.req.raw, node.limits.valueBytesMax);
    if (value === null) {
      return refused(c, 413, 'VALUE_TOO_LARGE', `a value may have up to ${node.limits.valueBytesMax} bytes`);
    }
    const call = await run(router, { write: true, key, args: ['SET', key, value], consistency: 'lease' });
    return answer(c, call, () => c.body(null, 204));
  });
}

export function deleteKey(c: Context, node: HttpContext, router: Router): Promise<Response> {
  return withKey(c, node, async (key) => {
    const call = await run(router, { write: true, key, args: ['DEL', key], consistency: 'lease' });
    return answer(c, call, (reply) =>
      reply === 0 ? c.json({ code: 'KEY_NOT_FOUND', message: 'the key does not exist' }, 404) : c.body(null, 204),
    );
  });
}

async function withKey(c: Context, node: HttpContext, then: (key: Buffer) => Promise<Response>): Promise<Response> {
  const key = keyOf(c);
  if (key === null)
    return refused(c, 400, 'KEY_MALFORMED', 'a % in the path must be followed by two hexadecimal digits');
  if (key.length === 0) return refused(c, 400, 'KEY_MISSING', 'the path must be /kv/{key}');
  if (key.length > node.limits.keyBytesMax) {
    return refused(c, 413, 'KEY_TOO_LARGE', `a key may have up to ${node.limits.keyBytesMax} bytes`);
  }
  return then(key);
}

interface Request {
  readonly write: boolean;
  readonly key: Buffer;
  readonly args: readonly (string | Buffer)[];
  readonly consistency: Consistency;
}

/** HTTP has no redirect mode: any node serves any key, except that a stale read is answered by this one. */
function run(router: Router, request: Request): Promise<Call> {
  const slot = slotOf(request.key);
  return new Promise((resolve) => {
    const call = new Call({
      owner: { settled: resolve },
      write: request.write,
      slot,
      shard: router.map.shardOf(slot),
      payload: encodeCommand(request.args.map((argument) => Buffer.from(argument))),
      deadlineMs: router.nowMs() + router.commandTimeoutMs,
      consistency: request.consistency,
      forward: request.consistency !== 'stale',
    });
    new Session(router).start(call);
  });
}

/** `respond` answers null for a reply it did not expect. */
function answer(c: Context, call: Call, respond: (reply: Reply) => Response | null): Response {
  const error = call.failure?.error ?? null;
  if (error !== null) return failedResponse(c, error, call.write);
  if (call.proof !== null) {
    c.header('x-nori-via', call.proof.via);
    c.header('x-nori-index', String(call.proof.index));
    c.header('x-nori-term', String(call.proof.term));
  } else if (call.write) {
    c.header('x-nori-via', 'commit');
    c.header('x-nori-index', String(call.index));
  }
  const response = respond(decodeResult(call.result as Uint8Array));
  return response ?? c.json({ code: 'REPLY_UNEXPECTED', message: 'the shard gave an answer of another kind' }, 500);
}
