import { isStateDamaged, NoriError } from '../base/errors.ts';
import { Ring } from '../base/ring.ts';
import type { ReadReleased, Refused } from '../core/output.ts';
import type { Index, Term } from '../core/types.ts';
import type { ReadDone, ReadProof } from './api.ts';

const nothing = new Uint8Array(0);

/** A linearizable read whose caller waits. Without a query it only wants the read index to be applied. */
export interface WaitingRead {
  readonly query: Uint8Array | null;
  readonly done: ReadDone;
  readonly startMs: number;
  readonly deadlineMs: number;
  /** Rather refused at once than kept waiting for the limbo to end. */
  readonly hasty: boolean;
}

/** A read that is proven fresh if it is answered from a state applied through `index`. */
export interface ProvenRead {
  readonly read: WaitingRead;
  readonly via: ReadProof['via'];
  readonly index: Index;
  readonly term: Term;
  /** Only if nothing in limbo has to do with it. */
  readonly limbo: boolean;
  readonly leaseRemainingMs?: number;
}

/** The linearizable reads of one group on this node: unproven, then proven and waiting for the state to catch up. */
export class WaitingReads {
  private nextId = 1;
  private unproven = new Map<number, WaitingRead>();
  private readonly proven = new Ring<ProvenRead>();

  get size(): number {
    return this.unproven.size + this.proven.length;
  }

  add(read: WaitingRead): number {
    const id = this.nextId;
    this.nextId += 1;
    this.unproven.set(id, read);
    return id;
  }

  released({ id, index, term, limbo }: ReadReleased): void {
    const read = this.unproven.get(id);
    if (read === undefined) return; // its caller gave up
    this.unproven.delete(id);
    this.proven.push({ read, via: 'readIndex', index, term, limbo });
  }

  /** A read that needs no further proof, only a state applied through `index`. */
  addProven(read: ProvenRead): void {
    this.proven.push(read);
  }

  refused(refusal: Refused, toError: (refusal: Refused) => NoriError): void {
    const read = this.unproven.get(refusal.id);
    if (read === undefined) return;
    this.unproven.delete(refusal.id);
    read.done(toError(refusal), null, nothing);
  }

  /** Hands over the proven reads that the state applied through `applied` covers, first come first served. */
  serve(applied: Index, serve: (read: ProvenRead) => void): void {
    for (let head = this.proven.peek(); head !== undefined && head.index <= applied; head = this.proven.peek()) {
      this.proven.shift();
      serve(head);
    }
  }

  expire(nowMs: number): void {
    for (const [id, read] of this.unproven) {
      if (read.deadlineMs > nowMs) continue;
      this.unproven.delete(id);
      read.done(readTimeout(), null, nothing);
    }
    this.failProven(({ read }) => read.deadlineMs <= nowMs, readTimeout);
  }

  failBehind(applied: Index, error: NoriError): void {
    this.failProven(
      ({ index }) => index > applied,
      () => error,
    );
  }

  private failProven(fails: (read: ProvenRead) => boolean, toError: () => NoriError): void {
    const failed: WaitingRead[] = [];
    for (let left = this.proven.length; left > 0; left -= 1) {
      const head = this.proven.shift() as ProvenRead;
      if (fails(head)) failed.push(head.read);
      else this.proven.push(head);
    }
    for (const read of failed) read.done(toError(), null, nothing);
  }

  failAll(error: NoriError): void {
    const reads = [...this.unproven.values()];
    this.unproven = new Map();
    for (let head = this.proven.shift(); head !== undefined; head = this.proven.shift()) reads.push(head.read);
    for (const read of reads) read.done(readError(error), null, nothing);
  }
}

/** The same error for a call that changes nothing, so that nothing is in doubt. */
export function readError(error: NoriError): NoriError {
  if (error.outcome !== 'unknown') return error;
  const { code, message, remedy, cause, retryAfterMs } = error;
  const patience = retryAfterMs === null ? {} : { retryAfterMs };
  return new NoriError(code, { message, remedy, cause, outcome: 'none', ...patience });
}

/**
 * Runs a query for its caller, and says what it threw, or null. That is the caller's error, not the group's, unless it is
 * the state that is damaged: then another node may answer.
 */
export function answer(read: { readonly done: ReadDone }, query: () => Uint8Array, proof: ReadProof): unknown {
  let result: Uint8Array;
  try {
    result = query();
  } catch (cause) {
    const error = isStateDamaged(cause)
      ? new NoriError('GROUP_QUARANTINED', { message: cause.message, cause })
      : new NoriError('APPLY_FAILED', { message: 'the state machine threw on a query', outcome: 'none', cause });
    read.done(error, null, nothing);
    return cause;
  }
  read.done(null, proof, result);
  return null;
}

function readTimeout(): NoriError {
  return new NoriError('READ_TIMEOUT', { message: 'the read could not be proved fresh in time' });
}
