/** Suites that any implementation of a port can be held to. */
export { type ClockSubject, clockSuite } from './clock.ts';
export { type DirectoryLockSubject, directoryLockSuite } from './directory-lock.ts';
export { type DiskSubject, diskSuite } from './disk.ts';
export { type NetworkSubject, networkSuite, type Sluggard } from './network.ts';
export { type RandomSubject, randomSuite } from './random.ts';
export { type StateMachineSubject, stateMachineSuite } from './state-machine.ts';
export {
  ConformanceFailure,
  type ConformanceReport,
  conformanceTests,
  type Judgement,
  type Law,
  runConformance,
  type Suite,
  type Trial,
  type Verdict,
} from './suite.ts';
export type { Clock, Timer } from '../../ports/clock.ts';
export type { DirectoryLock, Disk, DiskDone, DiskFile, HeldDirectory } from '../../ports/disk.ts';
export type { Connection, ConnectionEvents, Listener, Network } from '../../ports/network.ts';
export type { Random } from '../../ports/random.ts';
