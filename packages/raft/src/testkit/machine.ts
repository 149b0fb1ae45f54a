import type { Prng } from '../base/prng.ts';
import type { RaftState } from '../core/state.ts';
import type { GroupId } from '../core/types.ts';
import type { Host } from '../host/host.ts';
import type { MachineClock } from './clock.ts';
import type { SimDisk } from './disk.ts';
import type { Life } from './life.ts';
import type { WatchedMachine } from './watched-machine.ts';

/** What a machine that stands still has not done yet. */
export interface DeferredEvent {
  readonly life: Life | null;
  /** Null once it was called off. */
  run: (() => void) | null;
}

export type ProcessState = 'booting' | 'up' | 'failed' | 'closing';

/** One run of the host on a machine. */
export class Process implements Life {
  readonly machine: Machine;
  over = false;
  state: ProcessState = 'booting';
  host: Host | null = null;
  readonly stateMachines: Map<GroupId, WatchedMachine> = new Map();
  /** Transfers of leadership whose end is awaited. */
  transfers = 0;

  constructor(machine: Machine) {
    this.machine = machine;
  }
}

/** A computer: its clock and disk outlive the processes on it. */
export class Machine {
  readonly id: string;
  readonly place: number;
  readonly clock: MachineClock;
  readonly disk: SimDisk;
  readonly prng: Prng;
  /** Its disk may be spoiled for good. */
  readonly fragile: boolean;
  process: Process | null = null;
  boots = 0;
  /** It runs nothing, and what comes in waits. */
  paused = false;
  readonly deferred: DeferredEvent[] = [];
  /** Ends the process instead of that many-th event from now on; 0 does not. */
  crashInEvents = 0;
  crashPowered = true;
  /** Cuts its power the next time its disk has something under way. */
  cutWhileWriting = false;
  /** Its state machines take so long over a batch at most, in ms; 0: no time at all. */
  applyMsMax = 0;
  /** A bit of its disk was flipped, or all of it wiped: it may refuse to start, and no promise rests on its disk. */
  harmed = false;
  /** How often, since it was last known to be whole. */
  harms = 0;
  wiped = false;
  /** The group of which this process' state is damaged, and it has not been noticed yet; or null. */
  rotten: GroupId | null = null;
  /** How far `skew` has moved its wall clock. */
  skewMs = 0;
  /** Since when it stands still. */
  pausedAtMs = 0;
  /** Why it never starts again, or null. */
  lost: string | null = null;

  constructor(fields: {
    readonly id: string;
    readonly place: number;
    readonly clock: MachineClock;
    readonly disk: SimDisk;
    readonly prng: Prng;
    readonly fragile: boolean;
  }) {
    this.id = fields.id;
    this.place = fields.place;
    this.clock = fields.clock;
    this.disk = fields.disk;
    this.prng = fields.prng;
    this.fragile = fields.fragile;
  }

  /** Runs, has all its groups, and does not stand still. */
  get up(): boolean {
    return this.process?.state === 'up' && !this.paused;
  }

  /** May be counted on once faults are over. */
  get sound(): boolean {
    return this.lost === null && !this.wiped;
  }

  raft(group: GroupId): RaftState | null {
    return this.process?.host?.raftState(group) ?? null;
  }
}
