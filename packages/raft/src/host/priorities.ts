import { isJoint, isVoter } from '../core/configuration.ts';
import { InputKind } from '../core/input.ts';
import { ProgressState } from '../core/progress.ts';
import type { GroupId, NodeId } from '../core/types.ts';
import type { Transport } from '../transport/transport.ts';
import type { Group } from './group.ts';
import { priorityOf } from './priority.ts';
import type { Turn } from './turn.ts';

const roundMs = 1000;
/**
 * Rounds a peer must have been connected, so that one that comes and goes is not trusted with anything; and as long must
 * this node have led, or it would hand back to who is about to stop.
 */
const roundsMin = 3;
/** A handover that failed is tried again so much later: each one stops the group's writes for a moment. */
const againMs = 15_000;
/** Entries the successor may be behind: it must have them all before it can lead. */
const behindMax = 1000;

/** Hands groups over to voters of a higher priority, one in each round. */
export class Priorities {
  private readonly priority: number;
  private readonly transport: Transport;
  private readonly turn: Turn;
  private readonly groups: ReadonlyMap<GroupId, Group>;
  private nextMs = 0;
  /** Peers of a higher priority, and for how many rounds they have been connected. */
  private readonly rounds = new Map<NodeId, number>();
  private readonly notBeforeMs = new Map<GroupId, number>();

  constructor(parts: {
    readonly priority: number;
    readonly transport: Transport;
    readonly turn: Turn;
    readonly groups: ReadonlyMap<GroupId, Group>;
  }) {
    this.priority = parts.priority;
    this.transport = parts.transport;
    this.turn = parts.turn;
    this.groups = parts.groups;
  }

  sweep(nowMs: number): void {
    if (nowMs < this.nextMs) return;
    this.nextMs = nowMs + roundMs;
    const higher = this.higher();
    if (higher.length === 0) return;
    for (const group of this.groups.values()) {
      if (nowMs < (this.notBeforeMs.get(group.id) ?? 0)) continue;
      const to = higher.find((peer) => mayTakeOver(group, peer, nowMs));
      if (to === undefined) continue;
      this.notBeforeMs.set(group.id, nowMs + againMs);
      group.push({ kind: InputKind.transfer, to });
      this.turn.schedule(group);
      return;
    }
  }

  /** Highest first. */
  private higher(): NodeId[] {
    const found: { readonly id: NodeId; readonly priority: number }[] = [];
    for (const { id, connected, identity } of this.transport.peers()) {
      const priority = priorityOf(identity?.attributes ?? {});
      if (!connected || priority <= this.priority) {
        this.rounds.delete(id);
        continue;
      }
      const rounds = (this.rounds.get(id) ?? 0) + 1;
      this.rounds.set(id, rounds);
      if (rounds >= roundsMin) found.push({ id, priority });
    }
    return found.sort((a, b) => b.priority - a.priority).map(({ id }) => id);
  }
}

/** Only a leader at rest hands over: one that commits, and in no change of members. */
function mayTakeOver({ halted, raft }: Group, to: NodeId, nowMs: number): boolean {
  const { configuration, leader, log } = raft;
  if (halted !== null || leader === null || leader.transfer !== null || leader.probing || raft.stalled) return false;
  if (nowMs - leader.electedMs < roundsMin * roundMs) return false;
  if (isJoint(configuration) || configuration.planned !== undefined || !isVoter(configuration, to)) return false;
  if (log.termAt(log.commit) !== raft.term) return false;
  const progress = leader.progress.get(to);
  return progress?.state === ProgressState.replicate && log.lastIndex - progress.matchIndex <= behindMax;
}
