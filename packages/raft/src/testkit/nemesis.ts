import { Prng } from '../base/prng.ts';
import { maxClockDrift } from './clock.ts';
import { diskActs } from './disk-acts.ts';
import { calmDisk } from './disk.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { Machine } from './machine.ts';
import { noMessageFaults } from './mangler.ts';
import { calmNetwork } from './network.ts';
import { partitionActs } from './partitions.ts';
import { chance, pick, spread } from './random.ts';
import { Kind } from './timeline.ts';
import { type Act, once, repeatedly, type Undo, victim } from './victims.ts';
import type { World } from './world.ts';

/** Carries a schedule of faults out, and takes back what is still going on when it is told to stop. */
export class Nemesis {
  private readonly world: World;
  private readonly undos = new Set<() => void>();
  private stopped = false;

  constructor(world: World, schedule: readonly Fault[]) {
    this.world = world;
    for (const fault of schedule) world.timeline.inOrder(fault.atMs, null, () => this.begin(fault));
  }

  private begin(fault: Fault): void {
    if (this.stopped) return;
    const { world } = this;
    world.timeline.record(Kind.fault, 0, fault.seed & 0xffff);
    world.timeline.tell('', `fault ${fault.kind}`, { forMs: Math.round(fault.forMs) });
    world.saw(`fault ${fault.kind}`);
    const undo = acts[fault.kind](world, new Prng(fault.seed), fault.forMs);
    if (undo === null) return;
    const once = (): void => {
      if (!this.undos.delete(once)) return;
      world.timeline.tell('', `end of ${fault.kind}`);
      undo();
    };
    this.undos.add(once);
    world.timeline.inOrder(world.nowMs + fault.forMs, null, once);
  }

  /** The world is well from now on: everything that can start does. */
  heal(): void {
    this.stopped = true;
    const { world } = this;
    for (const undo of this.undos) undo();
    world.network.weather = calmNetwork();
    world.mangler.faults = noMessageFaults();
    for (const machine of world.machines) {
      machine.disk.weather = calmDisk();
      machine.crashInEvents = 0;
      machine.applyMsMax = 0;
      machine.cutWhileWriting = false;
      world.resume(machine);
      world.start(machine);
    }
  }
}

/** The specification's clock skew: wall clocks this far from where they were, either way. */
const skewMsMax = 200;

