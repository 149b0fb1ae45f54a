import type { ChangeStatus, MemberStatus } from 'nori-raft';

/** What is under way in a shard, and what an operator can do about it when it does not end. */
export interface Obstacle {
  readonly message: string;
  readonly remedy: string;
}

/** What another change of members waits for, as any member can tell; null when there is none. */
export function changeUnderWay(members: readonly MemberStatus[], change: ChangeStatus | null): Obstacle | null {
  if (change === null) return null;
  const named = (role: MemberStatus['role']): readonly MemberStatus[] => members.filter((one) => one.role === role);
  switch (change.phase) {
    case 'catchingUp':
      return catchingUp(named('joining'), change);
    case 'joint': {
      const leaving = named('leaving').map(({ id }) => id);
      const without = leaving.length === 0 ? '' : `, without ${leaving.join(' and ')}`;
      return {
        message: `the voters change to ${change.voters.join(', ')}${without}, and that is not committed yet`,
        remedy: 'it takes a majority of the old voters and one of the new: start those that are down',
      };
    }
    default:
      return {
        message: 'the last step of another change is not committed yet',
        remedy: 'it takes a majority of the voters: start those that are down',
      };
  }
}

function catchingUp(joining: readonly MemberStatus[], { joined, catchingUp: rounds }: ChangeStatus): Obstacle {
  const who = joining.map(({ id, address }) => {
    const round = rounds.find((one) => one.id === id);
    const far = round === undefined ? '' : `, at entry ${round.matchIndex} of ${round.targetIndex}`;
    return `${id} (${address}${far})`;
  });
  const orders = joining.map(({ id }) => `member ${joined.includes(id) ? 'remove' : 'demote'} ${id}`);
  return {
    message: `${who.join(', ')} ${joining.length === 1 ? 'is' : 'are'} to vote, and must catch up first`,
    remedy: `wait while it gets on, or see that it runs and is reached at that address; nori-kv ${orders.join(' or ')} gives this up`,
  };
}
