import { NoriError } from '../base/errors.ts';
import type { GroupId } from '../core/types.ts';
import type { MembersChange } from '../host/api.ts';
import { Host } from '../host/host.ts';
import type { HostConfig, Ports } from '../host/options.ts';
import type { Network } from '../ports/network.ts';
import type { StorageEvent, VizEvent } from '../ports/meter.ts';
import type { WorldParts } from './checker.ts';
import { type Machine, Process } from './machine.ts';
import type { SimNetwork } from './network.ts';
import { seededRandom, spread } from './random.ts';
import { SnapshotSights } from './snapshot-sights.ts';
import { Kind } from './timeline.ts';
import { Violation } from './violation.ts';
import { WatchedMachine } from './watched-machine.ts';

const dataDirectory = 'disk/data';
const port = 7000;
const changeTimeoutMs = 8000;
/** What a host may say of a disk whose bits were flipped or which was wiped. */
const damageCodes: ReadonlySet<string> = new Set([
  'WAL_DAMAGED',
  'SNAPSHOT_DAMAGED',
  'FORMAT_TOO_NEW',
  'DATA_DIR_FOREIGN',
]);

export interface HostingParts {
  readonly network: SimNetwork;
  readonly config: Partial<HostConfig>;
  onResume(machine: Machine): void;
  onProcessEnd(process: Process): void;
  onElected(machine: Machine, group: GroupId): void;
}

/** Starts hosts, ends them, and plays the supervisor that starts them again. */
export class Hosting {
  private readonly world: WorldParts;
  private readonly parts: HostingParts;
  private readonly snapshots: SnapshotSights;
  private readonly config: Omit<HostConfig, 'id'>;

  constructor(world: WorldParts, parts: HostingParts) {
    this.world = world;
    this.parts = parts;
    this.snapshots = new SnapshotSights((sight) => world.saw(sight));
    this.config = {
      members: Object.fromEntries(world.machines.map(({ id }) => [id, `${id}:${port}`])),
      directory: dataDirectory,
      clusterId: new Uint8Array(16).fill(7),
      bootstrap: true,
      segmentBytes: 64 << 10,
      // As fast or slow as the nemesis lets clocks run.
      maxClockDrift: 0.02,
      ...parts.config,
    };
  }

  start(machine: Machine): void {
    const { world } = this;
    if (machine.process !== null || machine.lost !== null) return;
    const process = new Process(machine);
    machine.process = process;
    machine.boots += 1;
    this.parts.network.poweredOn(machine.id);
    world.timeline.record(Kind.start, machine.place, machine.boots);
    world.timeline.tell(machine.id, 'starts');
    world.timeline.promisesTouched = true;
    this.open(process).catch((error: unknown) => {
      if (!process.over) this.bootFailed(process, error);
    });
  }

  crash(machine: Machine, options: { readonly powered: boolean; readonly downMs: number }): void {
    const { world } = this;
    const { process } = machine;
    if (process === null) return;
    for (const checker of world.checkers) world.check(() => checker.onDown?.(world, machine));
    process.over = true;
    machine.process = null;
    machine.crashInEvents = 0;
    machine.cutWhileWriting = false;
    machine.deferred.length = 0;
    this.parts.onResume(machine);
    if (options.powered) machine.disk.processDied();
    else if (machine.disk.powerCut()) world.saw('power cut tore a write');
    this.parts.network.processDied(machine.id, options.powered);
    world.timeline.record(Kind.end, machine.place, options.powered ? 1 : 2);
    world.timeline.tell(machine.id, options.powered ? 'crashes' : 'loses power');
    this.parts.onProcessEnd(process);
    world.timeline.after(options.downMs, null, () => this.start(machine));
  }

  closeOrderly(machine: Machine, downMs: number): void {
    const { process } = machine;
    const { world } = this;
    if (process === null || process.state !== 'up' || process.host === null) return;
    const { host } = process;
    world.timeline.inOrder(world.nowMs, process, () => {
      process.state = 'closing';
      world.timeline.tell(machine.id, 'is asked to stop');
      const ended = (): void => {
        if (!process.over) this.crash(machine, { powered: true, downMs });
      };
      host.close().then(() => {
        world.saw('orderly stop');
        ended();
      }, ended);
    });
  }

