import type { NoriError } from 'nori-raft';
import type { Call, CallDriver } from './call.ts';
import { Fifo } from './fifo.ts';
import { type Router, type Waiter, waitedTooLong } from './router.ts';

const worthwhileMs = 1;

/**
 * The calls of one connection to one slot, kept in the order in which they were sent. Writes overlap writes and reads
 * overlap reads, because the log keeps their order (or they have none); a change from one to the other waits until
 * the lane is empty: a read handed over beside a write may be answered from before or after it.
 *
 * A write that was certainly not applied is tried again only if no later write of the lane was: then the later ones
 * would take effect first. In that case the error is answered, which is true: it had no effect.
 */
export class Lane implements CallDriver, Waiter {
  readonly #router: Router;
  readonly #onEmpty: (lane: Lane) => void;
  slot: number = -1;
  #reads = 0;
  #writes = 0;
  readonly #waiting: Fifo<Call> = new Fifo();
  #failed: { readonly call: Call; readonly error: NoriError }[] = [];
  /** The last write that took effect, or may have. */
  #effectiveSequence = -1;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #empty = true;
  #abandoned = false;

  constructor(router: Router, onEmpty: (lane: Lane) => void) {
    this.#router = router;
    this.#onEmpty = onEmpty;
  }

  start(call: Call): void {
    this.#empty = false;
    if (this.#waiting.length > 0 || !this.#admits(call)) this.#waiting.push(call);
    else this.#submit(call);
  }

  /** Nobody waits for the answers any more: what was not handed over yet never will be. */
  abandon(): void {
    this.#abandoned = true;
    this.#stopTimer();
    this.#waiting.clear();
    this.#failed = [];
  }

  attempted(call: Call, error: NoriError | null): void {
    if (call.write) this.#writes -= 1;
    else this.#reads -= 1;
    if (error === null) {
      if (call.write && call.sequence > this.#effectiveSequence) this.#effectiveSequence = call.sequence;
      call.succeed();
    } else {
      this.#onError(call, error);
    }
    this.#settle();
  }

  #admits(call: Call): boolean {
    if (this.#failed.length > 0) return false;
    return call.write ? this.#reads === 0 : this.#writes === 0;
  }

  #submit(call: Call): void {
    if (call.write) this.#writes += 1;
    else this.#reads += 1;
    this.#router.attempt(call, this);
  }

  #onError(call: Call, error: NoriError): void {
    const moved = this.#router.redirectOf(call, error);
    if (moved !== null) {
      call.fail(moved);
      return;
    }
    if (call.write && error.outcome === 'unknown' && call.sequence > this.#effectiveSequence) {
      this.#effectiveSequence = call.sequence;
    }
    const overtaken = call.write && call.sequence < this.#effectiveSequence;
    if (overtaken || this.#abandoned || !this.#router.worthRetrying(call, error)) call.fail({ error, moved: null });
    else this.#failed.push({ call, error });
  }

  #settle(): void {
    if (this.#reads > 0 || this.#writes > 0) return;
    if (this.#failed.length > 0) {
      this.#failOvertaken();
      if (this.#failed.length > 0) {
        this.#scheduleRetry();
        return;
      }
    }
    this.#drain();
    this.#reportEmpty();
  }

  /** Once per emptiness: an attempt that ends at once brings us here twice. */
  #reportEmpty(): void {
    if (this.#empty || this.#reads > 0 || this.#writes > 0) return;
    if (this.#failed.length > 0 || this.#waiting.length > 0) return;
    this.#empty = true;
    this.#effectiveSequence = -1;
    this.#onEmpty(this);
  }

  #failOvertaken(): void {
    const failed = this.#failed;
    this.#failed = [];
    for (const entry of failed) {
      if (entry.call.write && entry.call.sequence < this.#effectiveSequence) {
        entry.call.fail({ error: entry.error, moved: null });
      } else this.#failed.push(entry);
    }
  }

  #scheduleRetry(): void {
    if (this.#timer !== null) return;
    this.#failed.sort((left, right) => left.call.sequence - right.call.sequence);
    const first = (this.#failed[0] as { readonly call: Call }).call;
    const untilDeadlineMs = Math.max(0, first.deadlineMs - this.#router.nowMs());
    const delayMs = Math.min(this.#router.retryDelayMs(first.attempts), untilDeadlineMs);
    this.#timer = setTimeout(() => this.#retry(), delayMs);
    this.#router.awaitLeader(first.shard, this);
  }

  leaderKnown(): void {
    if (this.#timer !== null) this.#retry();
  }

  #stopTimer(): void {
    const first = this.#failed[0];
    if (this.#timer === null || first === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#router.awaitLeaderNoMore(first.call.shard, this);
  }

  #retry(): void {
    this.#stopTimer();
    const failed = this.#failed;
    this.#failed = [];
    const again: Call[] = [];
    const nowMs = this.#router.nowMs();
    for (const { call, error } of failed) {
      // With less than this left an attempt would end at once, and for want of time: the reason it has is the better one.
      if (nowMs + worthwhileMs > call.deadlineMs) call.fail({ error, moved: null });
      else again.push(call);
    }
    // Counted before any is handed over: an attempt that ends at once must not take the lane for empty.
    if ((again[0] as Call | undefined)?.write === true) this.#writes += again.length;
    else this.#reads += again.length;
    for (const call of again) this.#router.attempt(call, this);
    if (again.length === 0) this.#settle();
  }

  #drain(): void {
    for (let call = this.#waiting.peek(); call !== undefined && this.#admits(call); call = this.#waiting.peek()) {
      this.#waiting.shift();
      if (this.#router.nowMs() >= call.deadlineMs) call.fail({ error: waitedTooLong(), moved: null });
      else this.#submit(call);
    }
  }
}
