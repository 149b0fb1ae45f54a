import type { NoriError } from '../base/errors.ts';
import type { GroupId, Index, NodeId, Term } from '../core/types.ts';
import type { StateMachine } from '../ports/state-machine.ts';

/**
 * How fresh a read must be. `lease`: it reflects everything acknowledged before it began, proven by the leader's lease or,
 * while there is none, by asking a quorum. `linearizable`: the same, always by asking, so that it does not depend on the
 * pace of clocks. `stale`: what this node has.
 */
export type Consistency = 'lease' | 'linearizable' | 'stale';

/** How a read was proved fresh, and from which state it was answered. */
export interface ReadProof {
  readonly via: 'lease' | 'readIndex' | 'stale';
  /** The index applied when the state was read. */
  readonly index: Index;
  readonly term: Term;
  /** Of a read by lease: how long the lease still lasted, in ms. */
  readonly leaseRemainingMs?: number;
  /**
   * Of a stale read: what it shows was current at most so long ago, in ms, by this node's last word from the leader (and
   * the time that word took to arrive). Infinity when it never heard one, or none since its clocks last disagreed.
   */
  readonly ageMs?: number;
}

export interface ReadAnswer extends ReadProof {
  /** What the state machine answered. */
  readonly result: Uint8Array;
}

export interface CallOptions {
  readonly signal?: AbortSignalLike;
  /** How long to wait for the outcome, in ms. Default: `commitTimeoutMs` of the host, 5000. */
  readonly timeoutMs?: number;
  /** Whether a node that does not lead may pass the call to the leader. Default true. */
  readonly forward?: boolean;
}

export interface ReadOptions extends CallOptions {
  /** Default `lease`. */
  readonly consistency?: Consistency;
}

/** Commands as they are applied; `break` lets go of it. */
export type AppliedCommandSource = AsyncIterableIterator<{ readonly index: Index; readonly command: Uint8Array }>;

/** The part of AbortSignal the library uses. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The callback door of `execute`. `error` is null when the command was committed and applied. */
export type ExecuteDone = (error: NoriError | null, index: Index, result: Uint8Array) => void;

/** The callback door of `read`. `proof` is null exactly when there is an error. */
export type ReadDone = (error: NoriError | null, proof: ReadProof | null, result: Uint8Array) => void;

export interface CreateGroup {
  /** A whole number in [1, 2^32). */
  readonly group: GroupId;
  readonly stateMachine: StateMachine;
  /** The founding voters and their peer addresses; ignored when the group is already on disk. Default: the host's members. */
  readonly members?: Readonly<Record<string, string>>;
  /**
   * The group exists elsewhere: start without members, and wait to be added. Default: whether the host was opened with
   * `join`. Ignored when the group is already on disk.
   */
  readonly join?: boolean;
}

/** What shall be different about the members of a group, in one step. Nobody may be named twice. */
export interface MembersChange {
  /** New voters and their peer addresses by node id. They learn first, and vote once they have caught up. */
  readonly add?: Readonly<Record<string, string>>;
  /** New members without a vote. */
  readonly addLearners?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
  /** Learners that shall vote. */
  readonly promote?: readonly string[];
  /** Voters that shall only learn. */
  readonly demote?: readonly string[];
  /** Members that shall be found at another peer address, by node id. They stay what they are. */
  readonly move?: Readonly<Record<string, string>>;
}

export interface MemberStatus {
  readonly id: NodeId;
  /** Its peer address. */
  readonly address: string;
  /** `joining`: it learns, and is to vote; `leaving`: it votes until the change under way is complete. */
  readonly role: 'voter' | 'learner' | 'joining' | 'leaving';
}

/** A change of members that is not complete. */
export interface ChangeStatus {
  /** `catchingUp`: new voters learn; `joint`: old and new voters decide together; `committing`: its last entry is not committed. */
  readonly phase: 'catchingUp' | 'joint' | 'committing';
  /** Who will vote. */
  readonly voters: readonly NodeId[];
  /** While they catch up: who came with this change, and leaves when it is given up. */
  readonly joined: readonly NodeId[];
  /** Leader only: how far those who learn are. `targetIndex` is the end of the log when their round began. */
  readonly catchingUp: readonly {
    readonly id: NodeId;
    readonly round: number;
    readonly matchIndex: Index;
    readonly targetIndex: Index;
  }[];
}

export interface GroupStatus {
  readonly group: GroupId;
  readonly role: 'follower' | 'candidate' | 'leader';
  readonly term: Term;
  readonly leader: NodeId | null;
  readonly commit: Index;
  readonly applied: Index;
  readonly lastIndex: Index;
  readonly persistedIndex: Index;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly members: readonly MemberStatus[];
  /** The change of members under way, or null. */
  readonly change: ChangeStatus | null;
  /** This node was removed from the group, and knows it. */
  readonly removed: boolean;
  /** Why the group stopped on this node, or null. */
  readonly halted: string | null;
  /** Its log or snapshot was damaged on this node, and it is not yet what it was before; else null. */
  readonly quarantine: QuarantineStatus | null;
  /** Leader only, else null: what its reads and commits rest on. */
  readonly lease: LeaseStatus | null;
  /** Leader only: the log each peer is known to have durably, and how it is being fed: `probe`, `replicate` or `snapshot`. */
  readonly peers: readonly { readonly id: NodeId; readonly matchIndex: Index; readonly state: string }[];
}

export interface QuarantineStatus {
  /** `quarantined`: it takes no part, until the group counts on this node no more. `refilling`: it learns from the others. */
  readonly stage: 'quarantined' | 'refilling';
  readonly reason: string;
}

export interface LeaseStatus {
  /** How long reads can still be answered without asking anybody, in ms; 0 when they cannot. */
  readonly remainingMs: number;
  /** How long nothing can be committed yet, because an earlier leader may still answer reads, in ms. */
  readonly barrierMs: number;
  /** Commands that an earlier leader may or may not have committed; reads that depend on them wait. */
  readonly limboEntries: number;
}

export interface HostPeerStatus {
  readonly id: NodeId;
  readonly address: string;
  readonly connected: boolean;
  /** What the peer says of itself (for nori-kv: its client-facing addresses); last known when it is away. */
  readonly attributes: Readonly<Record<string, string>>;
  /** See `HostConfig.priority`; as last told. */
  readonly priority: number;
  /** Why the peer refuses this node, or null. */
  readonly refusal: string | null;
}

export interface HostStatus {
  readonly id: NodeId;
  /** Hexadecimal. */
  readonly clusterId: string;
  /** The peer address really bound. */
  readonly address: string;
  /** False while a new cluster still waits to meet every founding member once. */
  readonly founded: boolean;
  readonly state: 'running' | 'failed' | 'closed';
  /** Why the host failed, or null. */
  readonly failure: string | null;
  /** True while the volume is full and new writes are refused. */
  readonly diskFull: boolean;
  readonly groups: readonly GroupStatus[];
  readonly peers: readonly HostPeerStatus[];
  readonly wal: Readonly<Record<string, number>>;
  readonly transport: Readonly<Record<string, number>>;
}
