import { assert } from '../base/assert.ts';

declare const nodeIdBrand: unique symbol;

export type Term = number;
export type Index = number;
/** Names one Raft group on every host it lives on: a whole number in [1, 2^32). */
export type GroupId = number;
/** Names one host for good. Only compared, never computed with (docs/adr/0002). */
export type NodeId = string & { readonly [nodeIdBrand]: true };

/** Whether `text` may name a node: 1 to 64 letters, digits, dots, dashes or underscores. */
export function isNodeId(text: string): text is NodeId {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

export function nodeId(text: string): NodeId {
  assert(isNodeId(text), 'a node id is 1 to 64 letters, digits, dots, dashes or underscores');
  return text;
}

export const EntryKind = {
  /** Opens a leader's term (thesis 3.6.2: commit of earlier terms waits for it). */
  noop: 0,
  command: 1,
  configuration: 2,
  /** Carries log time only, for a state machine whose next deadline has passed. */
  clock: 3,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

/** One record of the log. Immutable; build it only through `entry()`, so that all have one runtime shape. */
export interface Entry {
  readonly index: Index;
  readonly term: Term;
  readonly kind: EntryKind;
  /** Log time in ms since the Unix epoch: max(the entry before, the leader's wall clock). Never goes back. */
  readonly timeMs: number;
  readonly payload: Uint8Array;
  /** Only in entries of kind `configuration`, whose payload is empty. */
  readonly configuration: Configuration | null;
}

const noPayload = new Uint8Array(0);

export function entry(fields: {
  readonly index: Index;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly timeMs: number;
  readonly payload?: Uint8Array;
  readonly configuration?: Configuration | null;
}): Entry {
  return {
    index: fields.index,
    term: fields.term,
    kind: fields.kind,
    timeMs: fields.timeMs,
    payload: fields.payload ?? noPayload,
    configuration: fields.configuration ?? null,
  };
}

/** A node of a group and where its peers reach it. */
export interface Member {
  readonly id: NodeId;
  /** HOST:PORT of the peer listener; empty when the network finds nodes by id. */
  readonly address: string;
}

/** The voters of a group: one majority, or two while joint. An empty outgoing half means "not joint". */
export interface Quorum {
  readonly incoming: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
}

/** Who is in the group. Takes effect when its entry is appended, and is identified by that entry's index (thesis 4.1). */
export interface Configuration extends Quorum {
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  readonly members: readonly Member[];
  /** What the group is on its way to while its voters to be catch up as learners. Never together with a joint phase. */
  readonly planned?: Plan;
}

/** The outcome of a change that waits for learners. It stands in the log, so that the next leader goes on with it. */
export interface Plan {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Members that came with the plan, and go with it when it is given up. */
  readonly joined: readonly NodeId[];
}

/** What shall be different about a group. Nobody may be named twice. */
export interface MembershipChange {
  /** New voters, or learners that become voters. */
  readonly add?: readonly (Member | NodeId)[];
  readonly addLearners?: readonly (Member | NodeId)[];
  readonly remove?: readonly NodeId[];
  /** Learners that become voters. */
  readonly promote?: readonly NodeId[];
  /** Voters that become learners. */
  readonly demote?: readonly NodeId[];
  /** Members that are to be found at another address, and stay what they are. */
  readonly move?: readonly Member[];
}

/** The last entry that was compacted away, or the empty beginning. */
export interface LogBase {
  readonly index: Index;
  readonly term: Term;
  readonly timeMs: number;
}

/** What a snapshot covers: the state after the entry at `index`, and who was in the group then. */
export interface SnapshotPoint {
  readonly index: Index;
  readonly term: Term;
  /** Log time of the entry. */
  readonly timeMs: number;
  /** The latest configuration at or before `index`: committed, as everything a snapshot covers. */
  readonly configuration: Configuration;
  /** The entry that brought it, or 0. */
  readonly configurationIndex: Index;
}

/** Who may hold a lease: a node in one of its lives. */
export interface LeaseHolder {
  readonly holder: NodeId;
  readonly incarnation: number;
  readonly lineage: number;
}

/**
 * "I acknowledged this leader: whoever wins my vote later is told, and commits nothing of its own before so long has
 * passed." One per term, because a term has one leader.
 */
export interface PromiseRecord extends LeaseHolder {
  readonly term: Term;
  /** The lease asked for, stretched by what two clocks may drift apart. */
  readonly durationMs: number;
}

/** Which life of a node speaks. */
export interface Life {
  /** Counts the node's starts. */
  readonly incarnation: number;
  /** Its lives from this one on, before the present one, are dead for certain: nobody in them holds a lease any more. */
  readonly deadSince: number;
  /**
   * Drawn by chance for the lives that one lock keeps apart. A copy of the disk counts on from the same number and has
   * another lineage: none of its lives speaks for those of the original.
   */
  readonly lineage: number;
}

export const firstLife: Life = { incarnation: 1, deadSince: 1, lineage: 0 };

/** What must be durable before any message of its term leaves (thesis figure 3.1, "persistent state"). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly promises: readonly PromiseRecord[];
}

/** A role's number is the value of the `raft_role` gauge but for pre-candidates, which the gauge shows as candidates. */
export const Role = { follower: 0, preCandidate: 1, candidate: 2, leader: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];
