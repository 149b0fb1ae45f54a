import { NoriError } from '../base/errors.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, ReadOptions, ReadProof } from './api.ts';
import type { Calls } from './calls.ts';

// The promise door. Below this file nothing awaits.

export interface Executed {
  readonly index: Index;
  /** What the state machine answered. */
  readonly result: Uint8Array;
}

export interface ReadAnswer extends ReadProof {
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
    // The caller may reuse its bytes once this returns.
    const owned = command.slice();
    return this.call(options, (settle) =>
      this.calls.submit(group, owned, options, (error, index, result) => settle(error, { index, result })),
    );
  }

  read(group: GroupId, query: Uint8Array, options: ReadOptions = {}): Promise<ReadAnswer> {
    const owned = query.slice();
    return this.call(options, (settle) =>
      this.calls.query(group, owned, options, (error, proof, result) =>
        settle(error, { ...(proof as ReadProof), result }),
      ),
    );
  }

  readIndex(group: GroupId, options: CallOptions = {}): Promise<ReadProof> {
    return this.call(options, (settle) =>
      this.calls.awaitReadIndex(group, options, (error, proof) => settle(error, proof as ReadProof)),
    );
  }

  private call<T>(
    options: CallOptions,
    start: (settle: (error: NoriError | null, value: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { signal } = options;
      const untilMs = this.clock.nowMs() + Math.min(this.leaderWaitMs, options.timeoutMs ?? this.leaderWaitMs);
      let settled = false;
      const onAbort = (): void => finish(() => reject(aborted(signal?.reason)));
      const finish = (act: () => void): void => {
        if (settled) return;
        settled = true;
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      const attempt = (): void =>
        start((error, value) => {
          if (error === null) finish(() => resolve(value));
          else if (!settled && waitsForLeader(error) && this.clock.nowMs() + retryMs < untilMs) {
            this.clock.wakeAt(this.clock.nowMs() + retryMs, () => (settled ? undefined : attempt()));
          } else finish(() => reject(error));
        });
      if (signal?.aborted === true) {
        finish(() => reject(aborted(signal.reason, 'notApplied')));
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      attempt();
    });
  }
}

/** Nobody is known to lead, so nothing was sent anywhere. */
function waitsForLeader(error: NoriError): boolean {
  return error.code === 'NOT_LEADER' && error.leaderHint === null;
}

function aborted(cause: unknown, outcome: 'notApplied' | 'unknown' = 'unknown'): NoriError {
  return new NoriError('ABORTED', { message: 'the caller gave up', cause, outcome });
}
