import { Prng } from '../../src/base/prng.ts';
import type { GroupStatus } from '../../src/host/api.ts';
import { Host } from '../../src/host/host.ts';
import type { HostConfig } from '../../src/host/options.ts';
import type { Clock, Timer } from '../../src/ports/clock.ts';
import type { Disk, DiskFile } from '../../src/ports/disk.ts';
import type { AppliedEntry, StateMachine } from '../../src/ports/state-machine.ts';
import { ManualClock } from './manual-clock.test-support.ts';
import { MemoryDisk } from './memory-disk.test-support.ts';
import { MemoryNetwork } from './memory-network.test-support.ts';
import { seededRandom } from './transport-node.test-support.ts';
import { settle } from './wal-world.test-support.ts';

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (raw: Uint8Array): string => new TextDecoder().decode(raw);

/** Keeps every command it was given, in order; answers with how many there are. */
export class Ledger implements StateMachine {
  readonly commands: string[] = [];

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    return entries.map(({ command }) => bytes(String(this.commands.push(text(command)))));
  }

  query(): Uint8Array {
    return bytes(String(this.commands.length));
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    yield bytes(this.commands.join('\n'));
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of image) pieces.push(piece.slice());
    const all = Buffer.concat(pieces).toString();
    this.commands.splice(0, this.commands.length, ...(all === '' ? [] : all.split('\n')));
  }
}

/** One that can begin anew without a new process. */
export class ForgetfulLedger extends Ledger {
  reset(): Promise<void> {
    this.commands.length = 0;
    return Promise.resolve();
  }
}

/** The clock of one life of a host: when the host dies, nothing wakes any more. */
class LifeClock implements Clock {
  dead = false;
  wakes = 0;
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  wakeAt(atMs: number, wake: () => void): Timer {
    return this.clock.wakeAt(atMs, () => {
      this.wakes += 1;
      if (!this.dead) wake();
    });
  }

  soon(run: () => void): void {
    this.clock.soon(() => {
      if (!this.dead) run();
    });
  }
}

/** One machine of the world: its disk outlives the hosts that run on it. */
export class Machine {
  readonly id: string;
  disk = new MemoryDisk();
  readonly ledgers = new Map<number, Ledger>();
  /** How long an fdatasync takes. */
  syncMs = 0;
  clock: LifeClock;
  current: Host | null = null;

  constructor(id: string, clock: Clock) {
    this.id = id;
    this.clock = new LifeClock(clock);
  }

  get host(): Host {
    if (this.current === null) throw new Error(`${this.id} is down`);
    return this.current;
  }

  /** Null when the host is down or has not taken up the group. */
  statusOf(group: number): GroupStatus | null {
    try {
      return this.current?.groupStatus(group) ?? null;
    } catch {
      return null;
    }
  }

  ledger(group = 1): Ledger {
    const ledger = this.ledgers.get(group);
    if (ledger === undefined) throw new Error(`${this.id} has no group ${group}`);
    return ledger;
  }
}

export interface WorldOptions {
  readonly hosts?: number;
  /** The first so many hosts found the cluster, the others join it. Default: all found it. */
  readonly founders?: number;
  readonly seed?: number;
  readonly groups?: readonly number[];
  readonly config?: Partial<HostConfig>;
  /** Locks tell of which boot they are, so that a life proves the ones before it dead. Default: they do not. */
  readonly provesDeath?: boolean;
  readonly machine?: (id: string, group: number) => StateMachine;
}

/** Whole hosts on fakes: codec, log, transport and turns are the real ones. */
export class HostWorld {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly machines: Machine[];
  readonly prng: Prng;
  private readonly options: WorldOptions;
  private readonly seed: number;
  private lives = 0;

  constructor(options: WorldOptions = {}) {
    this.options = options;
    this.seed = options.seed ?? 1;
    this.prng = new Prng(this.seed);
    this.network = new MemoryNetwork(this.clock, new Prng(this.seed + 1));
    const ids = Array.from({ length: options.hosts ?? 3 }, (_, at) => `n${at + 1}`);
    this.machines = ids.map((id) => new Machine(id, this.clock));
  }

  static async started(options: WorldOptions = {}): Promise<HostWorld> {
    const world = new HostWorld(options);
    await Promise.all(world.machines.map((machine) => world.start(machine)));
    return world;
  }

  /** Founded, with a leader for every group that has committed its first entry. */
  static async elected(options: WorldOptions = {}): Promise<HostWorld> {
    const world = await HostWorld.started(options);
    for (const group of options.groups ?? [1]) await world.until(() => world.leader(group) !== null);
    return world;
  }

