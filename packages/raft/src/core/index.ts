/** The core alone, for tools and test suites that drive it: no IO, no clock, no chance. Runs in a browser. */
export { Prng } from '../base/prng.ts';
export {
  applyConfigurationChange,
  type ConfigurationChange,
  foundingConfiguration,
  isJoint,
  isMember,
  isVoter,
  replicasOf,
} from './configuration.ts';
export * from './input.ts';
export { checkInvariants } from './invariants.ts';
export { type LeaseGrant, leaseGrant, limboEntries } from './lease.ts';
export { emptyBase, Log } from './log.ts';
export * from './message.ts';
export * from './output.ts';
export { catchUpRoundsMax, membersMax } from './membership.ts';
export { Progress, ProgressState } from './progress.ts';
export { committedIndex, isQuorum, type PerNode, type VoteResult, voteResult } from './quorum.ts';
export { step } from './raft.ts';
export {
  defaultRaftOptions,
  LeaderState,
  type RaftOptions,
  type RaftStart,
  RaftState,
  type Barrier,
  type HeldPromise,
} from './state.ts';
export * from './types.ts';
