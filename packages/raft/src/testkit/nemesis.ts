import { Prng } from '../base/prng.ts';
import { maxClockDrift } from './clock.ts';
import { type DiskWeather, calmDisk } from './disk.ts';
import { type Fault, type FaultKind, splitInTwo } from './faults.ts';
import type { Machine } from './machine.ts';
import { noMessageFaults } from './mangler.ts';
import { calmNetwork } from './network.ts';
import { chance, pick, shuffled, spread } from './random.ts';
import { Kind } from './timeline.ts';
import type { World } from './world.ts';

type Undo = (() => void) | null;
type Act = (world: World, prng: Prng, forMs: number) => Undo;

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
      machine.cutWhileWriting = false;
      world.resume(machine);
      world.start(machine);
    }
  }
}

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
      const stepMs = Math.floor(byMs * prng.fraction());
      world.timeline.tell(machine.id, 'wall clock stepped', { byMs: stepMs });
      machine.clock.stepWall(stepMs);
    }),
  isolate: (world, prng) => {
    const alone = victim(world, prng);
    return cutBetween(world, [alone], others(world, alone), true);
  },
  split: (world, prng) => cutBetween(world, ...splitInTwo(prng, world.machines), true),
  oneWay: (world, prng) => cutBetween(world, ...splitInTwo(prng, world.machines), false),
  deaf: (world, prng) => {
    const deaf = victim(world, prng);
    return cutBetween(world, others(world, deaf), [deaf], false);
  },
  mute: (world, prng) => {
    const mute = victim(world, prng);
    return cutBetween(world, [mute], others(world, mute), false);
  },
  bridge: (world, prng) => {
    const [, ...rest] = shuffled(prng, world.machines);
    return rest.length < 2 ? null : cutBetween(world, ...splitInTwo(prng, rest), true);
  },
  flap: (world, prng, forMs) => {
    const [left, right] = splitInTwo(prng, world.machines);
    const undos: Undo[] = [];
    let undo: Undo = null;
    for (let atMs = 0; atMs < forMs; atMs += spread(prng, 20, 700)) {
      world.timeline.after(atMs, null, () => {
        if (ended) return;
        if (undo === null) undo = cutBetween(world, left, right, chance(prng, 0.7));
        else {
          undo();
          undo = null;
        }
      });
    }
    let ended = false;
    undos.push(() => {
      ended = true;
      undo?.();
      undo = null;
    });
    return () => undos[0]?.();
  },
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
  slowDisk: (world, prng) => {
    const syncMsMin = spread(prng, 0, 400);
    return weatherOf(world, victim(world, prng), { syncMsMin, syncMsMax: syncMsMin + spread(prng, 10, 3000) });
  },
  hungDisk: (world, prng, forMs) => weatherOf(world, victim(world, prng), { syncHeldUntilMs: world.nowMs + forMs }),
  failedSync: (world, prng) => weatherOf(world, victim(world, prng), { syncErrorRate: spread(prng, 0.02, 1) }),
  failedWrite: (world, prng) => weatherOf(world, victim(world, prng), { writeErrorRate: spread(prng, 0.02, 1) }),
  failedRead: (world, prng, downMs) => {
    const machine = victim(world, prng);
    world.crash(machine, { powered: true, downMs: Math.min(downMs / 2, 500) });
    return weatherOf(world, machine, { readErrorRate: 0.5, nameErrorRate: spread(prng, 0, 0.3) });
  },
  shortWrite: (world, prng) => weatherOf(world, victim(world, prng), { shortWriteRate: spread(prng, 0.02, 1) }),
  diskFull: (world, prng) => {
    const machine = victim(world, prng);
    return weatherOf(world, machine, { capacityBytes: machine.disk.tree.bytes + prng.between(0, 80_000) });
  },
  bitFlip: (world, prng) =>
    once(() => {
      const machine = harmable(world, prng);
      if (machine === null) return;
      const flipped = machine.disk.flipBit(prng);
      if (flipped === null) return;
      machine.harmed = true;
      world.timeline.tell(machine.id, 'bit flipped', flipped);
      world.crash(machine, { powered: chance(prng, 0.5), downMs: prng.between(10, 500) });
    }),
  wipe: (world, prng) =>
    once(() => {
      const machine = harmable(world, prng);
      if (machine === null || machine.process === null) return;
      world.crash(machine, { powered: true, downMs: prng.between(10, 500) });
      machine.harmed = true;
      machine.wiped = true;
      world.timeline.tell(machine.id, 'disk wiped');
      machine.disk.format();
    }),
  transfer: (world, prng) =>
    once(() => {
      const group = pick(prng, world.groups);
      const leader = world.leader(group);
      if (leader !== null) world.transfer(leader, group);
    }),
};

function once(act: () => void): Undo {
  act();
  return null;
}

/** Any machine, but most often one that leads. */
function victim(world: World, prng: Prng): Machine {
  const leader = world.leader(pick(prng, world.groups));
  return leader !== null && chance(prng, 0.4) ? leader : pick(prng, world.machines);
}

/** A machine whose disk may be spoiled for good: a majority must keep its memory, and all must have met. */
function harmable(world: World, prng: Prng): Machine | null {
  const { machines } = world;
  const harmed = machines.filter((machine) => machine.harmed).length;
  if (harmed + 1 > Math.floor((machines.length - 1) / 2)) return null;
  const founded = machines.every(({ process }) => process?.host?.status().founded ?? true);
  const everMet = machines.every(({ boots }) => boots > 0) && world.leader(world.groups[0] as number) !== null;
  return founded && everMet ? pick(prng, machines) : null;
}

function others(world: World, one: Machine): Machine[] {
  return world.machines.filter((machine) => machine !== one);
}

function standStill(world: World, machines: readonly Machine[], suspended: boolean): Undo {
  for (const machine of machines) world.pause(machine, { suspended });
  return () => {
    for (const machine of machines) world.resume(machine);
  };
}

function cutBetween(world: World, left: readonly Machine[], right: readonly Machine[], bothWays: boolean): Undo {
  const links: [string, string][] = [];
  for (const from of left) {
    for (const to of right) {
      links.push([from.id, to.id]);
      if (bothWays) links.push([to.id, from.id]);
    }
  }
  for (const [from, to] of links) world.network.cut(from, to);
  const sides = { from: left.map(({ id }) => id), to: right.map(({ id }) => id), bothWays };
  world.timeline.tell('', 'cut', sides);
  return () => {
    world.timeline.tell('', 'mended', sides);
    for (const [from, to] of links) world.network.mend(from, to);
  };
}

function weatherOf(world: World, machine: Machine, change: Partial<DiskWeather>): Undo {
  world.timeline.tell(machine.id, 'disk troubled', change);
  Object.assign(machine.disk.weather, change);
  return () => {
    world.timeline.tell(machine.id, 'disk well');
    Object.assign(machine.disk.weather, calmDisk());
  };
}
