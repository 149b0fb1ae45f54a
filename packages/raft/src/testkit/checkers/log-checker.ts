import type { RaftState } from '../../core/state.ts';
import {
  type Configuration,
  type Entry,
  type GroupId,
  type Index,
  type NodeId,
  Role,
  type Term,
} from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import { type Canon, entryDigest } from './canon.ts';

/** A node of a group as it was when last looked at. */
interface Before {
  raft: RaftState;
  term: Term;
  durable: boolean;
  votes: number;
  role: Role;
  commit: Index;
  applied: Index;
  lastIndex: Index;
  epoch: number;
  base: Index;
  /** From index `base` + 1. */
  readonly entries: Entry[];
}

interface Seen {
  readonly digest: number;
  readonly previousTerm: Term;
}

/** What the thesis promises of terms, logs and commit indexes (figure 3.2), by looking at each core after each event. */
export class LogChecker implements Checker {
  readonly name = 'logs';
  private readonly canons: ReadonlyMap<GroupId, Canon>;
  /** By place of the machine, then by group: looked up after every event. */
  private readonly before: (Before | undefined)[][] = [];
  /** The newest term each node had made durable, over all its lives. */
  private readonly terms: Map<string, Term> = new Map();
  private readonly leaders: Map<string, NodeId> = new Map();
  /** Every entry ever seen in a log: by group, then term, then index. */
  private readonly entries: Map<Term, Map<Index, Seen>>[] = [];

  constructor(canons: ReadonlyMap<GroupId, Canon>) {
    this.canons = canons;
  }

  onDown(_world: SimWorld, machine: Machine): void {
    this.before[machine.place] = [];
  }

