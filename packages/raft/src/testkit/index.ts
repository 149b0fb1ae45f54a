/** The public names of nori-raft/testkit. */
export { Violation } from './violation.ts';
export { campaign, type CampaignOptions, type CampaignResult } from './campaign.ts';
export type { Checker, SimWorld } from './checker.ts';
export { type Canon, type CanonEntry } from './checkers/canon.ts';
export { type StandardCheckers, standardCheckers } from './checkers/standard.ts';
export { type ClientOptions } from './clients.ts';
export { type Fault, type FaultKind, faultKinds, type FaultRates, usualRates } from './faults.ts';
export { RealWorldError, realNowMs, shutOutRealWorld } from './guards.ts';
export { Machine } from './machine.ts';
export type { ClientOperation, OperationOutcome } from './operation.ts';
export { RegisterMachine, type RegisterOptions, registerWorkload } from './register-workload.ts';
export { simulate, type SimulationOptions, type SimulationResult } from './simulation.ts';
export type { TraceLine } from './timeline.ts';
export type { Model, PlannedOperation, Workload } from './workload.ts';
export { World, type WorldOptions } from './world.ts';
