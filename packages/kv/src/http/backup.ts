import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { encodeCommand } from '../commands/command-codec.ts';
import { slotOf } from '../commands/key-slot.ts';
import { backup } from '../backup/backup-source.ts';
import { DigestSum } from '../backup/digest-sum.ts';
import { decodeResult } from '../resp/result.ts';
import { Call } from '../router/call.ts';
import type { Router } from '../router/router.ts';
import { Session } from '../router/session.ts';
import { type KeyRecord, keyRecords, SnapshotFormatError } from '../state/image-format.ts';
import { readBody } from './body.ts';
import type { HttpContext } from './context.ts';
import { failedResponse, refused } from './error-response.ts';

/** A block of a backup holds 64 KiB of keys, or one that is larger. */
const blockOverheadBytes = 1 << 20;

/** GET /v1/backup: the whole database as a stream. It ends early, without its last block, if a shard cannot be read. */
export function getBackup(c: Context, node: HttpContext, router: Router): Response {
  const { host, map, commandTimeoutMs: timeoutMs } = router;
  const source = backup({ host, map, stateMachines: node.stateMachines, timeoutMs });
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await source.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      } catch (error) {
        node.backupFailed(error);
        // The adapter would end the body as if it were whole, and print the stack.
        (c.env as HttpBindings | undefined)?.outgoing?.destroy();
        controller.close();
      }
    },
    async cancel() {
      await source.return(undefined);
    },
  });
  return c.body(body, 200, { 'content-type': 'application/octet-stream' });
}

/** POST /v1/restore: sets the keys of one block of a backup. Doing it twice does no harm. */
export async function postRestore(c: Context, node: HttpContext, router: Router): Promise<Response> {
  const { keyBytesMax, valueBytesMax } = node.limits;
  const body = await readBody(c.req.raw, keyBytesMax + valueBytesMax + blockOverheadBytes);
  if (body === null) return refused(c, 413, 'BLOCK_TOO_LARGE', 'the block holds a larger key than this cluster takes');
  const records = recordsOf(body);
  if (records === null)
    return refused(c, 400, 'BLOCK_INVALID', 'the body is no block of a backup: use nori-kv restore');
  const large = records.find(({ key, value }) => key.length > keyBytesMax || value.length > valueBytesMax);
  if (large !== undefined) return refused(c, 413, 'KEY_TOO_LARGE', 'a key or value is larger than this cluster takes');
  const calls = await Promise.all(records.map((record) => setKey(router, record)));
  // Every call is passed on, so that none ends with the address of another node.
  const error = calls.find(({ failure }) => failure !== null)?.failure?.error ?? null;
  return error === null ? c.json({ keys: records.length }) : failedResponse(c, error, true);
}

function recordsOf(body: Buffer): KeyRecord[] | null {
  try {
    return [...keyRecords(body)];
  } catch (error) {
    if (error instanceof SnapshotFormatError) return null;
    throw error;
  }
}

/** GET /v1/digest: how many keys there are, and the sum of the digests of all shards; both linearizable per shard. */
export async function getDigest(c: Context, router: Router): Promise<Response> {
  const sum = new DigestSum();
  let keys = 0;
  for (let shard = 0; shard < router.map.count; shard += 1) {
    const [count, digest] = await Promise.all([ask(router, shard, 'dbsize'), ask(router, shard, 'nori.digest')]);
    const error = (count.failure ?? digest.failure)?.error ?? null;
    if (error !== null) return failedResponse(c, error, false);
    keys += Number(decodeResult(count.result as Uint8Array));
    sum.add(Buffer.from(decodeResult(digest.result as Uint8Array) as Uint8Array).toString('latin1'));
  }
  return c.json({ keys, digest: sum.text });
}

function setKey(router: Router, { key, value, expireMs }: KeyRecord): Promise<Call> {
  const expiry = expireMs === 0 ? [] : [Buffer.from('pxat'), Buffer.from(String(expireMs))];
  const slot = slotOf(key);
  const payload = encodeCommand([Buffer.from('set'), key, value, ...expiry]);
  return start(router, { write: true, slot, shard: router.map.shardOf(slot), payload });
}

function ask(router: Router, shard: number, name: string): Promise<Call> {
  const [slot] = router.map.rangeOf(shard);
  return start(router, { write: false, slot, shard, payload: encodeCommand([Buffer.from(name)]) });
}

function start(
  router: Router,
  what: { readonly write: boolean; readonly slot: number; readonly shard: number; readonly payload: Uint8Array },
): Promise<Call> {
  return new Promise((resolve) => {
    const call = new Call({
      ...what,
      owner: { settled: resolve },
      deadlineMs: router.nowMs() + router.commandTimeoutMs,
      consistency: 'linearizable',
      forward: true,
    });
    new Session(router).start(call);
  });
}
