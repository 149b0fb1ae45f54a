import type { Prng } from '../base/prng.ts';
import { splitInTwo } from './faults.ts';
import type { Machine } from './machine.ts';
import { chance, shuffled, spread } from './random.ts';
import { type Act, others, repeatedly, type Undo, victim } from './victims.ts';
import type { World } from './world.ts';

/** Who cannot reach whom. `from` and `to` are the same machines in both directions, or one direction only. */
interface Cut {
  readonly from: readonly Machine[];
  readonly to: readonly Machine[];
  readonly bothWays: boolean;
}

type Partition = 'isolate' | 'split' | 'oneWay' | 'deaf' | 'mute' | 'bridge' | 'ring' | 'star' | 'swizzle' | 'flap';

/** What is cut between machines, and how it heals. */
export const partitionActs: Readonly<Record<Partition, Act>> = {
  isolate: (world, prng) => {
    const alone = victim(world, prng);
    return cutBetween(world, { from: [alone], to: others(world, alone), bothWays: true });
  },
  split: (world, prng) => {
    const [from, to] = splitInTwo(prng, world.machines);
    return cutBetween(world, { from, to, bothWays: true });
  },
  oneWay: (world, prng) => {
    const [from, to] = splitInTwo(prng, world.machines);
    return cutBetween(world, { from, to, bothWays: false });
  },
  deaf: (world, prng) => {
    const deaf = victim(world, prng);
    return cutBetween(world, { from: others(world, deaf), to: [deaf], bothWays: false });
  },
  mute: (world, prng) => {
    const mute = victim(world, prng);
    return cutBetween(world, { from: [mute], to: others(world, mute), bothWays: false });
  },
  bridge: (world, prng) => {
    const [, ...rest] = shuffled(prng, world.machines);
    if (rest.length < 2) return null;
    const [from, to] = splitInTwo(prng, rest);
    return cutBetween(world, { from, to, bothWays: true });
  },
  ring: (world, prng) => {
    const order = shuffled(prng, world.machines);
    return cutAll(world, order, ([one, other]) => neighbours(one, other, order.length));
  },
  star: (world, prng) => {
    // The one in the middle is most often not the leader: then a leader that only one node sees must go.
    const middle = victim(world, prng);
    const order = [middle, ...others(world, middle)];
    return cutAll(world, order, ([one]) => one === 0);
  },
  swizzle,
  flap: (world, prng) => {
    const [from, to] = splitInTwo(prng, world.machines);
    let undo: Undo = null;
    const end = repeatedly(
      world,
      () => spread(prng, 20, 700),
      () => {
        if (undo === null) undo = cutBetween(world, { from, to, bothWays: chance(prng, 0.7) });
        else {
          undo();
          undo = null;
        }
      },
    );
    return () => {
      end();
      undo?.();
    };
  },
};

/** FoundationDB's swizzle: some nodes are cut off one after another, and come back in another order. */
function swizzle(world: World, prng: Prng, forMs: number): Undo {
  const chosen = shuffled(prng, world.machines).slice(0, prng.between(1, world.machines.length));
  const undos = new Map<Machine, () => void>();
  let ended = false;
  const stepMs = forMs / (2 * chosen.length);
  chosen.forEach((machine, at) => {
    world.timeline.after(at * stepMs, null, () => {
      if (!ended)
        undos.set(machine, cutBetween(world, { from: [machine], to: others(world, machine), bothWays: true }));
    });
  });
  const back = (machine: Machine): void => {
    undos.get(machine)?.();
    undos.delete(machine);
  };
  shuffled(prng, chosen).forEach((machine, at) => {
    world.timeline.after((chosen.length + at) * stepMs, null, () => back(machine));
  });
  return () => {
    ended = true;
    for (const machine of undos.keys()) back(machine);
  };
}

/** Of three nodes all are neighbours: there the ring is cut open. */
function neighbours(one: number, other: number, nodes: number): boolean {
  return other - one === 1 || (nodes > 3 && other - one === nodes - 1);
}

/** Cuts every pair of places that may not see each other. */
function cutAll(world: World, order: readonly Machine[], sees: (pair: readonly [number, number]) => boolean): Undo {
  const undos: (() => void)[] = [];
  order.forEach((from, one) => {
    for (let other = one + 1; other < order.length; other += 1) {
      const to = order[other] as Machine;
      if (!sees([one, other])) undos.push(cutBetween(world, { from: [from], to: [to], bothWays: true }));
    }
  });
  return () => {
    for (const undo of undos) undo();
  };
}

function cutBetween(world: World, { from: left, to: right, bothWays }: Cut): () => void {
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
  let mended = false;
  return () => {
    if (mended) return;
    mended = true;
    world.timeline.tell('', 'mended', sides);
    for (const [from, to] of links) world.network.mend(from, to);
  };
}