  /** It begins anew in the term of whoever made it a learner, which may be an earlier one than it had forgotten. */
  onForgot(_world: SimWorld, machine: Machine, group: GroupId): void {
    this.terms.delete(keyOf(machine, group));
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    if (machine.process?.host == null) return;
    const known = (this.before[machine.place] ??= []);
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft === null) continue;
      const before = known[group];
      if (before === undefined || before.raft !== raft) this.first(world, machine, group, raft);
      else if (changed(before, raft)) this.step(world, machine, group, raft, before);
    }
  }

  private first(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState): void {
    const before: Before = {
      raft,
      term: 0,
      durable: false,
      votes: 0,
      role: Role.follower,
      commit: raft.log.commit,
      applied: raft.log.applied,
      lastIndex: raft.log.baseIndex,
      epoch: raft.log.epoch,
      base: raft.log.baseIndex,
      entries: [],
    };
    (this.before[machine.place] ??= [])[group] = before;
    this.step(world, machine, group, raft, before);
  }

  private step(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState, before: Before): void {
    const { log } = raft;
    const key = keyOf(machine, group);
    const known = Math.max(before.term, machine.wiped ? 0 : (this.terms.get(key) ?? 0));
    requireThat(raft.term >= known, 'TermMonotone', () => `${key} went from term ${known} to ${raft.term}`);
    if (raft.hardStateDurable) this.terms.set(key, raft.term);
    if (raft.role === Role.leader && (before.role !== Role.leader || before.term !== raft.term)) {
      this.elected(world, machine, group, raft);
    }
    if (before.votes !== raft.votes.size) this.refusals(world, raft);
    requireThat(log.commit >= before.commit, 'CommitMonotone', () => `${key}: ${before.commit} to ${log.commit}`);
    requireThat(log.applied >= before.applied, 'AppliedMonotone', () => `${key}: ${before.applied} to ${log.applied}`);
    requireThat(
      log.baseIndex <= log.applied && log.applied <= log.commit && log.commit <= log.lastIndex,
      'IndexOrder',
      () => `${key}: base ${log.baseIndex}, applied ${log.applied}, commit ${log.commit}, last ${log.lastIndex}`,
    );
    if (log.baseIndex !== before.base) this.compacted(world, key, raft, before);
    if (log.lastIndex !== before.lastIndex || log.epoch !== before.epoch) {
      this.logChanged(world, key, group, raft, before);
      goesByItsLog(key, raft);
    }
    if (log.commit > before.commit) this.advanced(world, machine, group, raft, before.commit);
    before.term = raft.term;
    before.durable = raft.hardStateDurable;
    before.votes = raft.votes.size;
    before.role = raft.role;
    before.commit = log.commit;
    before.applied = log.applied;
    before.lastIndex = log.lastIndex;
    before.epoch = log.epoch;
  }

  /** A log that begins later has lost nothing but what is applied, and in a snapshot that is durable. */
  private compacted(world: SimWorld, key: string, { log, snapshotIndex }: RaftState, before: Before): void {
    requireThat(
      log.baseIndex > before.base && log.baseIndex <= snapshotIndex,
      'IndexOrder',
      () =>
        `${key}: the log begins behind ${log.baseIndex}, before ${before.base}, its snapshot ends at ${snapshotIndex}`,
    );
    world.saw(log.baseIndex > before.lastIndex ? 'log replaced by a snapshot' : 'log compacted');
    before.entries.splice(0, log.baseIndex - before.base);
    before.base = log.baseIndex;
  }

  private elected(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState): void {
    const office = `${group}:${raft.term}`;
    const other = this.leaders.get(office);
    requireThat(
      other === undefined || other === raft.id,
      'ElectionSafety',
      () => `group ${group}: ${raft.id} and ${other} both led term ${raft.term}`,
    );
    requireThat(
      other === undefined,
      'ElectionSafety',
      () => `group ${group}: ${raft.id} leads term ${raft.term} twice`,
    );
    this.leaders.set(office, raft.id);
    world.saw('leader elected');
    if (raft.early.isOpen(machine.clock.nowMs())) world.saw('leader elected early, for the last one was gone');
    // What was committed in an earlier term is in the new leader's log: by LogMatching the last of it is enough.
    const canon = this.canons.get(group) as Canon;
    let last = canon.lastIndex;
    while (last > 0 && (canon.at(last)?.committedIn ?? 0) >= raft.term) last -= 1;
    if (last > raft.log.baseIndex) {
      requireThat(
        raft.log.termAt(last) === canon.at(last)?.term,
        'LeaderCompleteness',
        () => `group ${group}: ${machine.id} leads term ${raft.term} without the committed entry ${last}`,
      );
    }
  }

  private refusals(world: SimWorld, raft: RaftState): void {
    for (const granted of raft.votes.values()) {
      if (!granted) world.saw(raft.role === Role.candidate ? 'vote refused' : 'pre-vote refused');
    }
  }

  /** Looks only at entries that were not there before: an entry that is the same object has the same past. */
  private logChanged(world: SimWorld, key: string, group: GroupId, raft: RaftState, before: Before): void {
    const { log } = raft;
    const { entries } = before;
    const base = log.baseIndex;
    let same = Math.min(entries.length, log.lastIndex - base);
    if (log.epoch !== before.epoch) {
      while (same > 0 && entries[same - 1] !== log.entryAt(base + same)) same -= 1;
      if (entries.length - same > 1) world.saw('suffix of several entries truncated');
      if (entries.length > same) world.saw('uncommitted entries overwritten');
      requireThat(
        before.role !== Role.leader || raft.role !== Role.leader || before.term !== raft.term,
        'LeaderAppendOnly',
        () => `${key} truncated its log as leader of term ${raft.term}`,
      );
    }
    entries.length = same;
    for (let index = base + same + 1; index <= log.lastIndex; index += 1) {
      const entry = log.entryAt(index);
      entries.push(entry);
      requireThat(
        entry.configuration === null || raft.configurationIndex >= index,
        'ConfigSafety',
        () => `${key} does not go by the configuration it has at ${index}, but by that of ${raft.configurationIndex}`,
      );
      this.matches(key, group, entry, log.termAt(index - 1) ?? 0);
    }
  }

  private matches(key: string, group: GroupId, entry: Entry, previousTerm: Term): void {
    const terms = (this.entries[group] ??= new Map<Term, Map<Index, Seen>>());
    let seen = terms.get(entry.term);
    if (seen === undefined) {
      seen = new Map();
      terms.set(entry.term, seen);
    }
    const known = seen.get(entry.index);
    const digest = entryDigest(entry);
    if (known === undefined) {
      seen.set(entry.index, { digest, previousTerm });
      return;
    }
    requireThat(
      known.digest === digest && known.previousTerm === previousTerm,
      'LogMatching',
      () => `${key} has another entry (${entry.index}, term ${entry.term}) than was seen before`,
    );
  }

  private advanced(world: SimWorld, machine: Machine, group: GroupId, raft: RaftState, from: Index): void {
    const canon = this.canons.get(group) as Canon;
    const { log } = raft;
    requireThat(
      // What a new leader adopts from its voters was committed before; the commit checker looks closer.
      raft.role !== Role.leader || log.termAt(log.commit) === raft.term || log.commit <= canon.lastIndex,
      'CommitOwnTerm',
      () => `${machine.id} committed ${log.commit} of an earlier term by counting, as leader of term ${raft.term}`,
    );
    for (let index = Math.max(from, log.baseIndex) + 1; index <= log.commit; index += 1) {
      const entry = log.entryAt(index);
      if (index > canon.lastIndex && entry.term < raft.term && raft.role === Role.leader) {
        world.saw('entry of an earlier term committed');
      }
      canon.committed(entry, machine.id, raft.term, world.nowMs);
    }
  }
}

/** Thesis 4.1: a server goes by the latest configuration in its log, committed or not, and by none that is not there. */
function goesByItsLog(key: string, { log, configuration, configurationIndex: index }: RaftState): void {
  requireThat(
    index <= log.baseIndex || (index <= log.lastIndex && same(log.entryAt(index).configuration, configuration)),
    'ConfigSafety',
    () => `${key} goes by a configuration of ${index} that is not in its log, which ends at ${log.lastIndex}`,
  );
}

/** Of an entry that a snapshot covers, the snapshot has a copy. */
function same(one: Configuration | null, other: Configuration): boolean {
  const parts = ['incoming', 'outgoing', 'learners', 'learnersNext'] as const;
  return one === other || (one !== null && parts.every((part) => one[part].join() === other[part].join()));
}

function changed(before: Before, raft: RaftState): boolean {
  const { log } = raft;
  return (
    before.commit !== log.commit ||
    before.applied !== log.applied ||
    before.base !== log.baseIndex ||
    before.lastIndex !== log.lastIndex ||
    before.epoch !== log.epoch ||
    before.term !== raft.term ||
    before.durable !== raft.hardStateDurable ||
    before.votes !== raft.votes.size ||
    before.role !== raft.role
  );
}

function keyOf(machine: Machine, group: GroupId): string {
  return `${machine.id}/${group}`;
}