  transfer(machine: Machine, group: GroupId): void {
    const { process } = machine;
    const { world } = this;
    if (process?.host == null || process.state !== 'up') return;
    const { host } = process;
    world.timeline.inOrder(world.nowMs, process, () => {
      if (process.state !== 'up' || !host.isLeader(group)) return;
      process.transfers += 1;
      const end = (sight: string) => (): void => {
        process.transfers -= 1;
        world.saw(sight);
      };
      host.transferLeadership(group).then(end('transfer succeeded'), end('transfer failed'));
    });
  }

  snapshot(machine: Machine, group: GroupId): void {
    const { process } = machine;
    const { world } = this;
    if (process?.host == null || process.state !== 'up') return;
    const { host } = process;
    world.timeline.inOrder(world.nowMs, process, () => {
      if (process.state !== 'up') return;
      world.timeline.promisesTouched = true;
      host.triggerSnapshot(group).then(
        () => world.saw('snapshot on demand'),
        () => world.saw('snapshot on demand failed'),
      );
    });
  }

  /** Null gives up the change under way. */
  changeMembers(machine: Machine, group: GroupId, change: MembersChange | null): void {
    const { process } = machine;
    const { world } = this;
    if (process?.host == null || process.state !== 'up') return;
    const { host } = process;
    world.timeline.inOrder(world.nowMs, process, () => {
      if (process.state !== 'up') return;
      process.transfers += 1;
      world.timeline.tell(machine.id, 'is asked for other members', { group, change });
      const options = { timeoutMs: changeTimeoutMs };
      const asked = change === null ? host.giveUpChange(group, options) : host.changeMembers(group, change, options);
      void asked
        .then(
          () => 'OK',
          (error: unknown) => (error instanceof NoriError ? error.code : String(error)),
        )
        .then((outcome) => {
          process.transfers -= 1;
          const what = change === null ? 'change given up' : change.move === undefined ? 'change of members' : 'move';
          world.saw(`${what} ${outcome}`);
        });
    });
  }

  private async open(process: Process): Promise<void> {
    const { world } = this;
    const { machine } = process;
    const host = await Host.openWith(
      { ...this.config, id: machine.id, observer: { onEvent: (event) => this.onEvent(process, event) } },
      this.ports(process),
    );
    process.host = host;
    host.onFailed = () => this.hostFailed(process);
    for (const group of world.groups) {
      const watched = this.stateMachine(process, group);
      process.stateMachines.set(group, watched);
      await host.createGroup({ group, stateMachine: watched });
    }
    if (process.over || process.state !== 'booting') return;
    process.state = 'up';
    world.timeline.tell(machine.id, 'is up');
    for (const checker of world.checkers) world.check(() => checker.onUp?.(world, machine));
  }

  private ports(process: Process): Ports {
    const { machine } = process;
    return {
      clock: machine.clock.boot(process),
      random: seededRandom(machine.prng.uint32()),
      disk: machine.disk.boot(process),
      // The kernel lets go of a lock with its process, and a machine runs one at a time.
      lock: { acquire: () => Promise.resolve({ bootId: machine.id, release: () => Promise.resolve() }) },
      network: atAnyPort(this.parts.network.boot(process)),
    };
  }

  private stateMachine(process: Process, group: GroupId): WatchedMachine {
    const { world } = this;
    const { machine } = process;
    // What was damaged was this state machine's memory of it, and a new process builds it anew.
    if (machine.rotten === group) this.mended(machine);
    return new WatchedMachine(world.workload.stateMachine(machine.id, group), {
      onApply: (entries, results) => {
        const batch = { group, entries, results };
        world.check(() => {
          world.look(machine);
          for (const checker of world.checkers) checker.onApply?.(world, machine, batch);
        });
      },
      onRestore: () => {
        if (machine.rotten === group) this.mended(machine);
        world.timeline.promisesTouched = true;
        world.check(() => {
          for (const checker of world.checkers) checker.onRestore?.(world, machine, group);
        });
      },
      onPromise: () => {
        world.timeline.promisesTouched = true;
      },
      onRotten: () => world.check(() => world.look(machine)),
      later: () => {
        if (machine.applyMsMax === 0) return null;
        world.saw('slow apply');
        const takesMs = spread(machine.prng, 0, machine.applyMsMax);
        return (run) => world.timeline.after(takesMs, process, run);
      },
    });
  }

