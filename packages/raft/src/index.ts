/** The public names of nori-raft: the only barrel. */
export { type ErrorCode, errorCodes, NoriError, type Outcome } from './base/errors.ts';
export type { GroupId, Index, NodeId, Term } from './core/types.ts';
export type {
  AbortSignalLike,
  AppliedCommandSource,
  CallOptions,
  ChangeStatus,
  Consistency,
  CreateGroup,
  ExecuteDone,
  GroupStatus,
  HostPeerStatus,
  HostStatus,
  MembersChange,
  MemberStatus,
  QuarantineStatus,
  ReadAnswer,
  ReadDone,
  ReadOptions,
  ReadProof,
} from './host/api.ts';
export type { Executed } from './host/client.ts';
export type { Logger } from './host/options.ts';
export {
  decodeReport,
  type GroupRecovery,
  type RecoveryPlan,
  type SurvivorGroup,
  type SurvivorReport,
} from './host/survivors.ts';
export { planOfSurvivors, recoverSurvivors, reportSurvivor } from './node/recover.ts';
export { RaftHost, type RaftHostConfig } from './node/raft-host.ts';
export { type RaftConfig, RaftNode, type ReplicatedLog } from './node/raft-node.ts';
export { histogramBuckets, Metric, type MetricFacts, metricFacts } from './observe/metrics.ts';
export type { Meter, Observer, PeerEvent, RaftEvent, ShardEvent, StorageEvent, VizEvent } from './ports/meter.ts';
export type { AppliedEntry, AppliedPosition, StateMachine } from './ports/state-machine.ts';
