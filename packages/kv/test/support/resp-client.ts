import { connect, type Socket } from 'node:net';

/** An error reply. It is a value, not an exception: tests judge it. */
export class ErrorReply {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The word clients act on. */
  get code(): string {
    return this.text.split(' ', 1)[0] ?? '';
  }
}

export type RespValue = string | number | null | ErrorReply | RespValue[];

/** The connection ended before the reply came: nobody knows whether the command was applied. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

interface Waiter {
  readonly resolve: (value: RespValue) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A RESP2 client that does nothing by itself: it sends every command once, never again, and never reconnects. Strings
 * are latin1, so that they carry any byte.
 */
export class RespClient {
  readonly #socket: Socket;
  readonly #waiters: Waiter[] = [];
  #received: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #ended: ConnectionLost | null = null;

  static open(port: number, timeoutMs = 5000): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error(`no connection to ${port}`)), timeoutMs);
      socket.once('error', reject);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', reject);
        resolve(new RespClient(socket));
      });
      socket.once('close', () => clearTimeout(timer));
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
  }

  get open(): boolean {
    return this.#ended === null;
  }

  /** Rejects with ConnectionLost only; an error reply resolves. */
  ask(...args: readonly (string | Buffer | number)[]): Promise<RespValue> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
    for (const arg of args) {
      const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg), 'latin1');
      parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
    }
    this.#socket.write(Buffer.concat(parts));
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
    this.#onClose();
  }

  #onData(chunk: Buffer): void {
    this.#chunks.push(chunk);
    // A large value arrives in thousands of chunks: parse only when a reply can end here.
    if (chunk.at(-1) !== lineFeed) return;
    this.#received = Buffer.concat([this.#received, ...this.#chunks]);
    this.#chunks = [];
    let at = 0;
    for (;;) {
      const parsed = parse(this.#received, at);
      if (parsed === null) break;
      at = parsed.end;
      this.#waiters.shift()?.resolve(parsed.value);
    }
    this.#received = this.#received.subarray(at);
  }

  #onClose(): void {
    if (this.#ended !== null) return;
    this.#ended = new ConnectionLost('the connection ended before the reply');
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#ended);
  }
}

const crlf = Buffer.from('\r\n');
const lineFeed = 0x0a;

function parse(bytes: Buffer, at: number): { value: RespValue; end: number } | null {
  const lineEnd = bytes.indexOf(crlf, at);
  if (lineEnd < 0) return null;
  const text = bytes.toString('latin1', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] as number)) {
    case '+':
      return { value: text, end };
    case '-':
      return { value: new ErrorReply(text), end };
    case ':':
      return { value: Number(text), end };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, end };
      if (bytes.length < end + length + 2) return null;
      return { value: bytes.toString('latin1', end, end + length), end: end + length + 2 };
    }
    case '*':
      return parseArray(bytes, end, Number(text));
    default:
      throw new Error(`not RESP2: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`);
  }
}

function parseArray(bytes: Buffer, at: number, length: number): { value: RespValue; end: number } | null {
  if (length < 0) return { value: null, end: at };
  const value: RespValue[] = [];
  let end = at;
  for (let item = 0; item < length; item += 1) {
    const parsed = parse(bytes, end);
    if (parsed === null) return null;
    value.push(parsed.value);
    end = parsed.end;
  }
  return { value, end };
}
