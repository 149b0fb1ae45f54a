import { connect, type Socket } from 'node:net';
import { replyEnd } from './load.ts';

/** Where attempts are made. */
export interface Target {
  /** Whether this attempt succeeded; never rejects. */
  attempt(): Promise<boolean>;
  close(): void;
}

const everyMs = 5;
/** Attempts that wait for their answer at one target. With one more the oldest is given up, as an impatient client would. */
const waitingMax = 50;

interface Success {
  readonly startedMs: number;
  readonly endedMs: number;
}

/** Tries again every 5 ms, on each target in turn, whether earlier attempts were answered or not. */
export class Prober {
  private readonly targets: readonly Target[];
  private readonly successes: Success[] = [];
  private readonly timer: ReturnType<typeof setInterval>;
  private turn = 0;

  constructor(targets: readonly Target[]) {
    this.targets = targets;
    this.timer = setInterval(() => this.tick(), everyMs);
  }

  /** Whether an attempt made since then succeeded. */
  succeededSince(ms: number): boolean {
    return this.successes.some(({ startedMs }) => startedMs >= ms);
  }

  get firstSuccessMs(): number | null {
    return this.successes.reduce<number | null>((first, { endedMs }) => Math.min(first ?? endedMs, endedMs), null);
  }

  /** The longest time without a success after `fromMs`, in ms; until now counts too. */
  longestGapMs(fromMs: number): number {
    let lastMs = fromMs;
    let longestMs = 0;
    const ends = this.successes.map(({ endedMs }) => endedMs).filter((endedMs) => endedMs > fromMs);
    for (const endedMs of [...ends.sort((a, b) => a - b), performance.now()]) {
      longestMs = Math.max(longestMs, endedMs - lastMs);
      lastMs = endedMs;
    }
    return longestMs;
  }

  stop(): void {
    clearInterval(this.timer);
    for (const target of this.targets) target.close();
  }

  private tick(): void {
    const target = this.targets[this.turn % this.targets.length] as Target;
    this.turn += 1;
    const startedMs = performance.now();
    void target.attempt().then((succeeded) => {
      if (succeeded) this.successes.push({ startedMs, endedMs: performance.now() });
    });
  }
}

/** One command to one node, again and again, each attempt on a connection that waits for nothing else. */
export class RespTarget implements Target {
  /** Hears every reply as it came. */
  onReply: ((reply: string) => void) | null = null;
  private readonly port: number;
  private readonly command: string;
  private readonly idle: RespConnection[] = [];
  private readonly waiting = new Set<RespConnection>();

  constructor(port: number, ...args: readonly string[]) {
    this.port = port;
    this.command = `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`;
  }

  attempt(): Promise<boolean> {
    const [oldest] = this.waiting;
    if (this.waiting.size >= waitingMax) oldest?.destroy();
    const connection = this.idle.pop() ?? new RespConnection(this.port);
    this.waiting.add(connection);
    return new Promise((resolve) => {
      connection.ask(this.command, (reply) => {
        this.waiting.delete(connection);
        if (reply !== null) {
          this.idle.push(connection);
          this.onReply?.(reply);
        }
        // An error, or the nil of a key that is there, is no success.
        resolve(reply !== null && !reply.startsWith('-') && !reply.startsWith('$-1'));
      });
    });
  }

  close(): void {
    for (const connection of [...this.idle, ...this.waiting]) connection.destroy();
  }
}

class RespConnection {
  private readonly socket: Socket;
  private unread: Buffer = Buffer.alloc(0);
  private done: ((reply: string | null) => void) | null = null;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.answer(null));
    this.socket.on('data', (chunk: Buffer) => {
      this.unread = Buffer.concat([this.unread, chunk]);
      const end = replyEnd(this.unread, 0);
      if (end === -1) return;
      const reply = this.unread.toString('latin1', 0, end);
      this.unread = this.unread.subarray(end);
      this.answer(reply);
    });
  }

  /** `done` gets the reply, or null when there will be none. */
  ask(command: string, done: (reply: string | null) => void): void {
    this.done = done;
    if (this.socket.destroyed) this.answer(null);
    else this.socket.write(command);
  }

  destroy(): void {
    this.socket.destroy();
  }

  private answer(reply: string | null): void {
    const { done } = this;
    this.done = null;
    done?.(reply);
  }
}
