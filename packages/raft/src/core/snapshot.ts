import { assert } from '../base/assert.ts';
import type { SnapshotTakenInput } from './input.ts';
import type { Output } from './output.ts';
import { ProgressState } from './progress.ts';
import { leaderStateOf } from './replication.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';
import { type Index, type NodeId, Role, type SnapshotPoint } from './types.ts';

// Snapshots and log compaction (thesis 5). The bytes of a snapshot never pass through here: the core only learns that
// one was taken, that one was installed, or that one on its way to a follower will not arrive.

/** A snapshot of the own state is durable: gives up the entries that nobody here is known to need. */
export function onSnapshotTaken(raft: RaftState, { index, compactIndex }: SnapshotTakenInput, output: Output): void {
  assert(index <= raft.log.applied && compactIndex <= index, 'a snapshot is of what was applied');
  raft.snapshotIndex = Math.max(raft.snapshotIndex, index);
  const through = Math.min(compactIndex, pinnedIndex(raft));
  if (through <= raft.log.baseIndex) return;
  raft.compact(through);
  output.base = raft.log.logBase;
}

/** Behind a snapshot that is on its way the log is kept, or the follower would need the next one at once. */
function pinnedIndex(raft: RaftState): Index {
  let index = Number.POSITIVE_INFINITY;
  for (const { state, pendingIndex } of raft.leader?.progress.values() ?? []) {
    if (state === ProgressState.snapshot) index = Math.min(index, pendingIndex);
  }
  return index;
}

/**
 * The state machine holds a snapshot that is ahead of it. It may be believed whoever sent it, in whatever term: it
 * covers committed entries only. A log that leads up to it goes on as it is; any other ends there, with every
 * configuration it held (thesis figure 5.3, rules 6 to 8).
 */
export function onSnapshotInstalled(raft: RaftState, point: SnapshotPoint, nowMs: number, output: Output): void {
  const { log } = raft;
  assert(point.index > log.applied, 'a snapshot that is behind is not installed');
  // It came on a connection of its own, perhaps before any message of the term it ends in.
  if (point.term > raft.term) {
    becomeFollower(raft, { term: point.term, leaderId: null, reason: 'a later term was seen' }, nowMs, output);
  }
  if (log.termAt(point.index) === point.term) {
    log.applied = point.index;
    if (point.index > log.commit) {
      log.commit = point.index;
      output.commit = point.index;
    }
  } else {
    assert(raft.role !== Role.leader, 'a leader has every committed entry');
    raft.restart(point);
    output.base = log.logBase;
    output.baseReset = true;
    output.persistFrom = 0;
    output.commit = point.index;
    // It may say that this node is a voter, or is none any more.
    raft.resetElectionDeadline(nowMs);
  }
  raft.snapshotIndex = point.index;
}

/** Another attempt begins with the next heartbeat. */
export function onSnapshotAbandoned(raft: RaftState, to: NodeId): void {
  if (raft.role !== Role.leader) return;
  const progress = leaderStateOf(raft).progress.get(to);
  if (progress?.state === ProgressState.snapshot) progress.becomeProbe(progress.matchIndex + 1);
}
