import type { Prng } from '../base/prng.ts';
import type { Machine } from './machine.ts';
import { chance, pick } from './random.ts';
import type { World } from './world.ts';

/** Takes a fault back; null when it is over at once, or takes itself back. */
export type Undo = (() => void) | null;
/** Does one fault to the world. */
export type Act = (world: World, prng: Prng, forMs: number) => Undo;

/** A fault that is over as soon as it was done. */
export function once(act: () => void): Undo {
  act();
  return null;
}

/** Any machine, but most often one that leads. */
export function victim(world: World, prng: Prng): Machine {
  const leader = world.leader(pick(prng, world.groups));
  return leader !== null && chance(prng, 0.4) ? leader : pick(prng, world.machines);
}

/** A machine whose disk may be spoiled for good: a majority must keep its memory, and all must have met. */
export function harmable(world: World, prng: Prng): Machine | null {
  const { machines } = world;
  const harmed = machines.filter((machine) => machine.harmed).length;
  if (harmed + 1 > Math.floor((machines.length - 1) / 2)) return null;
  const founded = machines.every(({ process }) => process?.host?.status().founded ?? true);
  const everMet = machines.every(({ boots }) => boots > 0) && world.leader(world.groups[0] as number) !== null;
  const fragile = machines.filter((machine) => machine.fragile);
  return founded && everMet && fragile.length > 0 ? pick(prng, fragile) : null;
}

export function others(world: World, one: Machine): Machine[] {
  return world.machines.filter((machine) => machine !== one);
}

/** Does something again and again, with pauses, until it is taken back. */
export function repeatedly(world: World, pauseMs: () => number, act: () => void): () => void {
  let ended = false;
  const again = (): void => {
    if (ended) return;
    act();
    world.timeline.after(pauseMs(), null, again);
  };
  again();
  return () => {
    ended = true;
  };
}
