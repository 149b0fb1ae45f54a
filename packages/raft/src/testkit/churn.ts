import type { Prng } from '../base/prng.ts';
import type { RaftState } from '../core/state.ts';
import type { MembersChange } from '../host/api.ts';
import type { Machine } from './machine.ts';
import { chance, shuffled } from './random.ts';

/**
 * A change to any configuration of the machines there are, as far as the asked one knows; or null, to give one up. Those
 * whose disks may be spoiled are always the lesser part of the voters, and those that are gone for good are left out.
 */
export function drawChange(machines: readonly Machine[], raft: RaftState | null, prng: Prng): MembersChange | null {
  if (chance(prng, 0.15)) return null;
  const order = shuffled(
    prng,
    machines.filter(({ sound }) => sound),
  );
  const voters = drawVoters(order, prng);
  const learners = order.flatMap(({ id }) => (voters.includes(id) || !chance(prng, 0.25) ? [] : [id]));
  const { incoming, learners: known } = raft?.configuration ?? { incoming: [], learners: [] };
  const votes = (id: string): boolean => incoming.some((voter) => voter === id);
  const learns = (id: string): boolean => known.some((learner) => learner === id);
  const added = (ids: readonly string[]): Record<string, string> =>
    Object.fromEntries(ids.filter((id) => !votes(id) && !learns(id)).map((id) => [id, `${id}:7000`]));
  return {
    add: added(voters),
    addLearners: added(learners),
    promote: voters.filter(learns),
    demote: learners.filter(votes),
    remove: [...incoming, ...known].filter((id) => !voters.includes(id) && !learners.includes(id)),
  };
}

function drawVoters(order: readonly Machine[], prng: Prng): string[] {
  const first = order.slice(0, prng.between(1, order.length));
  const firm = first.filter(({ fragile }) => !fragile);
  const fragile = first.filter((machine) => machine.fragile).slice(0, Math.max(0, firm.length - 1));
  const voters = firm.length === 0 ? order.filter((machine) => !machine.fragile).slice(0, 1) : [...firm, ...fragile];
  return voters.map(({ id }) => id);
}
