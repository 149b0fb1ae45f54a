import { connect, type Socket } from 'node:net';

/** A raw RESP connection: what is sent and received is seen byte by byte. */
export class TestClient {
  readonly socket: Socket;
  received: string = '';
  closed = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  send(...lines: string[]): this {
    for (const line of lines) {
      const words = line.split(' ');
      this.socket.write(
        `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`,
        'latin1',
      );
    }
    return this;
  }

  async until(done: (received: string) => boolean, timeoutMs = 3000): Promise<string> {
    const startedAtMs = Date.now();
    while (!done(this.received)) {
      if (Date.now() - startedAtMs > timeoutMs)
        throw new Error(`no such reply within ${timeoutMs} ms: ${JSON.stringify(this.received)}`);
      await new Promise((wake) => setTimeout(wake, 2));
    }
    const { received } = this;
    this.received = '';
    return received;
  }

  /** Sends commands and answers the text of exactly `expected.length` bytes or more. */
  async ask(line: string): Promise<string> {
    this.send(line);
    let quietSince = Date.now();
    let length = 0;
    return this.until((received) => {
      if (received.length !== length) {
        length = received.length;
        quietSince = Date.now();
      }
      return received.endsWith('\r\n') && Date.now() - quietSince > 5;
    });
  }

  async untilClosed(timeoutMs = 3000): Promise<string> {
    const startedAtMs = Date.now();
    while (!this.closed) {
      if (Date.now() - startedAtMs > timeoutMs) throw new Error('the connection stayed open');
      await new Promise((wake) => setTimeout(wake, 2));
    }
    return this.received;
  }
}
