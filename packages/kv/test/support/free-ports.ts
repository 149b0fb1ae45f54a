import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the range the system picks outgoing ports from: no client socket of another test can be in the way.
const firstPort = 18_000;
const lastPort = 31_000;

export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** A base for `nori-kv start --base-port`: RESP, HTTP and peer ports of so many nodes behind it are free. */
export async function freeBasePort(nodes: number): Promise<number> {
  for (;;) {
    const base = firstPort + Math.floor(Math.random() * ((lastPort - firstPort) / 10)) * 10;
    const ports = [0, 100, 200].flatMap((offset) => Array.from({ length: nodes }, (_, at) => base + offset + at + 1));
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return base;
  }
}
