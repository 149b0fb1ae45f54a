import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { listen } from '../server/listen.ts';

const headersMsMax = 10_000;
const requestMsMax = 60_000;
const closeMsMax = 1000;

/** The HTTP port. */
export class HttpServer {
  readonly #server: Server;

  constructor(fetch: (request: Request) => Response | Promise<Response>) {
    const listener = getRequestListener(fetch);
    this.#server = createServer(
      { headersTimeout: headersMsMax, requestTimeout: requestMsMax, keepAliveTimeout: 5000 },
      (request, response) => void listener(request, response),
    );
  }

  /** Resolves to the port really bound. */
  listen(address: string): Promise<number> {
    return listen(this.#server, address, 'HTTP');
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeMsMax);
    await closed;
    clearTimeout(timer);
  }
}
