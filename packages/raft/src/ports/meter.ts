import type { GroupId, Index, NodeId, Term } from '../core/types.ts';

/** Where measurements go. A host without one does not take them. Names are in observe/metrics.ts. */
export interface Meter {
  count(name: string, group: GroupId, by: number): void;
  gauge(name: string, group: GroupId, value: number): void;
  observe(name: string, group: GroupId, value: number): void;
}

/** What the specification calls VizEvent, plus what an operator is paged for. */
export type RaftEvent =
  | { readonly type: 'VoteReq'; readonly group: GroupId; readonly term: Term; readonly from: NodeId }
  | { readonly type: 'VoteGranted'; readonly group: GroupId; readonly term: Term; readonly from: NodeId }
  | { readonly type: 'LeaderElected'; readonly group: GroupId; readonly term: Term; readonly node: NodeId }
  | { readonly type: 'StepDown'; readonly group: GroupId; readonly term: Term; readonly reason: string };

/** A snapshot is taken of this node's state, or taken over from another node. */
export type ShardEvent =
  | { readonly type: 'SnapshotStart'; readonly group: GroupId; readonly index: Index; readonly from: NodeId | null }
  | {
      readonly type: 'SnapshotDone';
      readonly group: GroupId;
      readonly index: Index;
      readonly from: NodeId | null;
      /** Of the file. */
      readonly bytes: number;
    }
  | {
      readonly type: 'SnapshotFailed';
      readonly group: GroupId;
      readonly index: Index;
      readonly from: NodeId | null;
      readonly message: string;
    };

export type PeerEvent =
  | { readonly type: 'PeerConnected'; readonly peer: NodeId }
  | { readonly type: 'PeerLost'; readonly peer: NodeId; readonly code: string }
  | { readonly type: 'PeerRefused'; readonly peer: NodeId; readonly code: string; readonly message: string }
  | { readonly type: 'InboundRejected'; readonly remote: string; readonly code: string; readonly message: string };

export type StorageEvent =
  | { readonly type: 'DiskFull' }
  | { readonly type: 'DiskRoom' }
  | { readonly type: 'DiskFailed'; readonly message: string }
  | { readonly type: 'GroupHalted'; readonly group: GroupId; readonly message: string }
  /** Its log or snapshot is damaged here: it takes no part until the group counts on this node no more. */
  | { readonly type: 'GroupQuarantined'; readonly group: GroupId; readonly message: string }
  /** The group counts on this node no more: it begins anew, as one that only learns. */
  | { readonly type: 'GroupRefilling'; readonly group: GroupId; readonly term: Term }
  /** It is as good as it was before. */
  | { readonly type: 'GroupRefilled'; readonly group: GroupId };

export type VizEvent =
  | { readonly scope: 'Raft'; readonly event: RaftEvent }
  | { readonly scope: 'Shard'; readonly event: ShardEvent }
  | { readonly scope: 'Peer'; readonly event: PeerEvent }
  | { readonly scope: 'Storage'; readonly event: StorageEvent };

/** Hears what happens. Called synchronously: it must not throw and must be quick. */
export interface Observer {
  onEvent(event: VizEvent): void;
}
