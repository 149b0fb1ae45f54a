import { isVoter } from '../core/configuration.ts';
import { isInLimbo, leaseUntilMs, limboEntries } from '../core/lease.ts';
import type { RaftState } from '../core/state.ts';
import type { Configuration, NodeId } from '../core/types.ts';
import { Role } from '../core/types.ts';
import type { Group } from './group.ts';
import type { Turn } from './turn.ts';

export interface Surroundings {
  readonly nowMs: number;
  readonly turn: Pick<Turn, 'held' | 'writingSinceMs'>;
  readonly diskFull: boolean;
  readonly isConnected: (peer: NodeId) => boolean;
}

/** Why a group cannot elect, commit or read on this node right now, a sentence each; empty when nothing is in the way. */
export function explain(group: Group, around: Surroundings): string[] {
  const { raft, halted } = group;
  if (halted !== null) return [`The group stopped on this node: ${halted.message}`];
  const reasons: string[] = [];
  if (around.turn.held) reasons.push('The cluster is not founded yet: some founding members were never met.');
  if (around.diskFull) reasons.push('The volume of the data directory is full: new writes are refused.');
  reasons.push(...slow(group, around));
  if (raft.leader !== null) reasons.push(...leading(raft, around));
  else reasons.push(...following(raft, around));
  const behind = raft.log.commit - raft.log.applied;
  if (behind > 0) reasons.push(`${behind} committed entries are not applied here yet: reads wait for them.`);
  return reasons;
}

/** The disk or the state machine, once it is at one thing for longer than a heartbeat. */
function slow({ applyingSinceMs, raft }: Group, { nowMs, turn }: Surroundings): string[] {
  const reasons: string[] = [];
  for (const [what, sinceMs] of [
    ['The disk of this node has been at one write', turn.writingSinceMs],
    ['The state machine of this node has been at one batch', applyingSinceMs],
  ] as const) {
    const forMs = sinceMs === null ? 0 : nowMs - sinceMs;
    if (forMs > raft.options.heartbeatMs) reasons.push(`${what} for ${Math.floor(forMs)} ms.`);
  }
  if (raft.stalled) reasons.push('While that lasts this node leads nothing.');
  return reasons;
}

function leading(raft: RaftState, { nowMs, isConnected }: Surroundings): string[] {
  const leader = raft.leader as NonNullable<RaftState['leader']>;
  const reasons: string[] = [];
  for (const [half, voters] of halvesOf(raft.configuration)) {
    const silent = voters.filter(
      (id) => id !== raft.id && silentMs(raft, id, nowMs) > raft.options.electionTimeoutMsMax,
    );
    if (2 * (voters.length - silent.length) > voters.length) continue;
    const names = silent.map((id) => `${id} (${isConnected(id) ? 'connected, but silent' : 'not connected'})`);
    reasons.push(`No quorum of ${half}: nothing was heard from ${names.join(', ')} for an election timeout.`);
  }
  for (const { holder, term, untilMs } of leader.barriers) {
    const leftMs = Math.ceil(untilMs - nowMs);
    if (leftMs <= 0) continue;
    reasons.push(
      `Nothing is committed for ${leftMs} ms: ${holder}, leader of term ${term}, may still answer reads by its lease.`,
    );
  }
  if (isInLimbo(raft)) {
    const count = limboEntries(raft).length;
    reasons.push(
      `${count} entries may or may not have been committed by an earlier leader: reads that depend on them wait.`,
    );
  }
  if (leader.transfer !== null)
    reasons.push(`Leadership is being handed to ${leader.transfer.to}: proposals are refused.`);
  if (raft.options.leaseMs > 0 && leaseUntilMs(raft) <= nowMs) {
    reasons.push(
      leader.released
        ? 'The lease of this term was given up: reads ask a quorum.'
        : 'No quorum has acknowledged this leader within its lease, or clocks drift apart: reads ask a quorum.',
    );
  }
  return reasons;
}

function following(raft: RaftState, { nowMs, isConnected }: Surroundings): string[] {
  if (raft.leaderId !== null) {
    if (isConnected(raft.leaderId)) return [];
    return [`${raft.leaderId} leads, but there is no connection to it.`];
  }
  const reasons = [`No leader is known in term ${raft.term}.`];
  if (!isVoter(raft.configuration, raft.id)) reasons.push('This node has no vote in the configuration it knows.');
  else if (raft.newcomer) reasons.push('It is new, and does not know yet what the group has decided of late.');
  for (const [half, voters] of halvesOf(raft.configuration)) {
    const away = voters.filter((id) => id !== raft.id && !isConnected(id));
    if (2 * (voters.length - away.length) > voters.length) continue;
    reasons.push(`No quorum of ${half} to elect one: ${away.join(', ')} cannot be reached.`);
  }
  if (raft.role === Role.candidate) {
    const refusing = [...raft.votes].filter(([, granted]) => !granted).map(([id]) => id);
    const waits = raft.hardStateDurable ? 'waits for votes' : 'waits for its own disk to hold its vote';
    reasons.push(
      `This node stands for election and ${waits}${refusing.length > 0 ? `; ${refusing.join(', ')} refused` : ''}.`,
    );
  } else if (raft.mayCampaign) {
    reasons.push(`It asks for votes in ${Math.max(0, Math.ceil(raft.electionDeadlineMs - nowMs))} ms.`);
  }
  return reasons;
}

function halvesOf({ incoming, outgoing }: Configuration): [name: string, voters: readonly NodeId[]][] {
  if (incoming.length === 0) return [];
  if (outgoing.length === 0) return [['the voters', incoming]];
  return [
    ['the incoming voters', incoming],
    ['the outgoing voters', outgoing],
  ];
}

function silentMs(raft: RaftState, id: NodeId, nowMs: number): number {
  return nowMs - (raft.leader?.progress.get(id)?.ackedSentMs ?? Number.NEGATIVE_INFINITY);
}