  private onEvent(process: Process, seen: VizEvent): void {
    const { world } = this;
    const { machine } = process;
    const { timeline } = world;
    timeline.record(Kind.note, machine.place, 0);
    timeline.hash.text(seen.event.type);
    timeline.tell(machine.id, seen.event.type, seen.event);
    world.saw(sightOf(seen));
    if (seen.scope === 'Shard') this.snapshots.onEvent(machine, seen.event);
    if (seen.event.type === 'LeaderElected' && seen.event.node === machine.id) {
      this.parts.onElected(machine, seen.event.group);
    }
    if (seen.scope === 'Storage') this.quarantine(machine, seen.event);
    if (seen.scope === 'Storage' && seen.event.type === 'GroupHalted') {
      world.fail(new Violation('NoGroupHalts', `${machine.id}: ${seen.event.message}`));
    }
  }

  /** A replica gave up a damaged log, or is as good as before. */
  private quarantine(machine: Machine, event: StorageEvent): void {
    const { world } = this;
    if (event.type === 'GroupQuarantined') {
      if (!machine.harmed) {
        world.fail(new Violation('NoFalseAlarm', `${machine.id} forgot though its disk was well: ${event.message}`));
      }
      if (machine.rotten === event.group) {
        machine.rotten = null;
        world.saw('damaged state found');
      }
      world.timeline.promisesTouched = true;
      for (const checker of world.checkers) world.check(() => checker.onForgot?.(world, machine, event.group));
    }
    if (event.type !== 'GroupRefilled') return;
    const groups = machine.process?.host?.status().groups ?? [];
    // Two blows may have hit two places, and only one was found yet.
    if (
      machine.harms === 1 &&
      groups.length === world.groups.length &&
      groups.every((group) => group.quarantine === null)
    ) {
      machine.harmed = false;
      machine.harms = 0;
      world.saw('damaged disk healed');
    }
  }

  private mended(machine: Machine): void {
    machine.rotten = null;
    machine.harms -= 1;
    machine.harmed = machine.harms > 0;
  }

  /** The host gave up. A supervisor sees it and starts it again. */
  private hostFailed(process: Process): void {
    const { world } = this;
    const { machine } = process;
    const message = process.host?.status().failure ?? 'unknown';
    if (machine.disk.faultsSinceBoot === 0) {
      world.fail(new Violation('NoFalseAlarm', `${machine.id} stopped though its disk was well: ${message}`));
    }
    process.state = 'failed';
    world.timeline.promisesTouched = true;
    world.timeline.after(machine.prng.between(0, 500), null, () => {
      if (!process.over) this.crash(machine, { powered: true, downMs: machine.prng.between(50, 1500) });
    });
  }

  private bootFailed(process: Process, error: unknown): void {
    const { world } = this;
    const { machine } = process;
    const code = error instanceof NoriError ? error.code : 'none';
    world.timeline.tell(machine.id, 'does not start', { code });
    world.timeline.hash.text(code);
    const faults = machine.disk.faultsSinceBoot;
    this.crash(machine, { powered: true, downMs: machine.prng.between(100, 2000) });
    if (damageCodes.has(code) && machine.harmed) {
      machine.lost = code;
      world.saw('damaged disk refused');
    } else if (faults === 0 || damageCodes.has(code) || !(error instanceof NoriError)) {
      world.check(() => {
        const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
        throw new Violation('RecoverySound', `${machine.id} does not start though its disk kept its promises: ${why}`);
      });
    } else world.saw('start failed for the disk');
  }
}

/** Machines are reached at every port of theirs, so that one may be said to be at another at any time. */
function atAnyPort(network: Network): Network {
  return {
    listen: (address, accept) => network.listen(address, accept),
    connect: (address, events) => network.connect(address.replace(/:\d+$/, `:${port}`), events),
  };
}

function sightOf({ event }: VizEvent): string {
  if (event.type === 'StepDown') return `StepDown: ${event.reason}`;
  if (event.type === 'PeerRefused' || event.type === 'InboundRejected') return `${event.type}: ${event.code}`;
  return event.type;
}
