import type { PersistedInput } from './input.ts';
import type { Message } from './message.ts';
import type { Configuration, HardState, Index, LogBase, NodeId, Role, Term } from './types.ts';

/** Why the core turned something away. All of them mean: certainly not appended. */
export type RefusalCode = 'NOT_LEADER' | 'QUORUM_UNAVAILABLE' | 'OVERLOADED' | 'UNSUPPORTED';

export interface Accepted {
  readonly id: number;
  readonly index: Index;
  readonly term: Term;
}

export interface Refused {
  readonly id: number;
  readonly code: RefusalCode;
  readonly leader: NodeId | null;
}

export interface ChangeRefused {
  readonly id: number;
  readonly code: RefusalCode | 'CHANGE_IN_PROGRESS' | 'CONFIGURATION_INVALID';
  readonly leader: NodeId | null;
  /** In words, for whoever asked. */
  readonly reason: string;
}

/** A read that may be answered from any state applied through `index`. */
export interface ReadReleased {
  readonly id: number;
  readonly index: Index;
  readonly term: Term;
  /** No entry of this term is committed yet: the answer holds only for what no entry in limbo may have changed. */
  readonly limbo: boolean;
}

/** A follower needs entries that were compacted: a snapshot through `index` or later must reach it. */
export interface SnapshotWanted {
  readonly to: NodeId;
  readonly index: Index;
}

/** Why a leader's lease is over. */
export type LeaseLoss = 'expired' | 'steppedDown' | 'transfer' | 'clockJump' | 'loopStall' | 'diskStall' | 'clockRate';

/** What a tracer or an operator wants to hear of; nothing in the protocol depends on a note. */
export type Note =
  | { readonly kind: 'voteRequested'; readonly from: NodeId; readonly term: Term; readonly preVote: boolean }
  | { readonly kind: 'voteGranted'; readonly from: NodeId; readonly term: Term; readonly preVote: boolean }
  | { readonly kind: 'leaderGone'; readonly node: NodeId; readonly term: Term }
  | { readonly kind: 'campaignStarted'; readonly term: Term; readonly preVote: boolean }
  | { readonly kind: 'leaderElected'; readonly node: NodeId; readonly term: Term }
  | { readonly kind: 'steppedDown'; readonly term: Term; readonly reason: string }
  | { readonly kind: 'roleChanged'; readonly role: Role; readonly term: Term }
  | { readonly kind: 'transferFailed'; readonly to: NodeId; readonly term: Term }
  /** A leader appended a configuration: from now on it is in effect. */
  | { readonly kind: 'configurationAppended'; readonly index: Index; readonly configuration: Configuration }
  /** A learner that is to vote was fed for so many rounds, and keeps up now. */
  | { readonly kind: 'learnerCaughtUp'; readonly node: NodeId; readonly rounds: number }
  /** A learner that is to vote fell behind faster than it was fed: the change is given up. */
  | { readonly kind: 'learnerTooSlow'; readonly node: NodeId; readonly rounds: number }
  /** This node heard that it is a member no more. */
  | { readonly kind: 'removed'; readonly configurationIndex: Index }
  | { readonly kind: 'leaseLost'; readonly term: Term; readonly cause: LeaseLoss }
  /** Told at each election of this node: so long it commits nothing, and so many commands may or may not have been committed before it. */
  | { readonly kind: 'barrier'; readonly term: Term; readonly waitMs: number; readonly limboEntries: number };

/**
 * Everything a step asks for. One object is reused: the caller steps a group as often as it likes, carries out what
 * has gathered, then calls `reset`. The order to obey: send `messages`; make hard state, base and entries durable together;
 * send `messagesAfterPersist`; hand `receipt` back as an input. Applying up to `commit` may start at once.
 *
 * Outputs become durable in the order they were made. So an output whose messages wait for the disk waits for all that
 * earlier outputs asked to persist too, even when it has nothing to persist itself.
 */
export class Output {
  /** To send at once. */
  readonly messages: Message[] = [];
  /** To send only when the hard state and entries of this output, and of all outputs before it, are durable. */
  readonly messagesAfterPersist: Message[] = [];
  /** To make durable, or null when it has not changed. */
  hardState: HardState | null = null;
  /** Where the durable log is to begin, to be written before any entry; null when that has not changed. */
  base: LogBase | null = null;
  /** The durable log ends at its new base: what stood behind it was another history. */
  baseReset = false;
  /** The lowest index whose entry must be made durable, through the end of the log; 0 when nothing changed. */
  persistFrom: Index = 0;
  /** To be handed back as an input once hard state and entries are durable; null when there is nothing to persist. */
  receipt: PersistedInput | null = null;
  /** The commit index, when it advanced; 0 otherwise. */
  commit: Index = 0;
  readonly accepted: Accepted[] = [];
  readonly refused: Refused[] = [];
  /** Changes of the configuration whose first entry was appended. */
  readonly changesAccepted: Accepted[] = [];
  readonly changesRefused: ChangeRefused[] = [];
  readonly readsReleased: ReadReleased[] = [];
  readonly snapshotsWanted: SnapshotWanted[] = [];
  readonly readsRefused: Refused[] = [];
  readonly notes: Note[] = [];
  /** When to give the next `deadline` input, in the clock of `nowMs`. */
  deadlineMs: number = Number.POSITIVE_INFINITY;

  reset(): void {
    empty(this.messages);
    empty(this.messagesAfterPersist);
    this.hardState = null;
    this.base = null;
    this.baseReset = false;
    this.persistFrom = 0;
    this.receipt = null;
    this.commit = 0;
    empty(this.accepted);
    empty(this.refused);
    empty(this.changesAccepted);
    empty(this.changesRefused);
    empty(this.readsReleased);
    empty(this.snapshotsWanted);
    empty(this.readsRefused);
    empty(this.notes);
  }
}

/** Most lists are empty most of the time, and setting a length is slow even then. */
function empty(list: unknown[]): void {
  if (list.length > 0) list.length = 0;
}
