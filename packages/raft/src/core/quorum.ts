import type { Index, NodeId, Quorum } from './types.ts';

/** What is known of each node: a map, a plain object, or a function of the id. Missing and undefined mean "nothing yet". */
export type PerNode<T> = ReadonlyMap<NodeId, T> | Readonly<Record<string, T>> | ((id: NodeId) => T | undefined);

export type VoteResult = 'won' | 'lost' | 'pending';

/**
 * The largest index that a majority of the voters hold, of both halves while joint (thesis 4.3). A node nothing is
 * known of holds 0. Without any voters nothing holds the index back: Infinity.
 */
export function committedIndex(quorum: Quorum, matchOf: PerNode<Index>): Index {
  return Math.min(majorityIndex(quorum.incoming, matchOf), majorityIndex(quorum.outgoing, matchOf));
}

/** Whether an election is decided: won needs a majority of yes in both halves, lost a majority of no in either. */
export function voteResult(quorum: Quorum, votes: PerNode<boolean>): VoteResult {
  const incoming = majorityVote(quorum.incoming, votes);
  const outgoing = majorityVote(quorum.outgoing, votes);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}

/** Whether those for whom `holds` is true are a quorum. */
export function isQuorum(quorum: Quorum, holds: (id: NodeId) => boolean): boolean {
  return voteResult(quorum, holds) === 'won';
}

/**
 * The latest time that a quorum has reached, of both halves while joint; -Infinity while there is none. `timeOf` is
 * -Infinity for a node nothing is known of.
 */
export function quorumTimeMs(quorum: Quorum, timeOf: (id: NodeId) => number): number {
  return Math.min(majorityTimeMs(quorum.incoming, timeOf), majorityTimeMs(quorum.outgoing, timeOf));
}

function majorityTimeMs(voters: readonly NodeId[], timeOf: (id: NodeId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  // Sorted as they come, latest first, in one array for all calls: every read by lease passes here.
  let count = 0;
  for (const id of voters) {
    const time = timeOf(id);
    let at = count;
    for (; at > 0 && (sortedTimes[at - 1] as number) < time; at -= 1) sortedTimes[at] = sortedTimes[at - 1] as number;
    sortedTimes[at] = time;
    count += 1;
  }
  return sortedTimes[count >> 1] as number;
}

const sortedTimes: number[] = [];

/** A half that was left out is empty. */
function majorityIndex(voters: Iterable<NodeId> | null | undefined, matchOf: PerNode<Index>): Index {
  const matches: Index[] = [];
  for (const id of voters ?? []) matches.push(lookUp(matchOf, id) ?? 0);
  if (matches.length === 0) return Number.POSITIVE_INFINITY;
  matches.sort((a, b) => b - a);
  return matches[matches.length >> 1] as Index;
}

function majorityVote(voters: Iterable<NodeId> | null | undefined, votes: PerNode<boolean>): VoteResult {
  let size = 0;
  let yes = 0;
  let no = 0;
  for (const id of voters ?? []) {
    size += 1;
    const vote = lookUp(votes, id);
    if (vote === true) yes += 1;
    else if (vote === false) no += 1;
  }
  const majority = (size >> 1) + 1;
  if (size === 0 || yes >= majority) return 'won';
  return size - no < majority ? 'lost' : 'pending';
}

function lookUp<T>(known: PerNode<T>, id: NodeId): T | undefined {
  if (typeof known === 'function') return known(id);
  if (isMap(known)) return known.get(id);
  return Object.hasOwn(known, id) ? known[id] : undefined;
}

/** By what it can do: a map of another realm is a map, too. */
function isMap<T>(known: ReadonlyMap<NodeId, T> | Readonly<Record<string, T>>): known is ReadonlyMap<NodeId, T> {
  return typeof known['get'] === 'function';
}
