import { expect, test } from 'vitest';
import { FakeHost } from '../../test/support/fake-host.ts';
import { ShardMap } from '../router/shards.ts';
import { createHttpApp } from './app.ts';
import type { HttpContext } from './context.ts';

class Counting extends FakeHost {
  refills = 0;

  override refillGroup(): Promise<void> {
    this.refills += 1;
    return Promise.resolve();
  }
}

const host = new Counting({ groups: 2 });
const node = {
  id: 'n1',
  password: null,
  limits: { keyBytesMax: 1000, valueBytesMax: 1000 },
  router: { host, map: new ShardMap(2) },
};
const app = createHttpApp(node as unknown as HttpContext);

test.each([
  ['/v1/shards/%20/refill', 'SHARD_UNKNOWN', 'there are 2 shards, from 0'],
  ['/v1/shards/0x1/refill', 'SHARD_UNKNOWN', 'there are 2 shards, from 0'],
  ['/v1/shards/1e0/transfer', 'SHARD_UNKNOWN', 'there are 2 shards, from 0'],
  ['/v1/shards/-1/transfer', 'SHARD_UNKNOWN', 'there are 2 shards, from 0'],
  ['/v1/members/n9/add?address=10.0.0.9:99999', 'ORDER_INVALID', 'port from 1 to 65535'],
  ['/v1/members/n9/learn?address=10.0.0.9:0', 'ORDER_INVALID', 'port from 1 to 65535'],
  ['/v1/members/n9/add', 'ORDER_INVALID', 'HOST:PORT'],
  ['/v1/shards/0/transfer', 'ORDER_INVALID', 'n1 is the only voter of shard 0'],
  ['/v1/restore', 'BLOCK_INVALID', 'nori-kv restore'],
])('POST %s is refused with what to do, and changes nothing', async (path, code, words) => {
  const response = await app.request(path, { method: 'POST', body: 'garbage' });
  const body = (await response.json()) as { readonly code: string; readonly message: string };
  expect([response.status, body.code]).toEqual([400, code]);
  expect(body.message).toContain(words);
  expect([host.refills, host.changes, host.submitted]).toEqual([0, [], []]);
});
