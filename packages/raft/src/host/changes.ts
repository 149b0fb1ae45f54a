import { NoriError } from '../base/errors.ts';
import { isJoint } from '../core/configuration.ts';
import { InputKind, type ReconfigureInput } from '../core/input.ts';
import type { ChangeRefused, Output } from '../core/output.ts';
import type { RaftState } from '../core/state.ts';
import type { Configuration, GroupId, Index, MembershipChange, NodeId, Term } from '../core/types.ts';

/** Called exactly once: with null once the group is what was asked for, and that is committed. */
export type ChangeDone = (error: NoriError | null, index: Index) => void;

interface WaitingChange {
  readonly done: ChangeDone;
  readonly deadlineMs: number;
  /** Where the first of its entries is, or 0 while the core has not answered. */
  index: Index;
  term: Term;
  /** Who votes and who learns in the end. */
  target: string;
}

/**
 * Changes of a group's membership whose callers wait here. A change outlives the leader that began it, so what is
 * waited for is the configuration that is committed in the end, whoever leads then.
 */
export class WaitingChanges {
  private readonly group: GroupId;
  private readonly waiting = new Map<number, WaitingChange>();
  private nextId = 1;

  constructor(group: GroupId) {
    this.group = group;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Takes a caller in. The input is to be stepped. */
  add(
    change: MembershipChange | null,
    call: { readonly deadlineMs: number; readonly wallMs: number; readonly done: ChangeDone },
  ): ReconfigureInput {
    const id = this.nextId;
    this.nextId += 1;
    this.waiting.set(id, { done: call.done, deadlineMs: call.deadlineMs, index: 0, term: 0, target: '' });
    return { kind: InputKind.reconfigure, id, change, wallMs: call.wallMs };
  }

  /** Takes in what the core answered and what has been committed. */
  settle(output: Output, raft: RaftState): void {
    for (const refusal of output.changesRefused) this.end(refusal.id, this.refused(refusal));
    for (const { id, index, term } of output.changesAccepted) {
      const found = this.waiting.get(id);
      if (found === undefined) continue;
      found.index = index;
      found.term = term;
      const appended = raft.log.entryAt(index).configuration;
      found.target = appended === null ? '' : outcomeOf(appended);
    }
    if (output.commit > 0) this.committed(raft);
  }

  private committed(raft: RaftState): void {
    const { log, committedConfiguration: configuration, committedConfigurationIndex } = raft;
    const atRest = !isJoint(configuration) && configuration.planned === undefined;
    for (const [id, { index, term, target }] of this.waiting) {
      if (index === 0) continue;
      const held = log.termAt(index);
      const lost = index <= log.commit ? held !== undefined && held !== term : (log.termAt(log.commit) ?? 0) > term;
      if (lost) this.end(id, dropped(this.group));
      else if (atRest && committedConfigurationIndex >= index) {
        this.end(id, outcomeOf(configuration) === target ? null : givenUp(this.group), committedConfigurationIndex);
      }
    }
  }

  expire(nowMs: number): void {
    for (const [id, { deadlineMs }] of this.waiting) if (deadlineMs <= nowMs) this.end(id, late(this.group));
  }

  failAll(error: NoriError): void {
    for (const id of this.waiting.keys()) this.end(id, error);
  }

  private end(id: number, error: NoriError | null, index: Index = 0): void {
    const found = this.waiting.get(id);
    this.waiting.delete(id);
    found?.done(error, index);
  }

  private refused({ code, reason, leader }: ChangeRefused): NoriError {
    const message = `group ${this.group}: ${reason}`;
    return new NoriError(code, code === 'NOT_LEADER' ? { message, leaderHint: leader } : { message });
  }
}

/** Who votes and who learns when the change that this configuration begins is over. */
function outcomeOf({ incoming, learners, learnersNext, planned }: Configuration): string {
  const voters = planned?.voters ?? incoming;
  const listeners = planned?.learners ?? [...learners, ...learnersNext];
  return [[...voters].sort(), [...listeners].sort()].map((ids: NodeId[]) => ids.join(' ')).join(' | ');
}

function dropped(group: GroupId): NoriError {
  return new NoriError('PROPOSAL_DROPPED', { message: `another leader of group ${group} knew nothing of the change` });
}

function givenUp(group: GroupId): NoriError {
  return new NoriError('CHANGE_GIVEN_UP', { message: `the change of group ${group} was given up` });
}

function late(group: GroupId): NoriError {
  return new NoriError('COMMIT_TIMEOUT', {
    message: `the change of group ${group} is not complete yet`,
    remedy: 'it goes on: look at the status of the group, then wait, mend the node it waits for, or give it up',
  });
}
