import type { Operation, RegisterCommand, RegisterResult } from 'nori-raft/testkit/linearizability';
import { wordsOf } from './register-words.ts';
import { ConnectionLost, ErrorReply, type RespClient, type RespValue } from './resp-client.ts';
import { sleep } from './until.ts';

/** Replies that promise that nothing happened (docs/redis.md). */
const notAppliedCodes: ReadonlySet<string> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MOVED', 'DISKFULL']);

export type RegisterOperation = Operation<RegisterCommand, RegisterResult>;

type Outcome =
  | { readonly known: true; readonly reply: RespValue }
  | { readonly known: false; readonly why: 'refused' | 'unknown' };

/** What is known about the increments of one counter. */
export interface CounterTally {
  acknowledged: number;
  refused: number;
  unknown: number;
  /** The highest value any client was told. */
  highest: number;
}

export interface WorkloadOptions {
  readonly clients: number;
  /** A connection to some node, a different one each time; it may fail. */
  readonly connect: () => Promise<RespClient>;
}

const registerCount = 8;
const incrementsPerCounter = 10;

/**
 * Clients that count, write unique keys, and read, write and swap registers, and that write down what they were told.
 * Every command is sent once. A connection that breaks leaves its command unknown.
 */
export class Workload {
  readonly counters: Map<string, CounterTally> = new Map();
  /** Unique keys whose SET was acknowledged. Every value is its key. */
  readonly written: string[] = [];
  /** Per register, in no order. */
  readonly histories: Map<string, RegisterOperation[]> = new Map();
  /** Replies no client should ever see. */
  readonly unexpected: string[] = [];
  readonly totals: { acknowledged: number; refused: number; unknown: number; swapped: number; reads: number } = {
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    swapped: 0,
    reads: 0,
  };
  readonly #options: WorkloadOptions;
  #stopped = false;
  #clients: Promise<void>[] = [];
  #values = 0;
  readonly #ownCounters: string[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#clients = Array.from({ length: this.#options.clients }, (_, client) => this.#run(client));
  }

  /** Resolves when every client has its last answer, or knows that none will come. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #run(client: number): Promise<void> {
    let connection: RespClient | null = null;
    for (let round = 0; !this.#stopped; round += 1) {
      try {
        connection ??= await this.#options.connect();
      } catch {
        await sleep(50);
        continue;
      }
      const known = await this.#act(connection, client, round);
      if (!connection.open) {
        connection.close();
        connection = null;
      } else if (!known) await sleep(20);
    }
    connection?.close();
  }

  /** One command; false when it was refused or its outcome is unknown. */
  #act(connection: RespClient, client: number, round: number): Promise<boolean> {
    switch (round % 4) {
      case 0:
        return this.#count(connection, this.#ownCounter(client, round));
      case 1:
        return this.#count(connection, `shared:${round % 3}`);
      case 2:
        return this.#writeUnique(connection, `u:${client}:${round}`);
      default:
        return this.#useRegister(connection, client, `r:${Math.floor(Math.random() * registerCount)}`);
    }
  }

  /**
   * A counter no other client touches. New ones often, and at once after an unknown outcome or a refusal: what is judged
   * exactly is a counter without an unknown outcome, and the refusals worth judging come right beside those.
   */
  #ownCounter(client: number, round: number): string {
    const current = this.#ownCounters[client];
    const tally = current === undefined ? undefined : this.counters.get(current);
    if (
      current !== undefined &&
      tally !== undefined &&
      tally.unknown === 0 &&
      tally.refused === 0 &&
      tally.acknowledged < incrementsPerCounter
    ) {
      return current;
    }
    const fresh = `c:${client}:${round}`;
    this.#ownCounters[client] = fresh;
    return fresh;
  }

  async #count(connection: RespClient, key: string): Promise<boolean> {
    let tally = this.counters.get(key);
    if (tally === undefined) {
      tally = { acknowledged: 0, refused: 0, unknown: 0, highest: 0 };
      this.counters.set(key, tally);
    }
    const outcome = await this.#send(connection, ['INCR', key]);
    if (outcome.known) {
      tally.acknowledged += 1;
      tally.highest = Math.max(tally.highest, Number(outcome.reply));
    } else tally[outcome.why] += 1;
    return outcome.known;
  }

  async #writeUnique(connection: RespClient, key: string): Promise<boolean> {
    const outcome = await this.#send(connection, ['SET', key, key]);
    if (outcome.known) this.written.push(key);
    return outcome.known;
  }

  async #useRegister(connection: RespClient, client: number, key: string): Promise<boolean> {
    this.#values += 1;
    const value = `v${this.#values}`;
    const dice = Math.random();
    if (dice >= 0.5) return (await this.#record(connection, client, { name: 'SET', key, value })).known;
    const read = await this.#record(connection, client, { name: 'GET', key });
    if (!read.known) return false;
    this.totals.reads += 1;
    // What was read is often still there: then the swap succeeds.
    if (read.reply === null || dice < 0.25 || !connection.open) return true;
    const expected = read.reply as string;
    const swap = await this.#record(connection, client, { name: 'CAS', key, value, expected });
    if (swap.known && swap.reply === 'OK') this.totals.swapped += 1;
    return swap.known;
  }

  async #record(connection: RespClient, client: number, command: RegisterCommand): Promise<Outcome> {
    const calledAt = performance.now();
    const outcome = await this.#send(connection, wordsOf(command));
    if (outcome.known) {
      const result = outcome.reply as RegisterResult;
      this.#history(command.key).push({ client, command, result, calledAt, returnedAt: performance.now() });
    } else if (outcome.why === 'unknown') {
      this.#history(command.key).push({ client, command, result: undefined, calledAt, returnedAt: Infinity });
    }
    return outcome;
  }

  #history(key: string): RegisterOperation[] {
    let history = this.histories.get(key);
    if (history === undefined) {
      history = [];
      this.histories.set(key, history);
    }
    return history;
  }

  async #send(connection: RespClient, command: readonly string[]): Promise<Outcome> {
    try {
      const reply = await connection.ask(...command);
      if (!(reply instanceof ErrorReply)) {
        this.totals.acknowledged += 1;
        return { known: true, reply };
      }
      if (notAppliedCodes.has(reply.code)) {
        this.totals.refused += 1;
        return { known: false, why: 'refused' };
      }
      if (reply.code !== 'UNKNOWNOUTCOME') this.unexpected.push(`${command.join(' ')}: ${reply.text}`);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
    this.totals.unknown += 1;
    return { known: false, why: 'unknown' };
  }
}
