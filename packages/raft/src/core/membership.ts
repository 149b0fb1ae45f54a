import { NoriError } from '../base/errors.ts';
import { applyConfigurationChange, isJoint, isMember, isVoter, replicasOf } from './configuration.ts';
import type { PeerForgotInput, ReconfigureInput } from './input.ts';
import { MessageKind } from './message.ts';
import type { ChangeRefused, Output } from './output.ts';
import { Progress } from './progress.ts';
import { appendAsLeader, leaderStateOf, replicate, send } from './replication.ts';
import type { CatchUp, LeaderState, RaftState } from './state.ts';
import { type Configuration, EntryKind, type Index, type MembershipChange, type NodeId, type Plan } from './types.ts';

// Membership changes by joint consensus (thesis 4.3), whatever their size: C_old, then C_old,new, then C_new. A change
// that makes new voters is preceded by a phase in which they catch up as learners (thesis 4.2.1). Every phase is an
// entry, takes effect when it is appended, and must be committed before the next: so whoever leads can go on from there.

/** A learner that has not kept up by then never will: the change is given up (thesis 4.2.1). */
export const catchUpRoundsMax = 10;
/** Every configuration travels in one entry, and every commit counts the voters. */
export const membersMax = 64;

/** A change is asked for, or, with null, the one under way is to be given up. */
export function onReconfigure(raft: RaftState, input: ReconfigureInput, nowMs: number, output: Output): void {
  try {
    const next = input.change === null ? withoutChange(raft) : firstStep(raft, input.change);
    if ('code' in next) {
      output.changesRefused.push({ id: input.id, ...next });
      return;
    }
    const { index, term } = appendConfiguration(raft, next, input.wallMs, nowMs, output);
    output.changesAccepted.push({ id: input.id, index, term });
  } catch (error) {
    // What was asked for fits no configuration: that is the caller's mistake, and no broken invariant.
    if (!(error instanceof NoriError)) throw error;
    output.changesRefused.push({ id: input.id, ...refusal('CONFIGURATION_INVALID', error.message) });
  }
}

/** Takes the next step of a change under way, if it is time for one. Returns whether a configuration was appended. */
export function continueChange(raft: RaftState, nowMs: number, output: Output): boolean {
  const { configuration } = raft;
  const leader = leaderStateOf(raft);
  if (!isSettled(raft)) return false;
  sayFarewell(raft, output);
  if (leader.transfer !== null) return false;
  if (isJoint(configuration)) {
    appendConfiguration(raft, applyConfigurationChange(configuration, { kind: 'leaveJoint' }), 0, nowMs, output);
    return true;
  }
  if (configuration.planned === undefined) return false;
  switch (catchUp(raft, configuration.planned, nowMs, output)) {
    case 'ready':
      appendConfiguration(raft, execute(configuration, configuration.planned), 0, nowMs, output);
      return true;
    case 'tooSlow':
      appendConfiguration(raft, givenUp(configuration, configuration.planned), 0, nowMs, output);
      return true;
    default:
      return false;
  }
}

/** The group has removed this leader, or made it a learner, and that is committed: time to hand over (thesis 4.2.2). */
export function hasOutlivedItsOffice(raft: RaftState): boolean {
  return isSettled(raft) && !isVoter(raft.configuration, raft.id);
}

/**
 * Progress of those who receive the log, and of nobody else. Who is new has acknowledged nothing yet, and is first
 * asked about the entry before `nextIndex`.
 */
export function followConfiguration(raft: RaftState, nextIndex: Index, nowMs: number): void {
  const { progress, departed } = leaderStateOf(raft);
  const replicas = replicasOf(raft.configuration);
  for (const id of progress.keys()) {
    if (replicas.includes(id)) continue;
    progress.delete(id);
    departed.add(id);
  }
  for (const id of replicas) {
    departed.delete(id);
    if (id !== raft.id && !progress.has(id)) progress.set(id, new Progress(nextIndex, nowMs));
  }
}

/** The peer has nothing of what it acknowledged. Only of one without a vote: a commit may rest on the word of a voter. */
export function onPeerForgot(raft: RaftState, { peer }: PeerForgotInput, nowMs: number): void {
  if (raft.leader === null || isVoter(raft.configuration, peer)) return;
  const { progress, catchUps } = raft.leader;
  catchUps.delete(peer);
  if (progress.has(peer)) progress.set(peer, new Progress(raft.log.lastIndex, nowMs));
}

/**
 * Whether the candidate left the group for good, as far as this node knows: the committed configuration is without it,
 * and no newer one has it back.
 */
export function knowsRemoved(raft: RaftState, candidate: NodeId): boolean {
  const committed = raft.committedConfiguration;
  return committed.incoming.length > 0 && !isMember(committed, candidate) && !isMember(raft.configuration, candidate);
}

/** Whether this node itself left for good, as far as it knows. */
export function knowsItselfRemoved(raft: RaftState): boolean {
  return raft.isRemoved || knowsRemoved(raft, raft.id);
}

