import { type Consistency, NoriError } from 'nori-raft';
import { Call, type CallDriver, type CallOwner, type Failure } from './call.ts';
import type { Router } from './router.ts';
import type { Exclusive } from './session.ts';

export interface FanOutDetails {
  readonly shards: readonly number[];
  readonly payload: Uint8Array;
  readonly write: boolean;
  readonly deadlineMs: number;
  readonly consistency: Consistency;
  readonly forward: boolean;
}

export type FanOutDone = (failure: Failure | null, results: readonly Uint8Array[]) => void;

/** One payload to many shards at once; one answer when all have answered. */
export class FanOut implements Exclusive, CallOwner, CallDriver {
  readonly #router: Router;
  readonly #details: FanOutDetails;
  readonly #done: FanOutDone;
  #calls: readonly Call[] = [];
  #missing = 0;
  #finished: () => void = () => undefined;

  constructor(router: Router, details: FanOutDetails, done: FanOutDone) {
    this.#router = router;
    this.#details = details;
    this.#done = done;
  }

  run(finished: () => void): void {
    this.#finished = finished;
    const { shards, ...details } = this.#details;
    this.#missing = shards.length;
    this.#calls = shards.map(
      (shard) => new Call({ ...details, owner: this, shard, slot: this.#router.map.rangeOf(shard)[0] }),
    );
    if (shards.length === 0) this.#end();
    for (const call of this.#calls) this.#router.attempt(call, this);
  }

  attempted(call: Call, error: NoriError | null): void {
    if (error === null) call.succeed();
    else if (this.#router.worthRetrying(call, error)) {
      const delayMs = Math.min(
        this.#router.retryDelayMs(call.attempts),
        Math.max(0, call.deadlineMs - this.#router.nowMs()),
      );
      setTimeout(() => this.#router.attempt(call, this), delayMs);
    } else call.fail({ error, moved: null });
  }

  settled(): void {
    this.#missing -= 1;
    if (this.#missing === 0) this.#end();
  }

  #end(): void {
    const failed = this.#calls.filter((call) => call.failure !== null);
    this.#done(
      failed.length === 0 ? null : this.#failureOf(failed),
      this.#calls.map((call) => call.result ?? new Uint8Array(0)),
    );
    this.#finished();
  }

  /** A write that reached some shards and not others is neither applied nor not applied. */
  #failureOf(failed: readonly Call[]): Failure {
    const first = (failed[0] as Call).failure as Failure;
    if (!this.#details.write || failed.length === this.#calls.length) {
      return (
        failed.map((call) => call.failure as Failure).find((failure) => failure.error?.outcome === 'unknown') ?? first
      );
    }
    const message = `${this.#calls.length - failed.length} of ${this.#calls.length} shards carried it out: ${first.error?.message ?? ''}`;
    return { error: new NoriError('OUTCOME_UNKNOWN', { message, cause: first.error }), moved: null };
  }
}
