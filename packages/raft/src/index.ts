/** The public names of nori-raft: the only barrel. */
export { type ErrorCode, errorCodes, NoriError, type Outcome } from './base/errors.ts';
export type { Entry, GroupId, Index, NodeId, Term } from './core/types.ts';
export type {
  AbortSignalLike,
  CallOptions,
  Consistency,
  CreateGroup,
  ExecuteDone,
  GroupStatus,
  HostPeerStatus,
  HostStatus,
  ReadDone,
  ReadProof,
} from './host/api.ts';
export type { AppliedEntry, StateMachine } from './ports/state-machine.ts';
export type { Meter, Observer, PeerEvent, RaftEvent, StorageEvent, VizEvent } from './ports/meter.ts';
