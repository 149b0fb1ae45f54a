import { createServer, createConnection, type Server, type Socket } from 'node:net';
import { NoriError } from '../base/errors.ts';
import type { Connection, ConnectionEvents, Listener, Network } from '../ports/network.ts';

/** A closing connection gets this long to hand over its last words, if they are few. */
const lingerMs = 1_000;
const lingerBytesMax = 64 * 1024;
const keepAliveMs = 10_000;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * HOST:PORT, an IPv6 host in brackets: `10.0.0.1:7201`, `db1.example:7201`, `[::1]:7201`. Port 0 asks for any free one.
 * @throws NoriError ADDRESS_INVALID.
 */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new NoriError('ADDRESS_INVALID', { message: `"${address}" is not an address` });
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** TCP. */
export function nodeNetwork(): Network {
  return { listen, connect };
}

async function listen(address: string, accept: (connection: Connection) => ConnectionEvents): Promise<Listener> {
  const { host, port } = parseAddress(address);
  const sockets = new Set<SocketConnection>();
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, (socket) => {
    const connection = new SocketConnection(socket);
    sockets.add(connection);
    socket.once('close', () => sockets.delete(connection));
    connection.deliverTo(accept(connection));
  });
  await bound(server, host, port, address);
  // Failing to accept one connection (no descriptors left) is not the end of the listener.
  server.on('error', () => undefined);
  const at = server.address();
  const boundPort = at === null || typeof at === 'string' ? port : at.port;
  return {
    address: formatAddress({ host, port: boundPort }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of sockets) connection.close();
      }),
  };
}

function bound(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'EADDRINUSE' ? 'ADDRESS_IN_USE' : 'ADDRESS_INVALID';
      reject(new NoriError(code, { message: `cannot listen on ${address}: ${cause.code ?? cause.message}`, cause }));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function connect(address: string, events: ConnectionEvents & { onOpen(): void }): Connection {
  let at: HostPort;
  try {
    at = parseAddress(address);
  } catch (error) {
    setImmediate(() => events.onClose(error as Error, false));
    return { remote: address, queuedBytes: 0, send: () => undefined, close: () => undefined };
  }
  const socket = createConnection({
    host: at.host,
    port: at.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  });
  const connection = new SocketConnection(socket, address);
  socket.once('connect', () => {
    if (!connection.closing) events.onOpen();
  });
  connection.deliverTo(events);
  return connection;
}

class SocketConnection implements Connection {
  readonly remote: string;
  closing = false;
  private readonly socket: Socket;

  constructor(socket: Socket, remote?: string) {
    this.socket = socket;
    this.remote = remote ?? formatAddress({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 });
  }

  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  send(bytes: Uint8Array): void {
    if (!this.closing && this.socket.writable) this.socket.write(bytes);
  }

  /** A few last bytes, such as the reason, still go out; more than that is not worth waiting for. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    const { socket } = this;
    if (socket.connecting || socket.writableLength === 0 || socket.writableLength > lingerBytesMax) {
      socket.destroy();
      return;
    }
    const linger = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(linger));
    socket.destroySoon();
  }

  deliverTo(events: ConnectionEvents): void {
    const { socket } = this;
    let failure: NodeJS.ErrnoException | null = null;
    socket.on('data', (bytes: Uint8Array) => {
      if (!this.closing) events.onData(bytes);
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.once('close', () => {
      this.closing = true;
      events.onClose(failure, wasRefused(failure));
    });
  }
}

/** A name with several addresses that all refuse carries the code too. */
function wasRefused(error: NodeJS.ErrnoException | null): boolean {
  return error !== null && error.code === 'ECONNREFUSED';
}
