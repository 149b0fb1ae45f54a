import { type Consistency, type ExecuteDone, NoriError, type ReadDone } from 'nori-raft';
import type { Call, CallDriver, Failure } from './call.ts';
import type { KvHost } from './host.ts';
import { ShardMap } from './shards.ts';

export type Routing = 'forward' | 'redirect';

export interface RouterOptions {
  readonly shards: number;
  readonly routing: Routing;
  /** What a read that does not say is. Default `lease`. */
  readonly reads?: Consistency;
  /** How long a command may wait for a leader and a quorum, in ms. */
  readonly commandTimeoutMs: number;
  /** Where a node's RESP port can be reached, or null while that is unknown. */
  readonly respAddressOf: (id: string) => string | null;
  readonly nowMs?: () => number;
  readonly random?: () => number;
}

/** Somebody whose calls wait to be tried again. */
export interface Waiter {
  /** Somebody leads their shard now: no need to wait longer. */
  leaderKnown(): void;
}

const retryDelayMsMin = 10;
const retryDelayMsMax = 200;

/** Sends calls to their group, and says which failures are worth another attempt. */
export class Router {
  readonly map: ShardMap;
  readonly routing: Routing;
  readonly reads: Consistency;
  readonly commandTimeoutMs: number;
  readonly nowMs: () => number;
  readonly host: KvHost;
  readonly #random: () => number;
  readonly #respAddressOf: (id: string) => string | null;
  /** By group. */
  readonly #waiting: Map<number, Set<Waiter>> = new Map();

  constructor(host: KvHost, options: RouterOptions) {
    this.host = host;
    this.map = new ShardMap(options.shards);
    this.routing = options.routing;
    this.reads = options.reads ?? 'lease';
    this.commandTimeoutMs = options.commandTimeoutMs;
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
    this.#respAddressOf = options.respAddressOf;
  }

  /** One attempt; `driver` hears how it went, at once or later. */
  attempt(call: Call, driver: CallDriver): void {
    call.driver = driver;
    const timeoutMs = call.deadlineMs - this.nowMs();
    if (timeoutMs <= 0) {
      driver.attempted(call, waitedTooLong());
      return;
    }
    call.attempts += 1;
    const group = this.map.groupOf(call.shard);
    const { forward, consistency } = call;
    if (call.write) this.host.submit(group, call.payload, { timeoutMs, forward }, call.onAttempt as ExecuteDone);
    else this.host.query(group, call.payload, { consistency, timeoutMs, forward }, call.onAttempt as ReadDone);
  }

  /**
   * Whether a failed attempt may be made again: only when the command certainly was not applied and time is left. A
   * full disk does not empty itself within a command's patience, so that is answered at once.
   */
  worthRetrying(call: Call, error: NoriError): boolean {
    if (!error.retryable || error.code === 'DISK_FULL') return false;
    if (call.write && error.outcome !== 'notApplied') return false;
    return this.nowMs() < call.deadlineMs;
  }

  /** In redirect mode: where the client should go instead, or null to go on here. */
  redirectOf(call: Call, error: NoriError): Failure | null {
    if (call.forward || error.code !== 'NOT_LEADER' || error.leaderHint === null) return null;
    const address = this.#respAddressOf(error.leaderHint);
    return address === null ? null : { error: null, moved: { slot: call.slot, address } };
  }

  /** Has `waiter` told, once, when a leader of the shard becomes known. */
  awaitLeader(shard: number, waiter: Waiter): void {
    const group = this.map.groupOf(shard);
    const waiting = this.#waiting.get(group);
    if (waiting === undefined) this.#waiting.set(group, new Set([waiter]));
    else waiting.add(waiter);
  }

  awaitLeaderNoMore(shard: number, waiter: Waiter): void {
    this.#waiting.get(this.map.groupOf(shard))?.delete(waiter);
  }

  /** A leader of the group was elected: those who wait for one need not wait out their delay. */
  leaderKnown(group: number): void {
    const waiting = this.#waiting.get(group);
    if (waiting === undefined) return;
    this.#waiting.delete(group);
    for (const waiter of waiting) waiter.leaderKnown();
  }

  /** Short at first, so that an election is barely noticed; jittered, so that those who wait do not come back at once. */
  retryDelayMs(attempts: number): number {
    const ceiling = Math.min(retryDelayMsMax, retryDelayMsMin * 2 ** Math.min(attempts, 10));
    return ceiling * (0.5 + this.#random() / 2);
  }
}

/** The call waited its whole time without being handed to the group: it certainly was not applied. */
export function waitedTooLong(): NoriError {
  return new NoriError('QUORUM_UNAVAILABLE', { message: 'no leader accepted the command in time' });
}
