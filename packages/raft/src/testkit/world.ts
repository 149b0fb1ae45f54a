import { Prng } from '../base/prng.ts';
import type { GroupId } from '../core/types.ts';
import type { MembersChange } from '../host/api.ts';
import type { HostConfig } from '../host/options.ts';
import type { Checker, WorldParts } from './checker.ts';
import { drawChange } from './churn.ts';
import { Clients, type ClientOptions } from './clients.ts';
import { MachineClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { microtasksDrained } from './guards.ts';
import { Hosting } from './hosting.ts';
import { type DeferredEvent, Machine, type Process } from './machine.ts';
import { MessageMangler } from './mangler.ts';
import { SimNetwork } from './network.ts';
import type { ClientOperation } from './operation.ts';
import { fork, spread } from './random.ts';
import { Kind, Timeline } from './timeline.ts';
import { Violation } from './violation.ts';
import type { Workload } from './workload.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Default 3. */
  readonly nodes?: number;
  /** Default 1. */
  readonly groups?: number;
  /** Only the last so many machines may lose what their disks vouched for. Default: any, but a minority at a time. */
  readonly fragile?: number;
  readonly workload: Workload;
  readonly clients?: ClientOptions;
  readonly checkers?: readonly Checker[];
  /** Keeps a line for people of everything that happens. */
  readonly traced?: boolean;
  /** Lets promises run after every event. Slow, and gives the same history: that is what it is for. */
  readonly drainAlways?: boolean;
  readonly host?: Partial<HostConfig>;
}

/** Longer than any lease by default. */
const longPauseMs = 2000;
type Looker = Checker & Required<Pick<Checker, 'afterEvent'>>;
type Tapper = Checker & Required<Pick<Checker, 'onSend'>>;

const wallEpochMs = 1_700_000_000_000;

/** Machines, the network between them, clients, and time: whole hosts under one seed. */
export class World implements WorldParts {
  readonly options: WorldOptions;
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly mangler: MessageMangler;
  readonly machines: readonly Machine[];
  readonly groups: readonly GroupId[];
  readonly clients: Clients;
  readonly checkers: readonly Checker[];
  /** How often things happened that a campaign must have seen. */
  readonly sights: Map<string, number> = new Map();
  events = 0;
  /** The first promise that was broken. */
  failure: Violation | null = null;
  private inspectionWanted = false;
  /** Those that look on after every event: asked a million times, so the others are not even passed by. */
  private readonly lookers: readonly Looker[];
  private readonly tappers: readonly Tapper[];
  private readonly hosting: Hosting;

