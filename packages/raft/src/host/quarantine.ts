import { type Quarantine, QuarantineStage } from '../codec/record.ts';
import { type Message, MessageKind } from '../core/message.ts';
import type { RaftState } from '../core/state.ts';

// What a replica may do that began with nothing: because its log was damaged, or because it has only just joined.

/** Of one that joins: a node of its name may have been there before, on another disk. */
export const joining: Quarantine = { stage: QuarantineStage.refilling, voter: false, since: 0, reason: 'it joins' };

/** Whether there is something to be told: who was removed meanwhile, or only joins, learns like anybody who is added. */
export function isAiling(quarantine: Quarantine | null): quarantine is Quarantine {
  return quarantine !== null && (quarantine.voter || quarantine.stage !== QuarantineStage.refilling);
}

/** Whether what this node has of the group is not gone on from: it is silent. */
export function isGivenUp(quarantine: Quarantine | null): quarantine is Quarantine {
  return quarantine !== null && quarantine.stage !== QuarantineStage.refilling;
}

/**
 * Whether it is a vote that is asked for, of one that lost its log and has not yet the configuration again by which it had
 * no vote: without that it could make a leader of somebody who missed it, and counts it as the voter it was.
 */
export function asksTheForgetful({ since }: Quarantine, { log }: RaftState, { kind }: Message): boolean {
  return (kind === MessageKind.vote || kind === MessageKind.preVote) && log.lastIndex < since;
}

/**
 * Whether one that only learns knows by now what became of its vote, and is a replica like any other. That is written
 * down with the entries that say so: were it later, a power cut could leave a group of newcomers that nobody leads.
 */
export function hasArrived(quarantine: Quarantine | null, { log, newcomer }: RaftState): boolean {
  if (quarantine === null || newcomer) return false;
  const { since, stage, voter } = quarantine;
  return stage === QuarantineStage.refilling && !voter && log.lastIndex >= since;
}
