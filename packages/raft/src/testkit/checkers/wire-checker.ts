import { u32At } from '../../base/little-endian.ts';
import { type BatchSink, readBatch } from '../../codec/batch.ts';
import { frameHeadBytes, FrameType } from '../../codec/frame.ts';
import {
  type AppendReply,
  type AppendRequest,
  type Message,
  MessageKind,
  type VoteRequest,
} from '../../core/message.ts';
import type { RaftState } from '../../core/state.ts';
import { type GroupId, type NodeId, Role, type Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';
import type { DurableGroup, DurableViews } from './durable-view.ts';
import type { LeaseChecker } from './lease-checker.ts';
import { Refusals } from './refusals.ts';

/**
 * Reads everything hosts send each other, and compares it with the core and the disk of the sender: no message of a
 * term before the term is durable, no vote before the vote is, no acknowledgement before the entries are, and nothing
 * that is not so.
 */
export class WireChecker implements Checker {
  readonly name = 'wire';
  private readonly views: DurableViews;
  /** Whom each node voted for, by group, term and node, for ever. */
  private readonly votes: Map<string, NodeId> = new Map();
  private readonly refusals = new Refusals();
  private readonly leases: LeaseChecker;

  constructor(views: DurableViews, leases: LeaseChecker) {
    this.views = views;
    this.leases = leases;
  }

  onSend(world: SimWorld, from: Machine, to: string, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 8 + u32At(bytes, at);
      if (bytes[at + 8] === FrameType.batch) {
        const sink = new Judge(this, world, from);
        readBatch(bytes.subarray(at + frameHeadBytes, end), from.id as NodeId, to as NodeId, sink);
      }
      at = end;
    }
  }

  message(world: SimWorld, from: Machine, group: GroupId, message: Message): void {
    requireThat(!from.wiped, 'WipedStaysOut', () => `${from.id} takes part though its disk was wiped`);
    requireThat(
      world.groups.includes(group),
      'MessageHonesty',
      () => `${from.id} speaks of group ${group}, which there is not`,
    );
    const raft = from.raft(group);
    if (raft === null) return;
    requireThat(
      isPreVote(message) || this.durable(from, group, ({ term }) => term >= message.term),
      'TermMonotone',
      () => `${from.id} speaks for term ${message.term} of group ${group}, which its disk does not know`,
    );
    this.leases.sent(world, from, group, message);
    switch (message.kind) {
      case MessageKind.vote:
        this.voted(from, group, { term: message.term, candidate: from.id as NodeId });
        this.refusals.asked(group, message);
        candidate(from, raft, message);
        return;
      case MessageKind.voteReply:
        if (message.granted) this.voted(from, group, { term: message.term, candidate: message.to });
        else this.refusals.refused(world, group, raft, message);
        return;
      case MessageKind.append:
        append(from, raft, message);
        return;
      case MessageKind.appendReply:
        if (message.accepted) this.acknowledged(world, from, group, message);
        return;
      default:
    }
  }

  private voted(
    from: Machine,
    group: GroupId,
    { term, candidate }: { readonly term: Term; readonly candidate: NodeId },
  ): void {
    const key = `${group}/${term}/${from.id}`;
    const before = this.votes.get(key);
    requireThat(
      before === undefined || before === candidate,
      'VoteOnce',
      () => `${from.id} voted for ${before} and for ${candidate} in term ${term} of group ${group}`,
    );
    this.votes.set(key, candidate);
    requireThat(
      this.durable(from, group, (durable) => durable.term > term || durable.votedFor === candidate),
      'VoteOnce',
      () => `${from.id} votes for ${candidate} in term ${term} of group ${group}, which its disk does not know`,
    );
  }

  /** While the term lasts nobody truncates what its leader sent, so that the log says which entries are meant. */
  private acknowledged(world: SimWorld, from: Machine, group: GroupId, { to, term, matchIndex }: AppendReply): void {
    const raft = from.raft(group) as RaftState;
    if (raft.term !== term || matchIndex <= raft.log.baseIndex) return;
    const entryTerm = raft.log.termAt(matchIndex);
    requireThat(
      entryTerm !== undefined && this.durable(from, group, (durable) => durable.holds(matchIndex, entryTerm)),
      'DurableBeforeAck',
      () => `${from.id} acknowledges ${matchIndex} of group ${group}, which its disk does not hold`,
    );
    const leader = world.machineOf(to)?.raft(group);
    if (leader == null || leader.role !== Role.leader || leader.term !== term || matchIndex < leader.log.baseIndex)
      return;
    requireThat(
      leader.log.termAt(matchIndex) === entryTerm,
      'MessageHonesty',
      () => `${from.id} acknowledges ${matchIndex} of group ${group} to ${to}, whose log has another entry there`,
    );
  }

  /** Of a spoiled disk nobody can tell what it held when it should. */
  private durable(from: Machine, group: GroupId, test: (durable: DurableGroup) => boolean): boolean {
    return from.harmed || this.views.holds(from, group, test);
  }
}

class Judge implements BatchSink {
  private readonly checker: WireChecker;
  private readonly world: SimWorld;
  private readonly from: Machine;

  constructor(checker: WireChecker, world: SimWorld, from: Machine) {
    this.checker = checker;
    this.world = world;
    this.from = from;
  }

  message(group: GroupId, message: Message): void {
    this.checker.message(this.world, this.from, group, message);
  }

  request(): void {
    requireThat(!this.from.wiped, 'WipedStaysOut', () => `${this.from.id} passes calls on though its disk was wiped`);
  }

  reply(): void {}

  transfer(): void {
    requireThat(!this.from.wiped, 'WipedStaysOut', () => `${this.from.id} sends snapshots though its disk was wiped`);
  }
}

function isPreVote({ kind }: Message): boolean {
  return kind === MessageKind.preVote || kind === MessageKind.preVoteReply;
}

function candidate(from: Machine, raft: RaftState, { term, lastIndex, lastTerm }: VoteRequest): void {
  if (raft.term !== term || raft.role !== Role.candidate) return;
  const { log } = raft;
  requireThat(
    log.lastIndex === lastIndex && log.lastTerm === lastTerm,
    'MessageHonesty',
    () => `${from.id} stands for term ${term} with (${lastIndex}, term ${lastTerm}), which is not the end of its log`,
  );
}

/** What a leader sends is in its log. Of an office that is over it is not asked: the log may have changed since. */
function append(from: Machine, raft: RaftState, message: AppendRequest): void {
  if (raft.term !== message.term || raft.role !== Role.leader) return;
  const { log } = raft;
  const { prevIndex, prevTerm, entries, commit } = message;
  let honest = commit <= log.commit && (prevIndex < log.baseIndex || log.termAt(prevIndex) === prevTerm);
  for (const { index, term } of entries) honest &&= index <= log.baseIndex || log.termAt(index) === term;
  requireThat(
    honest,
    'MessageHonesty',
    () => `${from.id} sends entries behind ${prevIndex} and commit ${commit} that its log does not have`,
  );
}
