import { NoriError } from '../base/errors.ts';
import { isMember, isVoter, replicasOf } from '../core/configuration.ts';
import { isQuorum } from '../core/quorum.ts';
import type { Configuration, GroupId, Index, Member, NodeId, Term } from '../core/types.ts';

// A majority is gone for good. What the survivors have may lack what was acknowledged, and nobody can tell: so this is
// done by an operator, offline, and what comes out is another cluster that the old one's nodes cannot enter.

/** What one survivor has of a group. */
export interface SurvivorGroup {
  readonly group: GroupId;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** The newest term it knows. */
  readonly term: Term;
  /** Through here everything is committed for certain: a snapshot covers it. */
  readonly committedIndex: Index;
  readonly configuration: Configuration;
}

/** What one survivor has. Plain, so that it can be carried from machine to machine as JSON. */
export interface SurvivorReport {
  readonly format: 1;
  readonly nodeId: NodeId;
  /** Hexadecimal. */
  readonly clusterId: string;
  readonly diskId: string;
  readonly groups: readonly SurvivorGroup[];
  /** Groups whose log or snapshot was damaged here: what is left of them is none of what survived. */
  readonly quarantined?: readonly GroupId[];
}

/** What becomes of a group. */
export interface GroupRecovery {
  readonly group: GroupId;
  /** Whose log goes on. */
  readonly from: NodeId;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** Above every term a survivor knows: that of the entry with the new configuration, the next in that log. */
  readonly term: Term;
  readonly configuration: Configuration;
  /** Voters that are not among the survivors. */
  readonly gone: readonly NodeId[];
  /** Entries behind this one may or may not have been committed. They are from now on. */
  readonly committedIndex: Index;
  /** The survivors are a majority: nothing can be lost. */
  readonly whole: boolean;
}

export interface RecoveryPlan {
  readonly survivors: readonly NodeId[];
  readonly groups: readonly GroupRecovery[];
  /** Groups that no survivor has a log of, for it is damaged or empty on all that have the group: they do not go on. */
  readonly lost: readonly { readonly group: GroupId; readonly quarantinedOn: readonly NodeId[] }[];
}

/**
 * The same plan on every survivor's machine, from the same reports. Of each group the longest log goes on, the one an
 * election would choose (thesis 3.6.1): it has everything that any survivor ever took for committed. Its node is the
 * only voter at first; the other survivors learn from it, and those that had a vote then vote, by a planned change like
 * any other.
 *
 * @throws NoriError RECOVERY_REFUSED.
 */
export function planRecovery(reports: readonly SurvivorReport[]): RecoveryPlan {
  const survivors = [...new Set(reports.map(({ nodeId }) => nodeId))].sort();
  if (reports.length === 0) throw refused('no survivor was named');
  if (survivors.length < reports.length) throw refused('a survivor was named twice');
  if (new Set(reports.map(({ clusterId }) => clusterId)).size > 1) {
    throw refused('the survivors are not of one cluster, or some were recovered already');
  }
  const held = reports.flatMap(({ groups, quarantined = [] }) => [...groups.map(({ group }) => group), ...quarantined]);
  const ids = [...new Set(held)].sort((a, b) => a - b);
  const groups = ids.flatMap((group) => recoveryOf(group, reports) ?? []);
  const lost = ids
    .filter((id) => groups.every(({ group }) => group !== id))
    .map((group) => ({
      group,
      quarantinedOn: reports.flatMap(({ nodeId, quarantined = [] }) => (quarantined.includes(group) ? [nodeId] : [])),
    }));
  if (groups.length === 0) throw refused('no survivor has a log of any group that is not damaged');
  if (groups.every(({ whole }) => whole)) {
    throw refused(`${survivors.join(', ')} are a majority of every group: start them, nothing is lost`);
  }
  return { survivors, groups, lost };
}

function recoveryOf(group: GroupId, reports: readonly SurvivorReport[]): GroupRecovery | null {
  const held = reports.flatMap(({ nodeId, groups }) => {
    const found = groups.find((one) => one.group === group);
    // One without any log waits to be told, and has nothing to give.
    return found === undefined || found.lastIndex === 0 ? [] : [{ nodeId, ...found }];
  });
  const [best] = held.sort((a, b) => b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex || order(a.nodeId, b.nodeId));
  if (best === undefined) return null;
  const { nodeId: from, configuration: before, lastIndex, lastTerm } = best;
  const alive = (id: NodeId): boolean => held.some(({ nodeId }) => nodeId === id);
  const others = replicasOf(before).filter((id) => id !== from && alive(id));
  const voters = [from, ...others.filter((id) => isToVote(before, id))].sort();
  const gone = [...new Set([...before.incoming, ...before.outgoing])].filter((id) => !alive(id)).sort();
  return {
    group,
    from,
    lastIndex,
    lastTerm,
    term: Math.max(...held.map(({ term }) => term)) + 1,
    configuration: founded(from, { voters, learners: others.filter((id) => !voters.includes(id)) }, before.members),
    gone,
    committedIndex: Math.max(...held.map(({ committedIndex }) => committedIndex)),
    whole: isQuorum(before, alive) && isMember(before, from),
  };
}

/** Whether it has a vote that no change under way takes from it, or is about to have one. */
function isToVote(configuration: Configuration, id: NodeId): boolean {
  const { learnersNext, planned } = configuration;
  return planned === undefined ? isVoter(configuration, id) && !learnersNext.includes(id) : planned.voters.includes(id);
}

/** One voter, and a plan that makes the others what they were once they have what it has. */
function founded(
  from: NodeId,
  outcome: { readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[] },
  known: readonly Member[],
): Configuration {
  const { voters } = outcome;
  const learners = [...voters.filter((id) => id !== from), ...outcome.learners].sort();
  const members = [from, ...learners]
    .sort()
    .map((id) => known.find((member) => member.id === id) ?? { id, address: '' });
  const first = { incoming: [from], outgoing: [], learners, learnersNext: [], members };
  if (voters.length === 1) return first;
  return { ...first, planned: { voters, learners: [...outcome.learners].sort(), joined: [] } };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A report that was read from a file. What it says is checked against the directory it is about before anything is done.
 *
 * @throws NoriError RECOVERY_REFUSED.
 */
export function decodeReport(text: string): SurvivorReport {
  try {
    const read = JSON.parse(text) as SurvivorReport;
    const ids = ({ incoming, outgoing, learners, members }: Configuration): readonly string[] => [
      ...incoming,
      ...outgoing,
      ...learners,
      ...members.flatMap(({ id, address }) => [id, address]),
    ];
    const texts = [read.nodeId, read.clusterId, read.diskId, ...read.groups.flatMap((one) => ids(one.configuration))];
    const numbers = read.groups.flatMap((one) => [
      one.group,
      one.lastIndex,
      one.lastTerm,
      one.term,
      one.committedIndex,
    ]);
    numbers.push(...(read.quarantined ?? []));
    const sound =
      texts.every((item) => typeof item === 'string') && numbers.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (sound && read.format === 1) return read;
  } catch (cause) {
    throw new NoriError('RECOVERY_REFUSED', { message: 'no recovery: a report cannot be read', cause });
  }
  throw refused('a report is not one of this version');
}

export function refused(why: string): NoriError {
  return new NoriError('RECOVERY_REFUSED', { message: `no recovery: ${why}` });
}
