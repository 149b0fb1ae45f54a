import { assert } from '../base/assert.ts';
import type { RaftState } from './state.ts';
import { Role } from './types.ts';

/** What must hold on one node after every step. Cheap enough to stay on in production. */
export function checkInvariants(raft: RaftState): void {
  const { log } = raft;
  assert(log.baseIndex <= raft.snapshotIndex, 'what was compacted is in a snapshot');
  assert(raft.snapshotIndex <= log.commit, 'a snapshot is of what was committed');
  assert(log.baseIndex <= log.applied, 'only applied entries are compacted');
  assert(log.applied <= log.commit, 'applied never passes commit');
  assert(log.commit <= log.lastIndex, 'commit never passes the end of the log');
  assert(log.persistedIndex <= log.lastIndex, 'nothing beyond the end of the log is durable');
  assert(log.lastTerm <= raft.term, 'no entry is of a later term');
  assert((raft.role === Role.leader) === (raft.leader !== null), 'a leader, and only a leader, has leader state');
  assert(raft.role !== Role.leader || raft.leaderId === raft.id, 'a leader knows who leads');
  assert(raft.role === Role.leader || raft.leaderId !== raft.id, 'nobody believes to be led by itself');
  assert(raft.hardStatePersisted <= raft.hardStateVersion, 'the disk is not ahead of memory');
}
