import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  /** Connections are dealt out over these ports in turn. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** Commands a connection keeps on its way. */
  readonly pipeline: number;
  readonly seconds: number;
  /** PING reads nothing: what it takes is the price of a connection. */
  readonly command: 'SET' | 'GET' | 'PING';
  readonly keys: number;
  readonly valueBytes: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  /** Commands answered in all, warm-up included. */
  readonly commands: number;
}

/** Closed loop: every connection sends its next command when an answer is there. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const clients = await Promise.all(
    Array.from({ length: options.connections }, (_, at) =>
      LoadClient.connect(options.ports[at % options.ports.length] as number, at, options),
    ),
  );
  const warmUpMs = Math.min(1000, options.seconds * 250);
  for (const client of clients) client.start();
  await sleep(warmUpMs);
  let commands = clients.reduce((sum, client) => sum + client.latenciesMs.length, 0);
  for (const client of clients) client.forget();
  const start = performance.now();
  await sleep(options.seconds * 1000);
  const elapsedMs = performance.now() - start;
  const latencies: number[] = [];
  let errors = 0;
  for (const client of clients) {
    latencies.push(...client.latenciesMs);
    errors += client.errors;
  }
  for (const client of clients) client.stop();
  commands += latencies.length;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { perSecond: (latencies.length / elapsedMs) * 1000, p50Ms: at(0.5), p99Ms: at(0.99), errors, commands };
}

class LoadClient {
  latenciesMs: number[] = [];
  errors = 0;
  private readonly socket: Socket;
  private readonly options: LoadOptions;
  private readonly value: string;
  private readonly sentMs: number[] = [];
  private seed: number;
  private unread: Buffer = Buffer.alloc(0);
  private running = false;

  static connect(port: number, seed: number, options: LoadOptions): Promise<LoadClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new LoadClient(socket, seed, options)));
    });
  }

  private constructor(socket: Socket, seed: number, options: LoadOptions) {
    this.socket = socket;
    this.seed = seed * 7919 + 1;
    this.options = options;
    this.value = 'x'.repeat(options.valueBytes);
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('error', () => undefined);
  }

  start(): void {
    this.running = true;
    this.send(this.options.pipeline);
  }

  stop(): void {
    this.running = false;
    this.socket.destroy();
  }

  forget(): void {
    this.latenciesMs = [];
    this.errors = 0;
  }

  private send(count: number): void {
    let text = '';
    const now = performance.now();
    for (let left = count; left > 0; left -= 1) {
      this.seed = (Math.imul(this.seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      text += this.request(`key:${this.seed % this.options.keys}`);
      this.sentMs.push(now);
    }
    this.socket.write(text);
  }

  private request(key: string): string {
    switch (this.options.command) {
      case 'SET':
        return `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${this.value.length}\r\n${this.value}\r\n`;
      case 'GET':
        return `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`;
      default:
        return '*1\r\n$4\r\nPING\r\n';
    }
  }

  private onData(chunk: Buffer): void {
    const bytes = this.unread.length === 0 ? chunk : Buffer.concat([this.unread, chunk]);
    let at = 0;
    let answered = 0;
    const now = performance.now();
    for (;;) {
      const end = replyEnd(bytes, at);
      if (end === -1) break;
      if (bytes[at] === 0x2d) this.errors += 1;
      this.latenciesMs.push(now - (this.sentMs[answered] as number));
      answered += 1;
      at = end;
    }
    this.sentMs.splice(0, answered);
    this.unread = bytes.subarray(at);
    if (this.running && answered > 0) this.send(answered);
  }
}

/** Where the reply that starts at `at` ends; -1 when it is not all there. Only what SET and GET answer. */
export function replyEnd(bytes: Buffer, at: number): number {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd === -1) return -1;
  if (bytes[at] !== 0x24) return lineEnd + 2;
  const length = Number(bytes.toString('latin1', at + 1, lineEnd));
  const end = length < 0 ? lineEnd + 2 : lineEnd + 2 + length + 2;
  return end <= bytes.length ? end : -1;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