/** A peer is there that may have been away when it was removed. A voter would ask for votes and hear it then; a learner asks nobody. */
export function welcomeBack(raft: RaftState, peer: NodeId, output: Output): void {
  if (raft.formerMembers().has(peer) && knowsRemoved(raft, peer)) tellRemoved(raft, peer, output);
}

/** Tells a node that it need not campaign any more. */
export function tellRemoved(raft: RaftState, to: NodeId, output: Output): void {
  const configurationIndex = raft.committedConfigurationIndex;
  send(raft, { kind: MessageKind.removed, from: raft.id, to, term: raft.term, configurationIndex }, output);
}

/**
 * What a node is to the group for certain, by the configuration that is in effect here and committed in this leader's
 * term; null when that cannot be said. The caller has made sure that this is the leader still.
 */
export function standingOf(raft: RaftState, peer: NodeId): 'absent' | 'learner' | 'joining' | 'voter' | null {
  if (raft.leader === null || !isSettled(raft)) return null;
  const { configuration } = raft;
  if (isVoter(configuration, peer)) return 'voter';
  // As long as its word of before counts for anything, it may yet become a voter by it.
  if ((raft.leader.progress.get(peer)?.matchIndex ?? 0) > 0) return null;
  if (!isMember(configuration, peer)) return 'absent';
  return configuration.planned?.voters.includes(peer) === true ? 'joining' : 'learner';
}

/**
 * A change may begin, or go on, only when the configuration before it is committed, and so is an entry of this term:
 * otherwise two leaders could each build on a configuration the other knows nothing of (the bug of 2015 in thesis 4.1).
 */
function isSettled(raft: RaftState): boolean {
  const { log } = raft;
  return raft.configurationIndex <= log.commit && log.termAt(log.commit) === raft.term;
}

type Refusal = Omit<ChangeRefused, 'id'>;

function refusal(code: ChangeRefused['code'], reason: string): Refusal {
  return { code, reason, leader: null };
}

/** The first configuration on the way to what is asked for: joint at once, unless there is someone who must catch up. */
function firstStep(raft: RaftState, change: MembershipChange): Configuration | Refusal {
  const { configuration } = raft;
  const { planned } = configuration;
  if (isJoint(configuration) || (planned !== undefined && !givesUp(configuration, planned, change))) {
    return refusal('CHANGE_IN_PROGRESS', 'another change is under way: wait for it, or give it up');
  }
  if (raft.configurationIndex > raft.log.commit) {
    return refusal('CHANGE_IN_PROGRESS', 'the configuration in effect is not committed yet');
  }
  if (!isSettled(raft)) return refusal('CHANGE_IN_PROGRESS', 'this leader has committed nothing of its term yet');
  if (planned !== undefined) return givenUp(configuration, planned);
  const entered = applyConfigurationChange(configuration, { kind: 'change', ...change });
  const target = isJoint(entered) ? applyConfigurationChange(entered, { kind: 'leaveJoint' }) : entered;
  if (entered.members.length > membersMax) {
    return refusal('CONFIGURATION_INVALID', `a group has at most ${membersMax} members`);
  }
  const promoted = target.incoming.filter((id) => !configuration.incoming.includes(id));
  return promoted.length === 0 ? entered : plan(configuration, entered, target);
}

/** Everybody who is new is a learner first; what becomes of them and of all others stands in the plan. */
function plan(before: Configuration, entered: Configuration, target: Configuration): Configuration {
  const joined = entered.members.map(({ id }) => id).filter((id) => !isMember(before, id));
  const learners = [...before.learners, ...joined].sort();
  const known = new Map([...before.members, ...entered.members].map((member) => [member.id, member]));
  const members = [...before.incoming, ...learners].sort().map((id) => known.get(id) ?? { id, address: '' });
  return { ...before, learners, members, planned: { voters: target.incoming, learners: target.learners, joined } };
}

/** Removing those who came with the plan, or demoting learners it is to promote, is another word for giving it up. */
function givesUp({ learners }: Configuration, { joined, voters }: Plan, change: MembershipChange): boolean {
  const { remove = [], add = [], addLearners = [], promote = [], demote = [], move = [] } = change;
  if (![add, addLearners, promote, move].every((named) => named.length === 0)) return false;
  const isPromoted = (id: NodeId): boolean => learners.includes(id) && voters.includes(id) && !joined.includes(id);
  if (demote.length === 0) return remove.length > 0 && remove.every((id) => joined.includes(id));
  return remove.length === 0 && demote.every(isPromoted);
}

/** The joint configuration, or the simple one, that leads from the learners' phase to what was planned. */
function execute(configuration: Configuration, planned: Plan): Configuration {
  const { incoming, learners } = configuration;
  const stays = (id: NodeId): boolean => planned.voters.includes(id) || planned.learners.includes(id);
  return applyConfigurationChange(configuration, {
    kind: 'change',
    promote: planned.voters.filter((id) => !incoming.includes(id)),
    demote: planned.learners.filter((id) => incoming.includes(id)),
    remove: [...incoming, ...learners].filter((id) => !stays(id)),
  });
}

