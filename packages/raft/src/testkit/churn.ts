import type { Prng } from '../base/prng.ts';
import type { RaftState } from '../core/state.ts';
import type { MembersChange } from '../host/api.ts';
import type { Machine } from './machine.ts';
import { chance, shuffled } from './random.ts';

/** A change to any configuration of the machines there are, as far as the asked one knows; or null, to give one up. */
export function drawChange(machines: readonly Machine[], raft: RaftState | null, prng: Prng): MembersChange | null {
  if (chance(prng, 0.15)) return null;
  const order = shuffled(
    prng,
    machines.map(({ id }) => id),
  );
  const voters = order.slice(0, prng.between(1, order.length));
  const learners = order.slice(voters.length).filter(() => chance(prng, 0.25));
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
