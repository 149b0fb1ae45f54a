import type { Entry, Index, LeaseHolder, NodeId, Term } from './types.ts';

/** The numbers are the wire's: never reuse one. 8 to 15 are kept for snapshots. */
export const MessageKind = {
  preVote: 1,
  preVoteReply: 2,
  vote: 3,
  voteReply: 4,
  append: 5,
  appendReply: 6,
  timeoutNow: 7,
  removed: 16,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  /** The sender's term; in a pre-vote, the term it would campaign in. */
  readonly term: Term;
}

/** RequestVote (thesis 3.4), and its dry run (thesis 9.6). */
export interface VoteRequest extends Envelope {
  readonly kind: typeof MessageKind.preVote | typeof MessageKind.vote;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  readonly commit: Index;
  /** The leader asked for this election (thesis 3.10): stickiness does not apply. */
  readonly transfer: boolean;
  /** The term whose lease its holder released for good, or 0. */
  readonly releasedTerm: Term;
}

/** What is left of a promise, in ms, when the reply was sent. */
export interface RemainingPromise extends LeaseHolder {
  readonly term: Term;
  readonly remainingMs: number;
}

export interface VoteReply extends Envelope {
  readonly kind: typeof MessageKind.preVoteReply | typeof MessageKind.voteReply;
  readonly granted: boolean;
  /** The voter's commit index: a winner may adopt the largest (Leader Completeness, thesis 3.6.3). */
  readonly commit: Index;
  readonly promises: readonly RemainingPromise[];
}

/** AppendEntries (thesis 3.5). Without entries it is the heartbeat, and the round of a batch of reads. */
export interface AppendRequest extends Envelope {
  readonly kind: typeof MessageKind.append;
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: Index;
  /** The leader's monotonic time when it sent this, in ms; the reply echoes it. */
  readonly sentMs: number;
  /** The newest round of reads this message can confirm. Never reused, not across terms or restarts. */
  readonly round: number;
  /** The lease the sender asks for, in ms; 0 asks for none. */
  readonly leaseMs: number;
  /** The clock drift the sender reckons with, in millionths. */
  readonly driftPpm: number;
  /**
   * The sender cannot vouch that it still leads, or that it can write: it is answered, but puts off no election and
   * makes no vote sticky. Else it would keep one node that hears both sides from electing with a connected majority.
   */
  readonly probe: boolean;
}

export interface AppendReply extends Envelope {
  readonly kind: typeof MessageKind.appendReply;
  readonly accepted: boolean;
  /** Accepted: the log matches the leader's through here, durably. Rejected: the previous index that did not match. */
  readonly matchIndex: Index;
  /** Rejected: the largest index that may still match, and the term of the follower's entry there. */
  readonly hintIndex: Index;
  readonly hintTerm: Term;
  /** Echoes of the request. */
  readonly sentMs: number;
  readonly round: number;
  /** The follower's monotonic time when it answered, in ms. */
  readonly peerMs: number;
}

/** The leader hands over: campaign at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly kind: typeof MessageKind.timeoutNow;
  readonly releasedTerm: Term;
}

/**
 * Tells a node that a committed configuration has no place for it. True whatever the terms of the two are: what is
 * committed stays.
 */
export interface Removed extends Envelope {
  readonly kind: typeof MessageKind.removed;
  /** The index of that configuration's entry. */
  readonly configurationIndex: Index;
}

export type Message = VoteRequest | VoteReply | AppendRequest | AppendReply | TimeoutNow | Removed;