const acts: Record<FaultKind, Act> = {
  crash: (world, prng, downMs) => once(() => world.crash(victim(world, prng), { powered: true, downMs })),
  powerCut: (world, prng, downMs) =>
    once(() => {
      const machine = victim(world, prng);
      if (chance(prng, 0.7)) machine.cutWhileWriting = true;
      else world.crash(machine, { powered: false, downMs });
    }),
  powerCutAll: (world, prng, downMs) =>
    once(() => {
      for (const machine of world.machines) {
        world.crash(machine, { powered: false, downMs: downMs * spread(prng, 0.5, 1.5) });
      }
    }),
  crashAtCompletion: (world, prng) =>
    once(() => {
      const machine = victim(world, prng);
      machine.crashInEvents = pick(prng, [prng.between(1, 10), prng.between(1, 100), prng.between(1, 1000)]);
      machine.crashPowered = chance(prng, 0.5);
      // Half of them strike in the middle of a start.
      if (chance(prng, 0.5)) {
        const { crashInEvents } = machine;
        world.crash(machine, { powered: machine.crashPowered, downMs: prng.between(1, 200) });
        machine.crashInEvents = Math.min(crashInEvents, 120);
      }
    }),
  orderlyRestart: (world, prng, downMs) => once(() => world.restartOrderly(victim(world, prng), downMs)),
  pause: (world, prng) => standStill(world, [victim(world, prng)], false),
  pauseAll: (world) => standStill(world, world.machines, false),
  suspend: (world, prng) => standStill(world, [victim(world, prng)], true),
  strobe: (world, prng) => {
    // Nine parts of ten it stands still: long enough for nobody to notice, too long to keep up.
    const machine = victim(world, prng);
    const cycleMs = spread(prng, 20, 400);
    const end = repeatedly(
      world,
      () => cycleMs,
      () => {
        world.pause(machine, { suspended: false });
        world.timeline.after(cycleMs * 0.9, null, () => world.resume(machine));
      },
    );
    return () => {
      end();
      world.resume(machine);
    };
  },
  drift: (world, prng) => {
    const machine = pick(prng, world.machines);
    const drift = spread(prng, -maxClockDrift, maxClockDrift);
    world.timeline.tell(machine.id, 'clock drifts', { drift });
    machine.clock.setDrift(drift);
    return () => machine.clock.setDrift(spread(prng, -maxClockDrift, maxClockDrift));
  },
  wallStep: (world, prng) =>
    once(() => {
      const byMs = pick(prng, [200, 3_600_000, 31_536_000_000]) * (chance(prng, 0.5) ? 1 : -1);
      const machine = pick(prng, world.machines);
      const stepMs = Math.floor(byMs * pick(prng, [1, prng.fraction()]));
      world.timeline.tell(machine.id, 'wall clock stepped', { byMs: stepMs });
      machine.clock.stepWall(stepMs);
    }),
  skew: (world, prng) =>
    repeatedly(
      world,
      () => spread(prng, 50, 500),
      () => {
        for (const machine of world.machines) {
          const byMs = Math.round(spread(prng, -skewMsMax, skewMsMax)) - machine.skewMs;
          machine.skewMs += byMs;
          world.timeline.tell(machine.id, 'wall clock stepped', { byMs });
          machine.clock.stepWall(byMs);
        }
      },
    ),
  ...partitionActs,
  slowNetwork: (world, prng) => {
    const { weather } = world.network;
    weather.delayMsMax = spread(prng, 5, 150);
    weather.spikeRate = spread(prng, 0, 0.2);
    weather.spikeMsMax = spread(prng, 100, 5000);
    weather.splitRate = prng.fraction();
    return () => Object.assign(weather, calmNetwork());
  },
  messageLoss: (world, prng) => {
    world.mangler.faults.lossRate = spread(prng, 0, 0.3);
    return () => {
      world.mangler.faults.lossRate = 0;
    };
  },
  messageChaos: (world, prng) => {
    const { faults } = world.mangler;
    faults.duplicateRate = spread(prng, 0, 0.5);
    faults.delayRate = spread(prng, 0, 0.3);
    faults.delayMsMax = pick(prng, [100, 2000, 60_000]);
    return () => Object.assign(faults, noMessageFaults());
  },
  resets: (world, prng) => {
    const { weather } = world.network;
    weather.resetRate = spread(prng, 0, 0.02);
    return () => {
      weather.resetRate = 0;
    };
  },
  refusals: (world, prng) => {
    const { weather } = world.network;
    weather.refuseRate = prng.fraction();
    return () => {
      weather.refuseRate = 0;
    };
  },
  ...diskActs,
  slowApply: (world, prng) => {
    const machine = victim(world, prng);
    machine.applyMsMax = pick(prng, [5, 50, 500]);
    return () => {
      machine.applyMsMax = 0;
    };
  },
  transfer: (world, prng) =>
    once(() => {
      const group = pick(prng, world.groups);
      const leader = world.leader(group);
      if (leader !== null) world.transfer(leader, group);
    }),
  snapshot: (world, prng) => once(() => world.snapshot(victim(world, prng), pick(prng, world.groups))),
  changeMembers: (world, prng) =>
    once(() => {
      const group = pick(prng, world.groups);
      // Most often who leads, but any node passes it on.
      const asked = chance(prng, 0.8) ? (world.leader(group) ?? victim(world, prng)) : victim(world, prng);
      world.changeMembers(asked, group, prng);
    }),
  moveMember: (world, prng) =>
    once(() => {
      const group = pick(prng, world.groups);
      const { id } = pick(prng, world.machines);
      const change = { move: { [id]: `${id}:${prng.between(7000, 7002)}` } };
      world.moveMember(world.leader(group) ?? victim(world, prng), group, change);
    }),
};

function standStill(world: World, machines: readonly Machine[], suspended: boolean): Undo {
  for (const machine of machines) world.pause(machine, { suspended });
  return () => {
    for (const machine of machines) world.resume(machine);
  };
}
