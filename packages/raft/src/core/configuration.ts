import { NoriError } from '../base/errors.ts';
import { type Configuration, isNodeId, type Member, type MembershipChange, type NodeId } from './types.ts';

/**
 * One step from a configuration to the next. `change` names what shall be different; if the set of voters changes,
 * the result is joint and `leaveJoint` must follow once it is committed (thesis 4.3).
 */
export type ConfigurationChange = ({ readonly kind: 'change' } & MembershipChange) | { readonly kind: 'leaveJoint' };

/** The configuration a group is founded with: all members vote. Members are sorted, so every founder writes the same bytes. */
export function foundingConfiguration(members: readonly Member[]): Configuration {
  const sorted = [...members].sort((a, b) => compareIds(a.id, b.id));
  return {
    incoming: sorted.map((member) => member.id),
    outgoing: [],
    learners: [],
    learnersNext: [],
    members: sorted.map((member) => ({ id: member.id, address: member.address })),
  };
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** Whether the node has a vote in either half. */
export function isVoter(configuration: Configuration, id: NodeId): boolean {
  return configuration.incoming.includes(id) || configuration.outgoing.includes(id);
}

/** Whether what is left without the node can still decide by itself: every half that it votes in has at least three. */
export function isDispensable({ incoming, outgoing }: Configuration, id: NodeId): boolean {
  return [incoming, outgoing].every((voters) => voters.length >= 3 || !voters.includes(id));
}

/** Whether the node receives the log. */
export function isMember(configuration: Configuration, id: NodeId): boolean {
  return isVoter(configuration, id) || configuration.learners.includes(id);
}

/** Everybody who receives the log: voters of both halves and learners, each once. */
export function replicasOf(configuration: Configuration): readonly NodeId[] {
  return [...new Set([...configuration.incoming, ...configuration.outgoing, ...configuration.learners])];
}

/**
 * The configuration after a change. Never changes its arguments.
 *
 * @throws NoriError CONFIGURATION_INVALID when the change does not fit: already joint, nobody left to vote, a node
 *   named that is not what the change takes it for, or named twice; or when it is no change at all.
 */
export function applyConfigurationChange(configuration: Configuration, change: ConfigurationChange): Configuration {
  const before = listed(configuration);
  switch (change?.kind) {
    case 'leaveJoint':
      return leaveJoint(before);
    case 'change':
      return enter(before, change);
    default:
      throw invalid(`a change is of kind 'change' or 'leaveJoint'`);
  }
}

/** Callers may keep their voters in sets, or leave out a part that is empty: a half that went unseen would be forgotten. */
function listed(configuration: Configuration): Configuration {
  const { incoming, outgoing, learners, learnersNext, members } = configuration;
  return {
    incoming: [...(incoming ?? [])],
    outgoing: [...(outgoing ?? [])],
    learners: [...(learners ?? [])],
    learnersNext: [...(learnersNext ?? [])],
    members: [...(members ?? [])],
  };
}

function enter(before: Configuration, change: MembershipChange): Configuration {
  if (isJoint(before)) throw invalid('the configuration is joint: the change in progress must finish first');
  const voters = new Set(before.incoming);
  const learners = new Set(before.learners);
  const members = new Map(before.members.map((member) => [member.id, member]));
  const named = new Set<NodeId>();
  const nameOnce = (id: NodeId): void => {
    if (named.has(id)) throw invalid(`${id} is named twice`);
    named.add(id);
  };
  const become = (id: NodeId, target: Set<NodeId>, other: Set<NodeId>, role: string): void => {
    nameOnce(id);
    if (target.has(id)) throw invalid(`${id} is a ${role} already`);
    other.delete(id);
    target.add(id);
  };
  for (const added of change.add ?? []) {
    const member = asMember(added);
    become(member.id, voters, learners, 'voter');
    members.set(member.id, withKnownAddress(member, members.get(member.id)));
  }
  for (const added of change.addLearners ?? []) {
    const member = asMember(added);
    if (voters.has(member.id)) throw invalid(`${member.id} is a voter: demote it instead`);
    become(member.id, learners, voters, 'learner');
    members.set(member.id, withKnownAddress(member, members.get(member.id)));
  }
  for (const id of change.promote ?? []) {
    if (!learners.has(id)) throw invalid(`${id} is not a learner`);
    become(id, voters, learners, 'voter');
  }
  for (const id of change.demote ?? []) {
    if (!voters.has(id)) throw invalid(`${id} is not a voter`);
    become(id, learners, voters, 'learner');
  }
  for (const id of change.remove ?? []) {
    nameOnce(id);
    if (!voters.delete(id) && !learners.delete(id)) throw invalid(`${id} is not a member`);
  }
  for (const { id, address } of change.move ?? []) {
    nameOnce(id);
    if (!voters.has(id) && !learners.has(id)) throw invalid(`${id} is not a member`);
    if (address === '' || members.get(id)?.address === address) throw invalid(`${id} is at that address already`);
    members.set(id, { id, address });
  }
  if (voters.size === 0) throw invalid('nobody would be left to vote');
  return settle(before, voters, learners, members);
}

/** Simple when the voters stay as they are; joint, with the old voters as the outgoing half, when they do not. */
function settle(
  before: Configuration,
  voters: ReadonlySet<NodeId>,
  learners: ReadonlySet<NodeId>,
  members: ReadonlyMap<NodeId, Member>,
): Configuration {
  const incoming = sortedIds(voters);
  const sameVoters = incoming.length === before.incoming.length && before.incoming.every((id) => voters.has(id));
  const outgoing = sameVoters ? [] : sortedIds(before.incoming);
  // A voter of the outgoing half cannot be a learner at the same time: it becomes one when the joint phase ends.
  const learnersNext = sortedIds(learners).filter((id) => outgoing.includes(id));
  const learnersNow = sortedIds(learners).filter((id) => !outgoing.includes(id));
  const kept = new Set([...incoming, ...outgoing, ...learnersNow]);
  return { incoming, outgoing, learners: learnersNow, learnersNext, members: membersOf(kept, members) };
}

function leaveJoint(before: Configuration): Configuration {
  if (!isJoint(before)) throw invalid('the configuration is not joint: there is nothing to leave');
  const incoming = sortedIds(before.incoming);
  const learners = sortedIds([...before.learners, ...before.learnersNext]);
  const kept = new Set([...incoming, ...learners]);
  const members = new Map(before.members.map((member) => [member.id, member]));
  return { incoming, outgoing: [], learners, learnersNext: [], members: membersOf(kept, members) };
}

function membersOf(ids: ReadonlySet<NodeId>, members: ReadonlyMap<NodeId, Member>): Member[] {
  return sortedIds(ids).map((id) => members.get(id) ?? { id, address: '' });
}

function asMember(added: Member | NodeId): Member {
  const member = typeof added === 'object' ? added : { id: added, address: '' };
  if (typeof member?.id !== 'string' || !isNodeId(member.id)) throw invalid(`${String(member?.id)} is no node id`);
  return member;
}

function withKnownAddress(member: Member, known: Member | undefined): Member {
  return member.address === '' && known !== undefined ? known : { id: member.id, address: member.address };
}

function sortedIds(ids: Iterable<NodeId>): NodeId[] {
  return [...new Set(ids)].sort(compareIds);
}

function compareIds(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function invalid(why: string): NoriError {
  return new NoriError('CONFIGURATION_INVALID', { message: `configuration change refused: ${why}` });
}
