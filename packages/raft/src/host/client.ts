import { NoriError } from '../base/errors.ts';
import type { GroupId, Index, MembershipChange } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, ReadAnswer, ReadOptions, ReadProof } from './api.ts';
import type { Calls } from './calls.ts';

// The promise door. Below this file nothing awaits.

export interface Executed {
  readonly index: Index;
  /** What the state machine answered. */
  readonly result: Uint8Array;
}

const retryMs = 10;

/**
 * Calls with promises. While no leader is known, a call waits for one, up to `leaderWaitMs`: right after a start or a
 * leader's death there is none for a moment, and nothing was done yet.
 */
export class Client {
  private readonly calls: Calls;
  private readonly clock: Clock;
  private readonly leaderWaitMs: number;

  constructor(calls: Calls, clock: Clock, leaderWaitMs: number) {
    this.calls = calls;
    this.clock = clock;
    this.leaderWaitMs = leaderWaitMs;
  }

  execute(group: GroupId, command: Uint8Array, options: CallOptions = {}): Promise<Executed> {
    const owned = copyOf(command);
    return this.call(options, (left, settle) =>
      this.calls.submit(group, owned, left, (error, index, result) => settle(error, { index, result })),
    );
  }

  read(group: GroupId, query: Uint8Array, options: ReadOptions = {}): Promise<ReadAnswer> {
    const now = options.signal?.aborted === true ? null : this.calls.queryNow(group, query, options);
    if (now !== null) return Promise.resolve(now);
    const owned = copyOf(query);
    return this.call(options, (left, settle) =>
      this.calls.query(group, owned, left, (error, proof, result) =>
        settle(error, { ...(proof as ReadProof), result }),
      ),
    );
  }

  readIndex(group: GroupId, options: CallOptions = {}): Promise<ReadProof> {
    return this.call(options, (left, settle) =>
      this.calls.awaitReadIndex(group, left, (error, proof) => settle(error, proof as ReadProof)),
    );
  }

  change(group: GroupId, change: MembershipChange | null, options: CallOptions = {}): Promise<Index> {
    return this.call(options, (left, settle) => this.calls.change(group, change, left, settle));
  }

  private call<T, O extends CallOptions>(
    options: O,
    start: (left: O, settle: (error: NoriError | null, value: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { signal, timeoutMs } = options;
      const startMs = this.clock.nowMs();
      const untilMs = startMs + Math.min(this.leaderWaitMs, timeoutMs ?? this.leaderWaitMs);
      let settled = false;
      let asked = false;
      const onAbort = (): void => finish(() => reject(aborted(signal?.reason, asked ? 'unknown' : 'notApplied')));
      const finish = (act: () => void): void => {
        if (settled) return;
        settled = true;
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      const attempt = (): void => {
        const nowMs = this.clock.nowMs();
        asked = true;
        // What waiting for a leader took is taken from the time that is left.
        const left =
          timeoutMs === undefined || nowMs === startMs
            ? options
            : { ...options, timeoutMs: timeoutMs - (nowMs - startMs) };
        start(left, (error, value) => {
          asked = false;
          if (error === null) finish(() => resolve(value));
          else if (!settled && waitsForLeader(error, options) && this.clock.nowMs() + retryMs < untilMs) {
            this.clock.wakeAt(this.clock.nowMs() + retryMs, () => (settled ? undefined : attempt()));
          } else finish(() => reject(error));
        });
      };
      if (signal?.aborted === true) {
        onAbort();
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      attempt();
    });
  }
}

/** Nothing was done yet, and who leads may be known in a moment. Without `forward` the hint is what the caller wants. */
function waitsForLeader(error: NoriError, options: CallOptions): boolean {
  return error.code === 'NOT_LEADER' && (error.leaderHint === null || options.forward !== false);
}

/** The caller may reuse its bytes once the call returns. What is no bytes is refused further on. */
function copyOf(given: Uint8Array): Uint8Array {
  return given instanceof Uint8Array ? new Uint8Array(given) : given;
}

function aborted(cause: unknown, outcome: 'notApplied' | 'unknown'): NoriError {
  return new NoriError('ABORTED', { message: 'the caller gave up', cause, outcome });
}
