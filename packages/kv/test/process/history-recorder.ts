import {
  checkHistory,
  type HistoryReport,
  type Operation,
  register,
  type RegisterCommand,
  type RegisterResult,
  timeline,
} from 'nori-raft/testkit/linearizability';
import { ConnectionLost, ErrorReply, RespClient, type RespValue } from '../support/resp-client.ts';
import { wordsOf } from '../support/register-words.ts';
import { sleep } from '../support/until.ts';

/** Replies that promise that nothing happened (docs/redis.md). */
const notApplied: ReadonlySet<string> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MOVED', 'DISKFULL']);

export interface RecorderOptions {
  readonly clients: number;
  readonly ports: readonly number[];
  readonly keys: number;
  /** A client that waited so long takes the outcome as unknown and comes back on another connection. */
  readonly patienceMs: number;
}

interface Answer {
  readonly kind: 'ok' | 'failed' | 'unknown';
  readonly result?: RespValue;
}

/** Clients on all nodes that read, write and swap a few keys, and write down every call with what became of it. */
export class HistoryRecorder {
  readonly operations: Operation<RegisterCommand, RegisterResult>[] = [];
  readonly counts: { ok: number; failed: number; unknown: number } = { ok: 0, failed: 0, unknown: 0 };
  readonly #options: RecorderOptions;
  readonly #clients: Promise<void>[];
  #names = 0;
  #extraClients = 0;
  #stopped = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients }, (_, client) => this.#run(client));
  }

  /** Resolves when every client has its last answer or has given it up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  /** One read on a connection of its own, as part of the history, however long it takes. */
  async read(port: number, key: string): Promise<void> {
    const client = (this.#extraClients -= 1);
    const calledAt = performance.now();
    const connection = await RespClient.open(port, this.#options.patienceMs).catch(() => null);
    if (connection === null) return;
    await this.#call(connection, client, { name: 'GET', key }, new Map(), calledAt);
    connection.close();
  }

  /** Whether what was recorded is linearizable. */
  judge(): HistoryReport<RegisterCommand, RegisterResult> {
    return checkHistory(register, this.operations, { timeMsMax: 20_000, nowMs: () => performance.now() });
  }

  /** docs/history-format.md. */
  toJsonLines(): string {
    const lines = this.operations.map(({ client, command, result, calledAt, returnedAt }) =>
      JSON.stringify({
        client,
        command: wordsOf(command),
        start: calledAt,
        ...(returnedAt === Infinity ? {} : { end: returnedAt, result }),
      }),
    );
    return `${lines.join('\n')}\n`;
  }

  async #run(client: number): Promise<void> {
    const { ports, patienceMs } = this.#options;
    const lastSeen = new Map<string, string>();
    let connection: RespClient | null = null;
    for (let attempt = client; !this.#stopped; ) {
      try {
        connection ??= await RespClient.open(ports[attempt % ports.length] as number, patienceMs);
      } catch {
        attempt += 1;
        await sleep(20);
        continue;
      }
      const answer = await this.#call(connection, client, this.#nextCommand(lastSeen), lastSeen);
      if (answer.kind === 'ok') continue;
      if (answer.kind === 'unknown') {
        connection.close();
        connection = null;
        attempt += 1;
      }
      await sleep(10);
    }
    connection?.close();
  }

  #nextCommand(lastSeen: ReadonlyMap<string, string>): RegisterCommand {
    const key = `h${Math.floor(Math.random() * this.#options.keys)}`;
    const dice = Math.random();
    const value = `v${(this.#names += 1)}`;
    if (dice < 0.5) return { name: 'GET', key };
    if (dice < 0.54) return { name: 'DEL', key };
    if (dice < 0.58) return { name: 'SETNX', key, value };
    const expected = lastSeen.get(key);
    if (dice < 0.75 && expected !== undefined) return { name: 'CAS', key, value, expected };
    return { name: 'SET', key, value };
  }

  async #call(
    connection: RespClient,
    client: number,
    command: RegisterCommand,
    lastSeen: Map<string, string>,
    calledAt = performance.now(),
  ): Promise<Answer> {
    const answer = await this.#ask(connection, wordsOf(command));
    const returnedAt = performance.now();
    this.counts[answer.kind] += 1;
    if (answer.kind === 'ok') {
      const result = answer.result as RegisterResult;
      this.operations.push({ client, command, result, calledAt, returnedAt });
      if (command.name === 'GET' && result !== null) lastSeen.set(command.key, String(result));
    } else if (answer.kind === 'unknown') {
      this.operations.push({ client, command, result: undefined, calledAt, returnedAt: Infinity });
    }
    return answer;
  }

  async #ask(connection: RespClient, words: readonly string[]): Promise<Answer> {
    try {
      const reply = connection.ask(...words);
      const result = await Promise.race([reply, sleep(this.#options.patienceMs)]);
      if (result === undefined) {
        reply.catch(() => undefined);
        return { kind: 'unknown' };
      }
      if (!(result instanceof ErrorReply)) return { kind: 'ok', result };
      if (notApplied.has(result.code)) return { kind: 'failed' };
      if (result.code === 'UNKNOWNOUTCOME') return { kind: 'unknown' };
      throw new Error(`no client should see this: ${result.text}`);
    } catch (error) {
      if (error instanceof ConnectionLost) return { kind: 'unknown' };
      throw error;
    }
  }
}

/** The smallest parts of a history that cannot be explained, drawn. */
export function windowsOf({ keys }: HistoryReport<RegisterCommand, RegisterResult>): string {
  return keys.flatMap(({ window }) => (window === null ? [] : timeline(register, window))).join('\n');
}
