import type {
  CallOptions,
  Consistency,
  ExecuteDone,
  GroupId,
  GroupStatus,
  HostPeerStatus,
  HostStatus,
  MembersChange,
  ReadDone,
} from 'nori-raft';

/** The part of RaftHost that the server uses, so that its tests can put a small fake in its place. */
export interface KvHost {
  submit(
    group: GroupId,
    command: Uint8Array,
    options: { readonly timeoutMs: number; readonly forward: boolean },
    done: ExecuteDone,
  ): void;
  query(
    group: GroupId,
    query: Uint8Array,
    options: { readonly consistency: Consistency; readonly timeoutMs: number; readonly forward: boolean },
    done: ReadDone,
  ): void;
  /** Resolves when this node has applied everything that was acknowledged before the call. */
  readIndex(group: GroupId, options: { readonly timeoutMs: number }): Promise<unknown>;
  groupStatus(group: GroupId): GroupStatus;
  status(): HostStatus;
  peers(): readonly HostPeerStatus[];
  transferLeadership(group: GroupId, to: string | null): Promise<void>;
  refillGroup(group: GroupId): Promise<void>;
  changeMembers(group: GroupId, change: MembersChange, options?: CallOptions): Promise<number>;
}
