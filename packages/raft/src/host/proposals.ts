import { NoriError } from '../base/errors.ts';
import type { Index, Term } from '../core/types.ts';
import type { ExecuteDone } from './api.ts';

const nothing = new Uint8Array(0);

/** A command whose caller waits. */
export interface WaitingProposal {
  readonly payload: Uint8Array;
  readonly done: ExecuteDone;
  readonly startMs: number;
  readonly deadlineMs: number;
  term: Term;
  /** Another one that was once given the same index: a truncation freed it. */
  next: WaitingProposal | null;
}

/** The commands of one group that are in this node's log and not yet answered, by index. */
export class WaitingProposals {
  private readonly byIndex = new Map<Index, WaitingProposal>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  accepted(waiting: WaitingProposal, index: Index, term: Term): void {
    waiting.term = term;
    waiting.next = this.byIndex.get(index) ?? null;
    this.byIndex.set(index, waiting);
    this.count += 1;
  }

  at(index: Index): WaitingProposal | undefined {
    return this.byIndex.get(index);
  }

  /** The entry (index, term) was applied: its caller has the result, and whoever else was given that index lost it for good. */
  applied(index: Index, term: Term, result: Uint8Array): void {
    let waiting = this.byIndex.get(index) ?? null;
    if (waiting === null) return;
    this.byIndex.delete(index);
    while (waiting !== null) {
      this.count -= 1;
      if (waiting.term === term) waiting.done(null, index, result);
      else waiting.done(dropped(index), 0, nothing);
      waiting = waiting.next;
    }
  }

  /**
   * The log is committed through `commit`, an entry of `term`. Terms never go down along a log, so no later entry can
   * ever be of an earlier term: whoever waits for one, or was overwritten before, is told at once.
   */
  termCommitted(commit: Index, term: Term, termAt: (index: Index) => Term | undefined): void {
    this.settle((index, waiting) => {
      const lost = index > commit ? waiting.term < term : waiting.term !== termAt(index);
      return lost ? dropped(index) : null;
    });
  }

  /** Everything through `index` was applied elsewhere: what became of these nobody here knows. */
  overtaken(index: Index, error: NoriError): void {
    this.settle((at) => (at <= index ? error : null));
  }

  /** Ends the wait of those whose time is over. Their entries may still be committed. */
  expire(nowMs: number): void {
    this.settle((at, waiting) => (waiting.deadlineMs <= nowMs ? commitTimeout(at) : null));
  }

  failAll(error: NoriError): void {
    this.settle(() => error);
  }

  private settle(verdict: (index: Index, waiting: WaitingProposal) => NoriError | null): void {
    // All leave before the first hears of it: a callback may end everything else, and nobody is answered twice.
    const settled: { readonly waiting: WaitingProposal; readonly error: NoriError }[] = [];
    for (const [index, head] of this.byIndex) {
      let kept: WaitingProposal | null = null;
      let waiting: WaitingProposal | null = head;
      while (waiting !== null) {
        const following: WaitingProposal | null = waiting.next;
        const error = verdict(index, waiting);
        if (error === null) {
          waiting.next = kept;
          kept = waiting;
        } else {
          this.count -= 1;
          settled.push({ waiting, error });
        }
        waiting = following;
      }
      if (kept === null) this.byIndex.delete(index);
      else this.byIndex.set(index, kept);
    }
    for (const { waiting, error } of settled) waiting.done(error, 0, nothing);
  }
}

function dropped(index: Index): NoriError {
  return new NoriError('PROPOSAL_DROPPED', {
    message: `another leader's entry took the place of the command at index ${index}`,
  });
}

export function commitTimeout(index: Index): NoriError {
  return new NoriError('COMMIT_TIMEOUT', { message: `the command at index ${index} was not committed in time` });
}
