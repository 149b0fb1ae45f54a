import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { listen } from '../server/listen.ts';

const headersMsMax = 10_000;
const requestMsMax = 60_000;
const closeMsMax = 1000;
/** Room for the header fields of a request, beside its path. */
const headerBytesMax = 16 * 1024;
/** A byte of a key takes up to three in a path: %XX. */
const escapedBytes = 3;

export type Fetch = (request: Request) => Response | Promise<Response>;
type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** The HTTP port. It can be bound before what answers there is loaded, which takes a while: requests wait for that. */
export class HttpServer {
  readonly #server: Server;
  readonly #load: () => Promise<Fetch>;
  #listener: Promise<Listener> | null = null;

  constructor(load: () => Promise<Fetch>, keyBytesMax: number) {
    this.#load = load;
    this.#server = createServer(
      {
        headersTimeout: headersMsMax,
        requestTimeout: requestMsMax,
        keepAliveTimeout: 5000,
        // A little above the largest key, so that a key too large is told so.
        maxHeaderSize: headerBytesMax + escapedBytes * (keyBytesMax + headerBytesMax),
      },
      (request, response) => void this.#serve(request, response),
    );
  }

  /** Resolves to the port really bound. */
  listen(address: string): Promise<number> {
    return listen(this.#server, address, 'HTTP');
  }

  /** Loads what answers requests, if nobody has asked for it yet. */
  prepare(): Promise<Listener> {
    this.#listener ??= Promise.all([import('@hono/node-server'), this.#load()]).then(
      ([{ getRequestListener }, fetch]) => getRequestListener(fetch),
    );
    return this.#listener;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      (await this.prepare())(request, response);
    } catch (error) {
      response.destroy(error as Error);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeMsMax);
    await closed;
    clearTimeout(timer);
  }
}