  config(machine: Machine): HostConfig {
    const founders = this.machines.slice(0, this.options.founders ?? this.machines.length);
    const join = !founders.includes(machine);
    const known = join ? this.machines : founders;
    return {
      id: machine.id,
      members: Object.fromEntries(known.map(({ id }) => [id, `${id}:7000`])),
      join,
      directory: 'data',
      clusterId: new Uint8Array(16).fill(7),
      bootstrap: true,
      segmentBytes: 64 << 10,
      ...this.options.config,
    };
  }

  async start(
    machine: Machine,
    config: Partial<HostConfig> = {},
    groups: readonly number[] = this.options.groups ?? [1],
  ): Promise<void> {
    this.lives += 1;
    machine.clock = new LifeClock(this.clock);
    const { clock } = machine;
    const proof = this.options.provesDeath === true ? { bootId: machine.id } : {};
    machine.current = await Host.openWith(
      { ...this.config(machine), ...config },
      {
        clock,
        random: seededRandom(this.seed * 1000 + this.lives),
        disk: new PacedDisk(machine.disk.boot(), machine, clock),
        lock: { acquire: () => Promise.resolve({ ...proof, release: () => Promise.resolve() }) },
        network: this.network.at(machine.id),
      },
    );
    for (const group of groups) {
      const stateMachine = this.options.machine?.(machine.id, group) ?? new Ledger();
      if (stateMachine instanceof Ledger) machine.ledgers.set(group, stateMachine);
      await machine.current.createGroup({ group, stateMachine });
    }
  }

  /** kill -9: what was written stays, what was in memory is gone. */
  crash(machine: Machine): void {
    machine.clock.dead = true;
    machine.current = null;
    this.network.kill(machine.id);
    machine.disk.kill();
  }

  powerCut(machine: Machine): void {
    this.crash(machine);
    machine.disk.powerCut(this.prng);
  }

  isolate(machine: Machine): void {
    for (const other of this.machines) if (other !== machine) this.network.cut(machine.id, other.id);
  }

  /** Time passes, a millisecond at a time, and everything that follows from it happens. */
  async run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1) {
      this.clock.advance(1);
      await settle();
    }
  }

  async until(holds: () => boolean, withinMs = 10_000): Promise<void> {
    for (let left = withinMs; left > 0 && !holds(); left -= 1) await this.run(1);
    if (!holds()) throw new Error(`did not come true within ${withinMs} ms (seed ${this.seed}): ${String(holds)}`);
  }

  /** Runs until the promise settles. */
  async settled<T>(promise: Promise<T>, withinMs = 20_000): Promise<T> {
    let open = true;
    const close = (): void => {
      open = false;
    };
    promise.then(close, close);
    await this.until(() => !open, withinMs);
    return promise;
  }

  /** The error of a call that must fail. */
  async failure(promise: Promise<unknown>): Promise<{ readonly code: string; readonly outcome: string }> {
    return this.settled(
      promise.then(
        () => ({ code: 'SUCCEEDED', outcome: 'none' }),
        (error: unknown) => error as { code: string; outcome: string },
      ),
    );
  }

  /** The machine that leads the group in the newest term and has committed in it, or null. */
  leader(group = 1): Machine | null {
    let best: Machine | null = null;
    let bestTerm = 0;
    for (const machine of this.machines) {
      const status = machine.statusOf(group);
      if (status?.role !== 'leader' || status.term < bestTerm) continue;
      best = status.commit === 0 ? null : machine;
      bestTerm = status.term;
    }
    return best;
  }

  leading(group = 1): Machine {
    const leader = this.leader(group);
    if (leader === null) throw new Error(`nobody leads group ${group}`);
    return leader;
  }

  followers(group = 1): Machine[] {
    const leader = this.leading(group);
    return this.machines.filter((machine) => machine !== leader && machine.current !== null);
  }

  async close(): Promise<void> {
    const closing = this.machines.map((machine) => machine.current?.close({ handover: false }) ?? Promise.resolve());
    await this.settled(Promise.allSettled(closing));
  }
}

/** A disk whose fdatasync takes as long as its machine says. */
class PacedDisk implements Disk {
  private readonly disk: Disk;
  private readonly machine: Machine;
  private readonly clock: Clock;

  constructor(disk: Disk, machine: Machine, clock: Clock) {
    this.disk = disk;
    this.machine = machine;
    this.clock = clock;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const file = await this.disk.open(path, options);
    const { machine, clock } = this;
    return {
      path: file.path,
      sizeBytes: () => file.sizeBytes(),
      read: (position, length) => file.read(position, length),
      write: (raw, position, done) => file.write(raw, position, done),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
      sync: (done) => {
        if (machine.syncMs === 0) file.sync(done);
        else clock.wakeAt(clock.nowMs() + machine.syncMs, () => file.sync(done));
      },
    };
  }

  list(directory: string): Promise<readonly string[]> {
    return this.disk.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.disk.makeDirectory(directory);
  }

  rename(from: string, to: string): Promise<void> {
    return this.disk.rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.disk.remove(path);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.disk.syncDirectory(directory);
  }
}
