import type { Socket } from 'node:net';

/** Replies up to this many bytes together are copied into one buffer: cheaper than a gathered write of many. */
const copyBytesMax = 64 * 1024;

/** Collects the replies of one turn and hands them to the socket in one write. */
export class Output {
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that the client has not taken yet, as far as this process knows. */
  get backlogBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  flush(): void {
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    if (chunks.length === 1) this.#socket.write(chunks[0] as Uint8Array);
    else if (this.#bytes <= copyBytesMax) this.#socket.write(concat(chunks, this.#bytes));
    else {
      this.#socket.cork();
      for (const chunk of chunks) this.#socket.write(chunk);
      this.#socket.uncork();
    }
    this.#chunks = [];
    this.#bytes = 0;
  }
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = Buffer.allocUnsafe(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
