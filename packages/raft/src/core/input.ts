import type { Message } from './message.ts';
import type { EntryKind, Index, Life, MembershipChange, NodeId, SnapshotPoint, Term } from './types.ts';

export const InputKind = {
  message: 1,
  propose: 2,
  read: 3,
  persisted: 4,
  applied: 5,
  deadline: 6,
  campaign: 7,
  transfer: 8,
  linkReset: 9,
  leaderGone: 10,
  reconfigure: 11,
  leaseDoubt: 12,
  diskStall: 13,
  peerForgot: 14,
  snapshotTaken: 20,
  snapshotInstalled: 21,
  snapshotAbandoned: 22,
} as const;
export type InputKind = (typeof InputKind)[keyof typeof InputKind];

/** A message arrived. The caller has checked that `from` is the peer it came from. */
export interface MessageInput {
  readonly kind: typeof InputKind.message;
  readonly message: Message;
  /** Which life of the sender the message came from, as it shook hands. Absent: its first. */
  readonly life?: Life;
}

/** One command on its way into the log; the caller names it by a number that is its own. */
export interface Proposal {
  readonly id: number;
  readonly entryKind: typeof EntryKind.command | typeof EntryKind.clock;
  readonly payload: Uint8Array;
}

/** All commands of one turn: they travel in one append per follower. */
export interface ProposeInput {
  readonly kind: typeof InputKind.propose;
  readonly proposals: readonly Proposal[];
  /** The leader's wall clock, in ms since the Unix epoch, for log time. */
  readonly wallMs: number;
}

/** All linearizable reads of one turn: they share one round. */
export interface ReadInput {
  readonly kind: typeof InputKind.read;
  readonly readIds: readonly number[];
  /**
   * The caller can judge what a read has to do with entries in limbo: release it before an entry of the leader's term
   * is committed, marked `limbo`. Default false: such a read waits for that commit (thesis 6.4).
   */
  readonly throughLimbo?: boolean;
}

/**
 * A receipt. `Output.receipt` holds it when there is something to make durable; the caller hands it back, unchanged,
 * once everything of that output, and of all outputs before it, is. Receipts may come late and in any order, but never
 * before their bytes are safe.
 */
export interface PersistedInput {
  readonly kind: typeof InputKind.persisted;
  /** The end of the log when the receipt was written. */
  readonly index: Index;
  readonly term: Term;
  /** How often the log had been truncated by then: a receipt from before a truncation says nothing about what replaced it. */
  readonly epoch: number;
  readonly hardStateVersion: number;
}

export interface AppliedInput {
  readonly kind: typeof InputKind.applied;
  readonly index: Index;
}

/** The deadline of the last output has come, or the caller wants time looked at. Never harmful when early. */
export interface DeadlineInput {
  readonly kind: typeof InputKind.deadline;
}

/** Campaign now, without waiting for the election timeout; with pre-vote, so a healthy leader is not disturbed. */
export interface CampaignInput {
  readonly kind: typeof InputKind.campaign;
}

/** Hand leadership to `to`, or to the voter that has the most when null (thesis 3.10). */
export interface TransferInput {
  readonly kind: typeof InputKind.transfer;
  readonly to: NodeId | null;
}

/** The link to a peer broke or was made anew: what was in flight may be lost. */
export interface LinkResetInput {
  readonly kind: typeof InputKind.linkReset;
  readonly peer: NodeId;
  /** Who is at the other end of one that was made anew. */
  readonly life?: Life;
}

/**
 * A peer's process is gone for certain: nobody listens at its address any more, or a later life of it has shaken hands.
 * Silence is no such evidence. Says nothing to a node that does not follow that peer.
 */
export interface LeaderGoneInput {
  readonly kind: typeof InputKind.leaderGone;
  readonly peer: NodeId;
  /** Nobody is there in its place yet: its vote need not be waited for. */
  readonly absent: boolean;
}

/** A snapshot of this node's state is durable: the log may be given up through `compactIndex`, if nobody needs it. */
export interface SnapshotTakenInput {
  readonly kind: typeof InputKind.snapshotTaken;
  readonly index: Index;
  /** At most `index`: the entries behind it stay for followers that are a little behind. */
  readonly compactIndex: Index;
}

/**
 * A snapshot from elsewhere is durable here and is what the state machine now holds. It covers more than was applied,
 * and nothing was applied while it was being restored.
 */
export interface SnapshotInstalledInput {
  readonly kind: typeof InputKind.snapshotInstalled;
  readonly point: SnapshotPoint;
}

/** The snapshot that was on its way to a follower will not arrive: its entries are pinned no longer. */
export interface SnapshotAbandonedInput {
  readonly kind: typeof InputKind.snapshotAbandoned;
  readonly to: NodeId;
}

/**
 * Change who is in the group; null gives up the change under way, if it has not come too far. The answer is in
 * `changesAccepted` or `changesRefused`, and the outcome is what configuration is committed in the end.
 */
export interface ReconfigureInput {
  readonly kind: typeof InputKind.reconfigure;
  readonly id: number;
  readonly change: MembershipChange | null;
  /** The leader's wall clock, in ms since the Unix epoch, for log time. */
  readonly wallMs: number;
}

/**
 * Time may not have run as this node's monotonic clock says (a suspended machine, a loop that stood still): a lease is
 * dropped, and only what is acknowledged from now on counts for the next.
 */
export interface LeaseDoubtInput {
  readonly kind: typeof InputKind.leaseDoubt;
  readonly cause: 'clockJump' | 'loopStall';
}

/** The disk, or the state machine, has not finished anything for too long, or is well again. */
export interface DiskStallInput {
  readonly kind: typeof InputKind.diskStall;
  readonly stalled: boolean;
}

/**
 * A peer without a vote lost its log of the group: what it acknowledged counts no more, and it starts from nothing. It
 * has acknowledged nothing since.
 */
export interface PeerForgotInput {
  readonly kind: typeof InputKind.peerForgot;
  readonly peer: NodeId;
}

/** Everything that can happen to a group. */
export type Input =
  | MessageInput
  | ProposeInput
  | ReadInput
  | PersistedInput
  | AppliedInput
  | DeadlineInput
  | CampaignInput
  | TransferInput
  | LinkResetInput
  | LeaderGoneInput
  | SnapshotTakenInput
  | SnapshotInstalledInput
  | SnapshotAbandonedInput
  | ReconfigureInput
  | LeaseDoubtInput
  | DiskStallInput
  | PeerForgotInput;