  constructor(options: WorldOptions) {
    this.options = options;
    const root = new Prng(options.seed);
    this.timeline = new Timeline(fork(root), options.traced ?? false);
    this.timeline.dispatch = (life, run) => this.dispatch(life as Process, { run, life });
    this.network = new SimNetwork(this.timeline, fork(root));
    this.mangler = new MessageMangler(
      this.timeline,
      fork(root),
      (what) => this.saw(what),
      (id) => this.machineOf(id)?.boots ?? 0,
    );
    this.network.mangler = this.mangler;
    this.machines = Array.from({ length: options.nodes ?? 3 }, (_, place) => this.machine(place, fork(root)));
    this.groups = Array.from({ length: options.groups ?? 1 }, (_, at) => at + 1);
    this.checkers = options.checkers ?? [];
    this.clients = new Clients(this, fork(root), options.clients ?? {});
    this.hosting = new Hosting(this, {
      network: this.network,
      config: options.host ?? {},
      onResume: (machine) => this.resume(machine),
      onProcessEnd: (process) => this.clients.onProcessEnd(process),
      onElected: (machine, group) => this.clients.onElected(machine, group),
    });
    this.lookers = this.checkers.filter((checker): checker is Looker => checker.afterEvent !== undefined);
    this.tappers = this.checkers.filter((checker): checker is Tapper => checker.onSend !== undefined);
    if (this.tappers.length > 0) {
      this.network.tap = (from, to, bytes) => this.onSend(from, to, bytes);
    }
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  get hash(): string {
    return this.timeline.hash.hex;
  }

  get workload(): Workload {
    return this.options.workload;
  }

  get operations(): readonly ClientOperation[] {
    return this.clients.operations;
  }

  wantInspection(): void {
    this.inspectionWanted = true;
  }

  machineOf(id: string): Machine | undefined {
    return this.machines.find((machine) => machine.id === id);
  }

  saw(sight: string, times = 1): void {
    this.sights.set(sight, (this.sights.get(sight) ?? 0) + times);
  }

  /** Lets time pass. @throws Violation */
  async run(forMs: number): Promise<void> {
    const { timeline } = this;
    const untilMs = timeline.nowMs + forMs;
    const drainAlways = this.options.drainAlways === true;
    // What was asked for between runs.
    if (timeline.promisesTouched) await this.drain();
    while (this.failure === null) {
      const event = timeline.next(untilMs);
      if (event === null) break;
      this.events += 1;
      try {
        this.dispatch(event.life as Process | null, event);
      } catch (cause) {
        this.caught(cause);
      }
      if (timeline.promisesTouched || drainAlways) await this.drain();
      if (this.inspectionWanted) await this.inspect();
    }
    if (this.failure !== null) throw this.failure;
  }

  /** Runs until it holds, at most so long; whether it came to hold. @throws Violation */
  async runUntil(holds: () => boolean, withinMs: number, stepMs = 50): Promise<boolean> {
    for (let leftMs = withinMs; leftMs > 0; leftMs -= stepMs) {
      if (holds()) return true;
      await this.run(Math.min(stepMs, leftMs));
    }
    return holds();
  }

  check(act: () => void): void {
    try {
      act();
    } catch (cause) {
      this.caught(cause);
    }
  }

  private caught(cause: unknown): void {
    this.fail(cause instanceof Violation ? cause : new Violation('NoException', describe(cause), cause));
  }

  fail(violation: Violation): void {
    if (this.failure !== null) return;
    this.failure = violation;
    this.timeline.tell('', 'violation', { promise: violation.promise, message: violation.message });
  }

  start(machine: Machine): void {
    this.hosting.start(machine);
  }

  startAll(): void {
    for (const machine of this.machines) this.start(machine);
  }

  /** Ends the process at once; with `powered` false the whole machine. It starts again after `downMs`. */
  crash(machine: Machine, options: { readonly powered: boolean; readonly downMs: number }): void {
    this.hosting.crash(machine, options);
  }

  /** Asks the host to stop in order, then starts it again. */
  restartOrderly(machine: Machine, downMs: number): void {
    this.hosting.closeOrderly(machine, downMs);
  }

  transfer(machine: Machine, group: GroupId): void {
    this.hosting.transfer(machine, group);
  }

  snapshot(machine: Machine, group: GroupId): void {
    this.hosting.snapshot(machine, group);
  }

  /** Asks a machine for any voters and learners out of all machines, whatever the group is now. */
  changeMembers(machine: Machine, group: GroupId, prng: Prng): void {
    this.hosting.changeMembers(machine, group, drawChange(this.machines, machine.raft(group), prng));
  }

  /** Asks a machine to tell the group where another is. It can be reached at every port, so nobody is lost. */
  moveMember(machine: Machine, group: GroupId, change: Required<Pick<MembersChange, 'move'>>): void {
    this.hosting.changeMembers(machine, group, change);
  }

  giveUpChange(machine: Machine, group: GroupId): void {
    this.hosting.changeMembers(machine, group, null);
  }

  /** The machine runs nothing until `resume`; suspended, its monotonic clock stands still too. */
  pause(machine: Machine, options: { readonly suspended: boolean }): void {
    if (machine.paused) return;
    machine.paused = true;
    machine.pausedAtMs = this.nowMs;
    if (options.suspended) machine.clock.suspend();
    this.timeline.record(Kind.fault, machine.place, 1);
    this.timeline.tell(machine.id, options.suspended ? 'suspended' : 'paused');
  }

  resume(machine: Machine): void {
    if (!machine.paused) return;
    machine.paused = false;
    if (this.nowMs - machine.pausedAtMs > longPauseMs) this.saw('pause of more than 2 s');
    machine.clock.resume();
    this.timeline.record(Kind.fault, machine.place, 2);
    this.timeline.tell(machine.id, 'resumed');
    const { timeline } = this;
    for (const event of machine.deferred.splice(0)) {
      timeline.inOrder(timeline.nowMs, event.life, () => {
        const { run } = event;
        event.run = null;
        run?.();
      });
    }
  }

  leader(group: GroupId): Machine | null {
    let best: Machine | null = null;
    let term = 0;
    for (const machine of this.machines) {
      const raft = machine.raft(group);
      if (raft === null || raft.leader === null || raft.term <= term) continue;
      best = machine;
      term = raft.term;
    }
    return best;
  }

  finish(): void {
    for (const checker of this.checkers) this.check(() => checker.finish?.(this));
    if (this.failure !== null) throw this.failure;
  }

  private dispatch(process: Process | null, event: DeferredEvent): void {
    const { run } = event;
    if (process === null) {
      event.run = null;
      run?.();
      return;
    }
    const { machine } = process;
    if (machine.paused) {
      machine.deferred.push(event);
      return;
    }
    if (machine.crashInEvents > 0) {
      machine.crashInEvents -= 1;
      if (machine.crashInEvents === 0) {
        const downMs = machine.prng.between(10, 3000);
        this.saw(process.state === 'booting' ? 'crash during recovery' : 'crash at a completion');
        this.crash(machine, { powered: machine.crashPowered, downMs });
        return;
      }
    }
    if (machine.cutWhileWriting && machine.disk.writing) {
      this.crash(machine, { powered: false, downMs: machine.prng.between(10, 3000) });
      return;
    }
    event.run = null;
    run?.();
    if (process.state !== 'up' || process.transfers > 0) this.timeline.promisesTouched = true;
    this.look(machine);
  }

  look(machine: Machine): void {
    const { lookers } = this;
    for (let at = 0; at < lookers.length; at += 1) (lookers[at] as Looker).afterEvent(this, machine);
  }

  private async drain(): Promise<void> {
    await microtasksDrained();
    this.timeline.promisesTouched = false;
    this.check(() => {
      for (const machine of this.machines) if (!machine.paused) this.look(machine);
    });
  }

  private async inspect(): Promise<void> {
    this.inspectionWanted = false;
    for (const checker of this.checkers) {
      try {
        await checker.inspect?.(this);
      } catch (cause) {
        this.check(() => {
          throw cause;
        });
      }
    }
  }

  private onSend(from: string, to: string, bytes: Uint8Array): void {
    const machine = this.machineOf(from);
    if (machine === undefined) return;
    this.check(() => {
      for (const checker of this.tappers) checker.onSend(this, machine, to, bytes);
    });
  }

  private machine(place: number, prng: Prng): Machine {
    const id = `n${place + 1}`;
    const { nodes = 3 } = this.options;
    const clock = new MachineClock(this.timeline, {
      monotonicMs: spread(prng, 1000, 1e9),
      wallMs: wallEpochMs + Math.floor(spread(prng, -1e9, 1e9)),
    });
    const disk = new SimDisk(this.timeline, fork(prng), (what) => this.saw(what));
    const fragile = place >= nodes - (this.options.fragile ?? nodes);
    return new Machine({ id, place, clock, disk, prng, fragile });
  }
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
