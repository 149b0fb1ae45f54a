import type { RaftState } from '../../core/state.ts';
import { type GroupId, type Index, nodeId, Role, type Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import type { ClientOperation } from '../operation.ts';
import { callOf, LogMirror } from './log-mirror.ts';
import { messagesIn } from './messages.ts';

interface Before {
  raft: RaftState;
  role: Role;
  term: Term;
  commit: Index;
  applied: Index;
}

const roleNames: Record<Role, string> = {
  [Role.follower]: 'follower',
  [Role.preCandidate]: 'preCandidate',
  [Role.candidate]: 'candidate',
  [Role.leader]: 'leader',
};

/** Looks into every node after every event and tells the trace what changed. It judges nothing. */
export class Recorder implements Checker {
  readonly name = 'recorder';
  private readonly before: Map<string, Before> = new Map();
  private readonly mirrors: Map<string, LogMirror> = new Map();
  /** By group: the highest index any node took for committed. */
  private readonly committed: Map<GroupId, Index> = new Map();
  /** By group, candidate and term: who voted for it, as far as the vote was sent. */
  private readonly votes: Map<string, Set<string>> = new Map();

  afterEvent(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft !== null) this.look(world, machine, group, raft);
    }
  }

  onSend(world: SimWorld, from: Machine, to: string, bytes: Uint8Array): void {
    for (const facts of messagesIn(bytes, nodeId(from.id), nodeId(to))) {
      world.timeline.tell(from.id, 'message', { to, ...facts });
      const { group, message, term } = facts;
      if (message === 'voteReply' && facts['granted'] === true) this.votesFor(group, to, term).add(from.id);
    }
  }

  /** Which nodes have an acknowledged write where it was said to be, as far as they were last seen. */
  holders({ id, group, index }: ClientOperation, nodes: readonly string[]): string[] {
    return nodes.filter((node) => this.mirrors.get(`${node}/${group}`)?.holds(id, index) ?? false);
  }

  private look(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState): void {
    const key = `${machine.id}/${group}`;
    const { timeline } = world;
    const mirror = this.mirrors.get(key) ?? new LogMirror();
    this.mirrors.set(key, mirror);
    if (mirror.changed(raft)) {
      const dropped = mirror.look(raft);
      if (dropped !== null) timeline.tell(machine.id, 'log cut', { group, ...dropped });
    }
    const known = this.before.get(key);
    const before = known?.raft === raft ? known : { raft, role: Role.follower, term: 0, commit: 0, applied: 0 };
    const { role, term, log } = raft;
    if (role !== before.role || term !== before.term) {
      const votes = role === Role.leader ? { votes: [...this.votesFor(group, machine.id, term)].sort() } : {};
      timeline.tell(machine.id, 'role', { group, role: roleNames[role], term, ...votes });
    }
    if (log.commit > before.commit) this.advanced(world, machine, group, raft);
    if (log.applied > before.applied) timeline.tell(machine.id, 'applied', { group, index: log.applied });
    this.before.set(key, { raft, role, term, commit: log.commit, applied: log.applied });
  }

  private votesFor(group: GroupId, candidate: string, term: Term): Set<string> {
    const key = `${group}/${candidate}/${term}`;
    const votes = this.votes.get(key) ?? new Set([candidate]);
    this.votes.set(key, votes);
    return votes;
  }

  private advanced(world: SimWorld, machine: Machine, group: GroupId, { log }: RaftState): void {
    const { timeline } = world;
    timeline.tell(machine.id, 'commit', { group, index: log.commit });
    const known = this.committed.get(group) ?? 0;
    for (let index = Math.max(known, log.baseIndex) + 1; index <= log.commit; index += 1) {
      const entry = log.entryAt(index);
      const call = callOf(entry);
      if (call !== 0) timeline.tell(machine.id, 'committed', { group, index, term: entry.term, call });
    }
    this.committed.set(group, Math.max(known, log.commit));
  }
}
