import { leaseGrant, stretched } from '../../core/lease.ts';
import { type AppendReply, type Message, MessageKind, type VoteReply } from '../../core/message.ts';
import type { LeaderState, RaftState } from '../../core/state.ts';
import type { GroupId, Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine, Process } from '../machine.ts';
import { requireThat } from '../violation.ts';

/** Rounding between clocks of different pace, in ms. */
const roundingMs = 0.01;

/** An acknowledgement that lets its leader hold a lease, counted from when it was asked. */
interface Earned {
  readonly holder: Machine;
  readonly process: Process | null;
  readonly sentMs: number;
}

interface Office {
  readonly term: Term;
  leaseSeen: boolean;
  doubtMs: number;
}

/**
 * What a promise lease rests on (docs/reads.md), judged with true time and every clock in sight: while one leader may
 * answer alone no later one commits, and every vote tells of every lease that its voter has helped to earn.
 */
export class LeaseChecker implements Checker {
  readonly name = 'leases';
  /** By group: the newest term whose leader committed an entry of its own. */
  private readonly committedIn: Term[] = [];
  /** By voter and group. */
  private readonly earned: Map<string, Map<Term, Earned>> = new Map();
  private readonly offices: Map<RaftState, Office> = new Map();

  afterEvent(world: SimWorld, machine: Machine): void {
    const { groups } = world;
    for (let at = 0; at < groups.length; at += 1) {
      const group = groups[at] as GroupId;
      const raft = machine.raft(group);
      if (raft === null || raft.leader === null) continue;
      this.watch(world, machine, raft, raft.leader);
      const newest = this.committedIn[group] ?? 0;
      if (raft.term < newest) this.holdsNone(machine, group, newest);
      else if (raft.term > newest && raft.log.termAt(raft.log.commit) === raft.term) {
        this.committedIn[group] = raft.term;
        for (const other of world.machines) this.holdsNone(other, group, raft.term);
      }
    }
  }

  onUp(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) {
      const promises = machine.raft(group)?.promises ?? [];
      if (promises.some(({ untilMs }) => untilMs > machine.clock.nowMs())) world.saw('node restarted inside a lease');
    }
  }

  onDown(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) {
      const raft = machine.raft(group);
      if (raft === null) continue;
      if (raft.leader !== null && leaseGrant(raft, machine.clock.nowMs()) !== null)
        world.saw('leader went down inside its lease');
      this.offices.delete(raft);
    }
  }

  /** A message leaves its host. */
  sent(world: SimWorld, from: Machine, group: GroupId, message: Message): void {
    if (message.kind === MessageKind.appendReply) this.acknowledged(world, from, group, message);
    else if (message.kind === MessageKind.voteReply && message.granted) this.voted(world, from, group, message);
  }

  /** A leader of an earlier term than one whose leader has committed. */
  private holdsNone(machine: Machine, group: GroupId, newest: Term): void {
    const raft = machine.raft(group);
    if (raft === null || raft.leader === null || raft.term >= newest || stoodStill(machine, raft, raft.leader)) return;
    const grant = leaseGrant(raft, machine.clock.nowMs());
    requireThat(
      grant === null || grant.remainingMs <= roundingMs,
      'LeaseDisjoint',
      () =>
        `${machine.id} may answer reads of group ${group} alone for another ${grant?.remainingMs} ms in term ${raft.term}, though the leader of term ${newest} has committed`,
    );
  }

  private acknowledged(world: SimWorld, from: Machine, group: GroupId, { to, term, sentMs }: AppendReply): void {
    const holder = world.machineOf(to);
    const raft = holder?.raft(group) ?? null;
    if (holder === undefined || raft === null || raft.leader?.probing === true) return;
    if (!counts(raft, { term, sentMs })) return;
    const key = `${from.id}/${group}`;
    let terms = this.earned.get(key);
    if (terms === undefined) {
      terms = new Map();
      this.earned.set(key, terms);
    }
    const known = terms.get(term);
    if (known === undefined || known.process !== holder.process || known.sentMs < sentMs) {
      terms.set(term, { holder, process: holder.process, sentMs });
    }
  }

  private voted(world: SimWorld, voter: Machine, group: GroupId, { to, term, promises }: VoteReply): void {
    if (promises.length > 0) world.saw('vote that told of a lease');
    const raft = voter.raft(group);
    if (raft === null || voter.harmed) return;
    const committedTerm = raft.log.termAt(raft.log.commit) ?? 0;
    const released = world.machineOf(to)?.raft(group)?.releasedTerm ?? 0;
    for (const [earnedIn, earned] of this.earned.get(`${voter.id}/${group}`) ?? []) {
      if (earnedIn >= term || earnedIn < committedTerm || earnedIn === released) continue;
      const leftMs = leftOf(earned, group, earnedIn);
      if (leftMs <= 0) continue;
      const told = promises.find(({ holder, term: of }) => of === earnedIn && holder === earned.holder.id);
      const toldMs = told?.remainingMs ?? 0;
      requireThat(
        toldMs >= leftMs - roundingMs,
        'LeasePromise',
        () =>
          `${voter.id} votes for ${to} in term ${term} of group ${group} and tells of ${toldMs} ms left to the leader of term ${earnedIn}, ${earned.holder.id}, which may count on ${leftMs} ms`,
      );
    }
  }

  private watch(world: SimWorld, machine: Machine, raft: RaftState, leader: LeaderState): void {
    const { term } = raft;
    const { leaseSeen, leaseDoubtMs } = leader;
    const known = this.offices.get(raft);
    if (known === undefined || known.term !== term) {
      this.offices.set(raft, { term, leaseSeen, doubtMs: leaseDoubtMs });
      if (leader.barrierUntilMs > machine.clock.nowMs()) world.saw('commits held back for a lease');
      return;
    }
    if (known.leaseSeen && !leaseSeen && !leader.released) {
      world.saw(known.doubtMs === leaseDoubtMs ? 'lease expired in office' : 'lease given up in doubt of a clock');
    }
    known.leaseSeen = leaseSeen;
    known.doubtMs = leaseDoubtMs;
  }
}

/** Whether an answer to what was asked then counts for the lease of this leader; while it only probes, what came before. */
function counts(raft: RaftState, asked: { readonly term: Term; readonly sentMs: number }): boolean {
  const { leader } = raft;
  if (leader === null || raft.term !== asked.term || raft.options.leaseMs === 0) return false;
  if (leader.released || raft.stalled) return false;
  return asked.sentMs >= leader.electedMs && asked.sentMs > leader.leaseDoubtMs;
}

/** For how long, by a clock as slow as clocks may be, an acknowledgement may still be counted on. */
function leftOf({ holder, process, sentMs }: Earned, group: GroupId, term: Term): number {
  const raft = holder.raft(group);
  if (raft === null || holder.process !== process || !counts(raft, { term, sentMs })) return 0;
  if (stoodStill(holder, raft, raft.leader as LeaderState)) return 0;
  return stretched(sentMs + raft.options.leaseMs - holder.clock.nowMs(), raft.options.driftPpm);
}

/** Its clock stood still for a while: before it answers anything it finds out, and counts on nothing from before. */
function stoodStill(machine: Machine, raft: RaftState, leader: LeaderState): boolean {
  const { stoodStillMs } = machine.clock;
  return leader.leaseDoubtMs < stoodStillMs && stoodStillMs > machine.clock.nowMs() - raft.options.leaseMs;
}
