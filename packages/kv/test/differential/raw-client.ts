import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Where the reply that starts at `at` ends, or -1 when it is not all there. Knows every kind of RESP2 and RESP3. */
export function replyEnd(bytes: Buffer, at: number): number {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return -1;
  const kind = String.fromCharCode(bytes[at] as number);
  const length = Number(bytes.toString('latin1', at + 1, lineEnd));
  const behind = lineEnd + 2;
  if ('$=!'.includes(kind)) {
    const end = length < 0 ? behind : behind + length + 2;
    return end > bytes.length ? -1 : end;
  }
  if (!'*~%>|'.includes(kind)) return behind;
  // Attributes stand before the reply they speak of.
  let items = Math.max(0, length) * (kind === '%' || kind === '|' ? 2 : 1) + (kind === '|' ? 1 : 0);
  let end = behind;
  for (; items > 0 && end >= 0; items -= 1) end = replyEnd(bytes, end);
  return end;
}

const plainWord = /^[\w.:-]+$/;

/** Every few commands one line as a person would type it, if that can say it. */
export function encodeRequest(args: readonly Buffer[], at = 1): Buffer {
  const words = args.map((argument) => argument.toString('latin1'));
  if (at % 8 === 0 && words.every((word) => plainWord.test(word))) return Buffer.from(`${words.join(' ')}\r\n`);
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const argument of args) parts.push(Buffer.from(`$${argument.length}\r\n`), argument, Buffer.from('\r\n'));
  return Buffer.concat(parts);
}

/** A connection that hands out replies as the bytes they came in. */
export class RawClient {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #onChange: () => void = () => undefined;
  closed = false;

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#onChange();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#onChange();
    });
  }

  /** Everything that came and was not taken by `ask`. */
  get received(): Buffer {
    return this.#received;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends the commands in one piece and waits for as many replies; fewer when the connection ends first. */
  async ask(commands: readonly (readonly Buffer[])[]): Promise<Buffer[]> {
    this.write(Buffer.concat(commands.map((args, at) => encodeRequest(args, at))));
    const replies: Buffer[] = [];
    for (let at = 0; ; ) {
      const end = at < this.#received.length ? replyEnd(this.#received, at) : -1;
      if (end >= 0) {
        replies.push(this.#received.subarray(at, end));
        at = end;
      }
      if (replies.length === commands.length || (end < 0 && this.closed)) {
        this.#received = this.#received.subarray(at);
        return replies;
      }
      if (end >= 0) continue;
      this.#received = this.#received.subarray(at);
      at = 0;
      await new Promise<void>((changed) => {
        this.#onChange = changed;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
