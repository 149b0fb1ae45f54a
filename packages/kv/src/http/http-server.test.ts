import { expect, test } from 'vitest';
import { HttpServer } from './http-server.ts';

const echo = (request: Request): Response => new Response(String(new URL(request.url).pathname.length));

test('a path holds the largest key there may be, every byte of it escaped, and a little more', async () => {
  const server = new HttpServer(() => Promise.resolve(echo), 65_536);
  const port = await server.listen('127.0.0.1:0');
  try {
    const response = await fetch(`http://127.0.0.1:${port}/kv/${'%00'.repeat(65_537)}`);
    expect([response.status, await response.text()]).toEqual([200, String('/kv/'.length + 3 * 65_537)]);
    expect((await fetch(`http://127.0.0.1:${port}/kv/${'k'.repeat(400_000)}`)).status).toBe(431);
  } finally {
    await server.close();
  }
});

test('the port answers while what serves it is still being loaded, and says nothing when that fails', async () => {
  let loaded = (): void => undefined;
  const loading = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  const slow = new HttpServer(() => loading.then(() => echo), 65_536);
  const broken = new HttpServer(() => Promise.reject(new Error('not installed')), 65_536);
  try {
    const early = fetch(`http://127.0.0.1:${await slow.listen('127.0.0.1:0')}/early`);
    loaded();
    expect(await (await early).text()).toBe('6');
    await expect(fetch(`http://127.0.0.1:${await broken.listen('127.0.0.1:0')}/`)).rejects.toThrow('fetch failed');
  } finally {
    await Promise.all([slow.close(), broken.close()]);
  }
});
