import { expect, test } from 'vitest';
import { HttpServer } from './http-server.ts';

test('a path holds the largest key there may be, every byte of it escaped, and a little more', async () => {
  const server = new HttpServer((request) => new Response(String(new URL(request.url).pathname.length)), 65_536);
  const port = await server.listen('127.0.0.1:0');
  try {
    const response = await fetch(`http://127.0.0.1:${port}/kv/${'%00'.repeat(65_537)}`);
    expect([response.status, await response.text()]).toEqual([200, String('/kv/'.length + 3 * 65_537)]);
    expect((await fetch(`http://127.0.0.1:${port}/kv/${'k'.repeat(400_000)}`)).status).toBe(431);
  } finally {
    await server.close();
  }
});
