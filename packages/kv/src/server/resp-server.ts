import { createServer, type Server, type Socket } from 'node:net';
import type { RequestLimits } from '../resp/request-parser.ts';
import { Connection, type ConnectionHome } from './connection.ts';
import { listen } from './listen.ts';
import type { NodeContext } from './node-context.ts';

const sweepMs = 1000;
const drainMsMax = 2000;

/** The RESP port: accepts clients, and writes their replies once per turn of the event loop. */
export class RespServer implements ConnectionHome {
  readonly context: NodeContext;
  readonly requestLimits: Partial<RequestLimits>;
  readonly #server: Server;
  readonly #connections: Set<Connection> = new Set();
  readonly #sweep: ReturnType<typeof setInterval>;
  #toFlush: Connection[] = [];
  #nextClientId = 1;

  constructor(context: NodeContext) {
    this.context = context;
    const { keyBytesMax, valueBytesMax } = context.limits;
    this.requestLimits = { bulkBytesMax: valueBytesMax + keyBytesMax };
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#sweep = setInterval(() => this.#checkLimits(), sweepMs);
    this.#sweep.unref();
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Resolves to the port really bound. */
  listen(address: string): Promise<number> {
    return listen(this.#server, address, 'RESP');
  }

  nowMs(): number {
    return Date.now();
  }

  planFlush(connection: Connection): void {
    if (this.#toFlush.length === 0) queueMicrotask(() => this.#flush());
    this.#toFlush.push(connection);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Takes no new commands, answers those in flight, and closes every connection. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.closeAfterReplies();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, drainMsMax);
    await closed;
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    const { stats, clientsMax } = this.context;
    stats.connectionsReceived += 1;
    if (this.#connections.size >= clientsMax) {
      stats.connectionsRejected += 1;
      socket.on('error', () => socket.destroy());
      socket.end('-ERR max number of clients reached\r\n');
      socket.destroySoon();
      return;
    }
    socket.setKeepAlive(true, 60_000);
    this.#connections.add(new Connection(this, socket, this.#nextClientId, this.nowMs()));
    this.#nextClientId += 1;
  }

  #flush(): void {
    const connections = this.#toFlush;
    this.#toFlush = [];
    for (const connection of connections) connection.flush();
  }

  #checkLimits(): void {
    const nowMs = this.nowMs();
    for (const connection of this.#connections) connection.checkLimits(nowMs);
  }
}
