import type { Prng } from '../base/prng.ts';
import { calmDisk, type DiskWeather } from './disk.ts';
import type { Lie } from './disk-lies.ts';
import type { Machine } from './machine.ts';
import { chance, pick, spread } from './random.ts';
import { type Act, harmable, once, type Undo, victim } from './victims.ts';
import type { World } from './world.ts';

type DiskFault =
  | 'slowDisk'
  | 'hungDisk'
  | 'deadDisk'
  | 'failedSync'
  | 'failedWrite'
  | 'failedRead'
  | 'shortWrite'
  | 'diskFull'
  | 'bitFlip'
  | 'rot'
  | 'stateRot'
  | 'zeroedSector'
  | 'misdirectedWrite'
  | 'staleSector'
  | 'wipe';

/** What is done to disks. */
export const diskActs: Readonly<Record<DiskFault, Act>> = {
  slowDisk: (world, prng) => {
    const syncMsMin = pick(prng, [spread(prng, 0, 400), spread(prng, 400, 3000)]);
    return weatherOf(world, victim(world, prng), { syncMsMin, syncMsMax: syncMsMin + spread(prng, 10, 3000) });
  },
  hungDisk: (world, prng, forMs) => weatherOf(world, victim(world, prng), { syncHeldUntilMs: world.nowMs + forMs }),
  deadDisk: (world, prng) => {
    // No sync that is asked for meanwhile ever comes back: in the end somebody restarts the machine.
    const machine = victim(world, prng);
    const well = weatherOf(world, machine, { syncHeldUntilMs: Number.POSITIVE_INFINITY });
    const powered = chance(prng, 0.5);
    const downMs = prng.between(10, 1000);
    return () => {
      well();
      world.crash(machine, { powered, downMs });
    };
  },
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
    return weatherOf(world, machine, {
      capacityBytes: machine.disk.tree.bytes + pick(prng, [0, prng.between(0, 80_000)]),
    });
  },
  bitFlip: (world, prng) => spoil(world, prng, 'bit flipped', (machine) => machine.disk.flipBit(prng)),
  rot: (world, prng) =>
    spoil(world, prng, 'bit flipped where it counts', (machine) => machine.disk.flipBit(prng, isRead)),
  stateRot: (world, prng) =>
    once(() => {
      const machine = harmable(world, prng);
      const group = pick(prng, world.groups);
      const stateMachine = machine?.process?.stateMachines.get(group);
      // What a state machine keeps on its own it looks at with checksums of its own: it finds out when it next looks.
      if (machine == null || stateMachine === undefined || machine.rotten !== null) return;
      machine.harmed = true;
      machine.harms += 1;
      machine.rotten = group;
      stateMachine.rotten = true;
      world.timeline.tell(machine.id, 'state damaged', { group });
    }),
  zeroedSector: (world, prng) => spoil(world, prng, 'sector zeroed', (machine) => machine.disk.zeroSector(prng)),
  misdirectedWrite: (world, prng) => lie(world, prng, 'astray'),
  staleSector: (world, prng) => lie(world, prng, 'stale'),
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
};

/** Every start reads it. */
function isRead(path: string): boolean {
  return /\/wal\/[0-9a-f]{16}\.wal$|\.snap$/.test(path);
}

/** Changes what is stored, and lets the machine start on it. */
function spoil(
  world: World,
  prng: Prng,
  what: string,
  change: (machine: Machine) => Readonly<Record<string, unknown>> | null,
): Undo {
  return once(() => {
    const machine = harmable(world, prng);
    const changed = machine === null ? null : change(machine);
    if (machine === null || changed === null) return;
    machine.harmed = true;
    machine.harms += 1;
    world.saw(what);
    world.timeline.tell(machine.id, what, changed);
    world.crash(machine, { powered: chance(prng, 0.5), downMs: prng.between(10, 500) });
  });
}

/** The disk says a write is done that it did not do. The host finds out when it starts the next time. */
function lie(world: World, prng: Prng, kind: Lie): Undo {
  const machine = harmable(world, prng);
  if (machine === null) return null;
  const { lies } = machine.disk;
  const harmedBefore = machine.harmed;
  machine.harmed = true;
  machine.harms += 1;
  lies.wanted = kind;
  const powered = chance(prng, 0.5);
  return () => {
    lies.wanted = null;
    if (lies.told === null) {
      machine.harmed = harmedBefore || lies.stands;
      machine.harms -= 1;
    } else world.crash(machine, { powered, downMs: prng.between(10, 500) });
  };
}

function weatherOf(world: World, machine: Machine, change: Partial<DiskWeather>): () => void {
  world.timeline.tell(machine.id, 'disk troubled', change);
  Object.assign(machine.disk.weather, change);
  return () => {
    world.timeline.tell(machine.id, 'disk well');
    Object.assign(machine.disk.weather, calmDisk());
  };
}