function givenUp(configuration: Configuration, planned: Plan): Configuration {
  if (planned.joined.length > 0) {
    return applyConfigurationChange(configuration, { kind: 'change', remove: planned.joined });
  }
  const { planned: _dropped, ...before } = configuration;
  return before;
}

/**
 * Back to where the change began. That is safe for a joint configuration which is not committed, if this leader has
 * committed an entry of its term: nobody can have left it, because leaving waits for that commit; and every majority
 * that decided anything since was one of the outgoing half, too. Who came as a learner stays one.
 */
function withoutChange(raft: RaftState): Configuration | Refusal {
  const { configuration, log } = raft;
  if (log.termAt(log.commit) !== raft.term) {
    return refusal(
      'CHANGE_IN_PROGRESS',
      'this leader has committed nothing yet, so it cannot tell how far the change is',
    );
  }
  if (isJoint(configuration)) {
    return beforeJoint(configuration, raft.committedConfiguration);
  }
  if (configuration.planned === undefined) return refusal('CONFIGURATION_INVALID', 'no change is under way');
  if (!isSettled(raft)) return refusal('CHANGE_IN_PROGRESS', 'the change has only just begun');
  return givenUp(configuration, configuration.planned);
}

/**
 * `committed` is the configuration that the joint one began with: a leader that has committed an entry of its term, and not
 * the joint configuration, appended that itself. So learners that were to be removed are found there.
 */
function beforeJoint(joint: Configuration, committed: Configuration): Configuration {
  const { incoming, outgoing } = joint;
  const joined = incoming.filter((id) => !outgoing.includes(id));
  const learners = [...new Set([...joint.learners, ...joined, ...committed.learners])].sort();
  const known = new Map([...committed.members, ...joint.members].map((member) => [member.id, member]));
  const members = [...outgoing, ...learners].sort().map((id) => known.get(id) ?? { id, address: '' });
  return { incoming: outgoing, outgoing: [], learners, learnersNext: [], members };
}

function appendConfiguration(
  raft: RaftState,
  configuration: Configuration,
  timeMs: number,
  nowMs: number,
  output: Output,
): { readonly index: number; readonly term: number } {
  leaderStateOf(raft).catchUps.clear();
  const appended = appendAsLeader(raft, { kind: EntryKind.configuration, timeMs, configuration }, output);
  followConfiguration(raft, appended.index, nowMs);
  output.notes.push({ kind: 'configurationAppended', index: appended.index, configuration });
  replicate(raft, nowMs, output);
  return appended;
}

/** Looks after those who are to vote. All must have kept up, and be there now: a joint phase needs them from its start. */
function catchUp(raft: RaftState, planned: Plan, nowMs: number, output: Output): 'ready' | 'tooSlow' | 'waiting' {
  const leader = leaderStateOf(raft);
  let ready = true;
  for (const id of planned.voters) {
    if (raft.configuration.incoming.includes(id)) continue;
    const found = catchUpOf(leader, id, raft, nowMs);
    if (!followRounds(raft, id, found, nowMs, output)) return 'tooSlow';
    const heardMs = leader.progress.get(id)?.ackedSentMs ?? Number.NEGATIVE_INFINITY;
    if (!found.done || heardMs < nowMs - raft.options.electionTimeoutMsMax) ready = false;
  }
  return ready ? 'ready' : 'waiting';
}

function catchUpOf(leader: LeaderState, id: NodeId, raft: RaftState, nowMs: number): CatchUp {
  const known = leader.catchUps.get(id);
  if (known !== undefined) return known;
  const begun = { round: 1, targetIndex: raft.log.lastIndex, startedMs: nowMs, done: false };
  leader.catchUps.set(id, begun);
  return begun;
}

/** Returns false when the last round is over and was no faster. */
function followRounds(raft: RaftState, node: NodeId, found: CatchUp, nowMs: number, output: Output): boolean {
  const matchIndex = leaderStateOf(raft).progress.get(node)?.matchIndex ?? 0;
  if (found.done || matchIndex < found.targetIndex) return true;
  if (nowMs - found.startedMs <= raft.options.electionTimeoutMsMin) {
    found.done = true;
    output.notes.push({ kind: 'learnerCaughtUp', node, rounds: found.round });
    return true;
  }
  if (found.round >= catchUpRoundsMax) {
    output.notes.push({ kind: 'learnerTooSlow', node, rounds: found.round });
    return false;
  }
  found.round += 1;
  found.targetIndex = raft.log.lastIndex;
  found.startedMs = nowMs;
  return true;
}

/** Those who left are told once it is for good: they do not receive the entry that says so. */
function sayFarewell(raft: RaftState, output: Output): void {
  const { departed } = leaderStateOf(raft);
  if (departed.size === 0) return;
  for (const id of departed) tellRemoved(raft, id, output);
  departed.clear();
}
