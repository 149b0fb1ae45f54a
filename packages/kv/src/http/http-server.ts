import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { listen } from '../server/listen.ts';

const headersMsMax = 10_000;
const requestMsMax = 60_000;
const closeMsMax = 1000;
/** Room for the header fields of a request, beside its path. */
const headerBytesMax = 16 * 1024;
/** A byte of a key takes up to three in a path: %XX. */
const escapedBytes = 3;

/** The HTTP port. */
export class HttpServer {
  readonly #server: Server;

  constructor(fetch: (request: Request) => Response | Promise<Response>, keyBytesMax: number) {
    const listener = getRequestListener(fetch);
    this.#server = createServer(
      {
        headersTimeout: headersMsMax,
        requestTimeout: requestMsMax,
        keepAliveTimeout: 5000,
        // A little above the largest key, so that a key too large is told so.
        maxHeaderSize: headerBytesMax + escapedBytes * (keyBytesMax + headerBytesMax),
      },
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
