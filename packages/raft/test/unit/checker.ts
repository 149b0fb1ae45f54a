import { assert } from '../../src/base/assert.ts';
import {
  type AppendReply,
  type AppendRequest,
  type Configuration,
  type Entry,
  foundingConfiguration,
  EntryKind,
  type Index,
  type Input,
  InputKind,
  isJoint,
  isQuorum,
  isVoter,
  type LeaderState,
  type Message,
  MessageKind,
  type NodeId,
  type Output,
  Role,
  type Term,
} from '../../src/core/index.ts';
import type { Cluster, SimNode, Watcher, Write } from './cluster.ts';
import { LeaseChecker } from './lease-checker.ts';
import { ConfigurationChecker, configurationSights } from './configuration-checker.ts';

interface Canonical {
  readonly entry: Entry;
  /** The term of the leader that committed it. */
  readonly committedIn: Term;
}

interface Before {
  readonly term: Term;
  readonly role: Role;
  readonly commit: Index;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  readonly epoch: number;
  readonly configuration: Configuration;
}

/** Things that must have happened somewhere in a campaign, or it has shown nothing. */
export const sights = [
  'leader elected',
  'pre-vote refused',
  'vote refused',
  'append refused',
  'suffix of several entries truncated',
  'entry of an earlier term committed',
  'leader stepped down without quorum',
  'leader overtaken by a later term',
  'crash lost entries',
  'crash lost a vote',
  'crash amid a write',
  'read released by a round',
  'read refused',
  'proposal refused',
  'proposal overloaded',
  'transfer begun',
  'transfer succeeded',
  'transfer failed',
  'receipt of before a truncation',
  'reply waits for the writes of an earlier output',
  'refusal of a stale append reached the new term of its sender',
  ...configurationSights,
  'commit adopted from a voter',
  'commit deferred by a barrier',
  'barrier ran out',
  'barrier disclaimed',
  'promise kept over a restart',
  'lease read',
  'lease read through limbo',
  'read kept from limbo',
  'lease held beside a later leader',
  'lease expired',
  'leader without quorum kept its lease',
] as const;
export type Sight = (typeof sights)[number];

/**
 * The promises of Raft, checked after every step against all that ever happened. It sees real time and every disk;
 * the nodes see neither.
 */
export class Checker implements Watcher {
  readonly seen: Map<Sight, number> = new Map();
  /** The one history: C[n] is the first entry any node ever took for committed at n. Index 0 is not used. */
  readonly canonical: (Canonical | null)[] = [null];
  readonly released: Set<number> = new Set();
  readonly refused: Set<number> = new Set();
  acceptedProposals = 0;
  private cluster: Cluster | null = null;
  private readonly leaders: Map<Term, NodeId> = new Map();
  private readonly votes: Map<string, NodeId> = new Map();
  /** Every entry ever seen in a log, by term and index, with the term before it. */
  private readonly entries: Map<string, { readonly entry: Entry; readonly previousTerm: Term }> = new Map();
  private readonly readFloor: Map<number, Index> = new Map();
  private readonly durableTerm: Map<NodeId, Term> = new Map();
  private readonly transferTo: Map<Term, NodeId> = new Map();
  private before: Before = {
    term: 0,
    role: Role.follower,
    commit: 0,
    lastIndex: 0,
    lastTerm: 0,
    epoch: 0,
    configuration: foundingConfiguration([]),
  };
  private persistFromBefore = 0;
  private readonly configurations: ConfigurationChecker;

  constructor() {
    this.configurations = new ConfigurationChecker((sight) => this.saw(sight));
  }
  private readonly leases = new LeaseChecker();
  private barriersBefore = 0;
  private barrierUntilBefore = 0;

  watch(cluster: Cluster): void {
    this.cluster = cluster;
  }

  get committed(): Index {
    return this.canonical.length - 1;
  }

  saw(sight: Sight): void {
    this.seen.set(sight, (this.seen.get(sight) ?? 0) + 1);
  }

  readInvoked(id: number): void {
    this.readFloor.set(id, this.committed);
  }

  beforeStep(node: SimNode, input: Input): void {
    this.leases.beforeStep(node, input);
    const { raft } = node;
    const { log } = raft;
    this.before = {
      term: raft.term,
      role: raft.role,
      commit: log.commit,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      epoch: log.epoch,
      configuration: raft.configuration,
    };
    this.barriersBefore = raft.leader?.barriers.length ?? 0;
    this.barrierUntilBefore = raft.leader?.barrierUntilMs ?? 0;
    this.persistFromBefore = node.output.persistFrom;
    node.output.persistFrom = 0;
    if (input.kind === InputKind.persisted && input.epoch !== log.epoch) this.saw('receipt of before a truncation');
    if (
      input.kind === InputKind.message &&
      input.message.kind === MessageKind.appendReply &&
      !input.message.accepted &&
      raft.role === Role.leader &&
      input.message.term === raft.term &&
      input.message.round === 0 &&
      input.message.sentMs === 0
    )
      this.saw('refusal of a stale append reached the new term of its sender');
  }

  /**
   * What this node would answer from now, alone. Whoever has an acknowledgement got it through an entry that is committed;
   * so an answer is fresh if it covers all that, or is only for reads that the rest, in limbo, has nothing to do with.
   */
  leaseRead(node: SimNode): void {
    const grant = (this.cluster as Cluster).leaseGrant(node);
    if (grant === null) return;
    assert(grant.index <= this.committed, 'LeaseRead: a read sees nothing that is not committed');
    const { log } = node.raft;
    const limboEnd = grant.limbo ? (node.raft.leader as LeaderState).limboEnd : 0;
    for (let index = grant.index + 1; index <= this.committed; index += 1) {
      const { entry } = this.canonical[index] as Canonical;
      if (entry.kind !== EntryKind.command) continue;
      assert(
        index <= limboEnd && log.termAt(index) === entry.term,
        'LeaseRead: a read sees all that was acknowledged before it, or knows it to be in limbo',
      );
    }
    this.saw(grant.limbo ? 'lease read through limbo' : 'lease read');
  }

  /** LeaseDisjoint: nobody commits while another may still answer reads alone from what it had before. */
  private disjoint(node: SimNode): void {
    const cluster = this.cluster as Cluster;
    for (const other of cluster.nodes.values()) {
      if (other === node || other.raft.term >= node.raft.term) continue;
      assert(
        cluster.leaseGrant(other) === null,
        'LeaseDisjoint: nothing is committed while a former leader has its lease',
      );
    }
  }

  private watchBarriers(node: SimNode): void {
    const { leader, log, term } = node.raft;
    const count = leader?.barriers.length ?? 0;
    const before = this.barriersBefore;
    if (count < before && leader !== null && this.before.term === term) {
      this.saw(
        (this.cluster as Cluster).clock(node) < this.barrierUntilBefore ? 'barrier disclaimed' : 'barrier ran out',
      );
    }
    if (count > 0 && log.persistedIndex === log.lastIndex) {
      const matches = [...(leader as LeaderState).progress.values()].every(
        ({ matchIndex }) => matchIndex === log.lastIndex,
      );
      if (matches) this.saw('commit deferred by a barrier');
      for (const other of this.cluster?.nodes.values() ?? []) {
        if (other !== node && other.raft.term < term && this.cluster?.leaseGrant(other))
          this.saw('lease held beside a later leader');
      }
    }
    if (leader?.probing === true && this.cluster?.leaseGrant(node)) this.saw('leader without quorum kept its lease');
  }

  afterStep(node: SimNode): void {
    const { raft, output } = node;
    const { before } = this;
    this.watchBarriers(node);
    this.leases.afterStep(this.cluster as Cluster, node);
    const changedFrom = output.persistFrom;
    output.persistFrom = joinPersistFrom(this.persistFromBefore, changedFrom);
    assert(raft.term >= before.term, 'TermMonotone: a term never goes down');
    assert(raft.log.commit >= before.commit, 'CommitMonotone: commit never goes back');
    if (changedFrom > 0) {
      this.logChanged(node, changedFrom);
      this.configurations.changed(node.raft, changedFrom, before);
    }
    if (raft.role === Role.leader) this.ledAfterStep(node);
    if (raft.log.commit > before.commit) this.committedAfterStep(node);
    if (before.role === Role.leader && raft.role !== Role.leader) {
      this.saw(raft.quorumLost ? 'leader stepped down without quorum' : 'leader overtaken by a later term');
    }
    const durable = node.durable.entries.length;
    assert(
      raft.log.persistedIndex <= durable && sameAt(node, raft.log.persistedIndex),
      'DurableBeforeAck: what a node takes for durable is on its disk',
    );
  }

  carriedOut(node: SimNode, output: Output): void {
    if (output.receipt === null && output.messagesAfterPersist.length > 0 && node.writes.length > 0) {
      this.saw('reply waits for the writes of an earlier output');
    }
    for (const { id, index, limbo } of output.readsReleased) {
      this.sawAll(node, { index, limbo }, this.readFloor.get(id) ?? 0);
      assert(index <= this.committed, 'ReadLinearizable: a read sees nothing that is not committed');
      assert(!this.released.has(id), 'a read is answered once');
      this.released.add(id);
      if (node.raft.configuration.incoming.length > 1) this.saw('read released by a round');
    }
    for (const { id } of output.readsRefused) {
      assert(!this.released.has(id) && !this.refused.has(id), 'a read is answered once');
      this.refused.add(id);
      this.saw('read refused');
    }
    this.acceptedProposals += output.accepted.length;
    for (const { code } of output.refused) {
      this.saw(code === 'OVERLOADED' ? 'proposal overloaded' : 'proposal refused');
    }
    for (const note of output.notes) {
      if (note.kind === 'transferFailed') this.saw('transfer failed');
      else if (note.kind === 'removed') this.saw('removed node told');
      else if (note.kind === 'steppedDown' && !isVoter(node.raft.configuration, node.id))
        this.saw('leader removed itself');
    }
    for (const { code } of output.changesRefused) if (code === 'CHANGE_IN_PROGRESS') this.saw('change refused');
    for (const note of output.notes) {
      if (note.kind === 'leaseLost' && note.cause === 'expired') this.saw('lease expired');
    }
  }

  /** A read sees every command that was committed before it, or it is in the limbo of who released the read. */
  private sawAll(node: SimNode, read: { readonly index: Index; readonly limbo: boolean }, floor: Index): void {
    const { leader, log } = node.raft;
    if (read.limbo) this.saw('read kept from limbo');
    if (read.limbo && leader === null) return; // it led when it released the read
    const limboEnd = read.limbo ? (leader as LeaderState).limboEnd : 0;
    for (let at = read.index + 1; at <= floor; at += 1) {
      const { entry } = this.canonical[at] as Canonical;
      assert(
        entry.kind !== EntryKind.command || (at <= limboEnd && log.termAt(at) === entry.term),
        'ReadLinearizable: a read sees all that was committed before it',
      );
    }
  }

  sent(node: SimNode, message: Message): void {
    this.leases.sent(this.cluster as Cluster, node, message);
    const { durable } = node;
    assert(message.from === node.id, 'MessageHonesty: a message names its sender');
    const dryRun =
      message.kind === MessageKind.preVote || (message.kind === MessageKind.preVoteReply && message.granted);
    assert(
      dryRun || message.term <= durable.hardState.term,
      'TermMonotone: no message of a term leaves before the term is on disk',
    );
    switch (message.kind) {
      case MessageKind.voteReply:
        if (message.granted) this.granted(node, { term: message.term, to: message.to });
        else this.saw('vote refused');
        break;
      case MessageKind.preVoteReply:
        if (!message.granted) this.saw('pre-vote refused');
        break;
      case MessageKind.vote:
        // Asking for votes is voting for oneself.
        this.granted(node, { term: message.term, to: node.id });
        break;
      case MessageKind.appendReply:
        this.acknowledged(node, message);
        break;
      case MessageKind.append:
        this.honest(node, message);
        break;
      case MessageKind.timeoutNow:
        this.saw('transfer begun');
        this.transferTo.set(message.term + 1, message.to);
        break;
      default:
        break;
    }
  }

  madeDurable(node: SimNode, write: Write): void {
    const { term, votedFor } = node.durable.hardState;
    assert(term >= (this.durableTerm.get(node.id) ?? 0), 'TermMonotone: a term on disk never goes down');
    this.durableTerm.set(node.id, term);
    if (votedFor !== null && write.hardState !== null) this.votedOnce(node, { term, to: votedFor });
  }

  crashed(node: SimNode): void {
    const { raft, durable } = node;
    if (node.writes.length > 0) this.saw('crash amid a write');
    if (raft.log.lastIndex > durable.entries.length) this.saw('crash lost entries');
    if (raft.term > durable.hardState.term && raft.votedFor !== null) this.saw('crash lost a vote');
  }

  restarted(node: SimNode): void {
    if (node.raft.promises.length > 0) this.saw('promise kept over a restart');
    assert(node.raft.term >= (this.durableTerm.get(node.id) ?? 0), 'TermMonotone: a restart forgets no term');
  }

  /** LogMatching, by induction: an entry is known by its term and index, and so is the term of the one before it. */
  private logChanged(node: SimNode, from: Index): void {
    const { log } = node.raft;
    const { before } = this;
    if (log.epoch !== before.epoch && before.lastIndex - from >= 1) this.saw('suffix of several entries truncated');
    for (let index = from; index <= log.lastIndex; index += 1) {
      const entry = log.entryAt(index);
      const key = `${entry.term}/${index}`;
      const previousTerm = log.termAt(index - 1) as Term;
      const known = this.entries.get(key);
      if (known === undefined) this.entries.set(key, { entry, previousTerm });
      else {
        assert(
          known.entry.payload === entry.payload && known.previousTerm === previousTerm,
          'LogMatching: term and index name an entry and all before it',
        );
      }
    }
  }

  private ledAfterStep(node: SimNode): void {
    const { raft } = node;
    const { before } = this;
    const leader = this.leaders.get(raft.term);
    if (leader === undefined) this.leaders.set(raft.term, node.id);
    else assert(leader === node.id, 'ElectionSafety: at most one leader per term');
    if (before.role !== Role.leader || before.term !== raft.term) {
      this.saw('leader elected');
      if (this.transferTo.get(raft.term) === node.id) this.saw('transfer succeeded');
      const { durable } = node;
      assert(
        durable.hardState.term === raft.term && durable.hardState.votedFor === node.id,
        'VoteOnce: a leader counts its own vote only once it is on disk',
      );
      const votedForIt = (id: NodeId): boolean => this.votes.get(`${id}/${raft.term}`) === node.id;
      assert(isQuorum(before.configuration, votedForIt), 'ElectionQuorum: a leader has the votes of both halves');
      if (isJoint(before.configuration)) this.saw('leader elected by both halves');
      for (let index = 1; index <= this.committed; index += 1) {
        const { entry, committedIn } = this.canonical[index] as Canonical;
        if (committedIn < raft.term)
          assert(raft.log.termAt(index) === entry.term, 'LeaderCompleteness: a leader has every committed entry');
      }
      return;
    }
    assert(
      raft.log.epoch === before.epoch && raft.log.termAt(before.lastIndex) === before.lastTerm,
      'LeaderAppendOnly: a leader only appends to its log',
    );
  }

  private committedAfterStep(node: SimNode): void {
    const { raft } = node;
    const { log } = raft;
    if (raft.role === Role.leader && this.before.role !== Role.leader && log.termAt(log.commit) !== raft.term) {
      assert(log.commit <= this.committed, 'CommitQuorum: what a new leader adopts is committed');
      this.saw('commit adopted from a voter');
    } else if (raft.role === Role.leader) {
      assert(log.termAt(log.commit) === raft.term, 'CommitQuorum: a leader commits through an entry of its own term');
      this.disjoint(node);
      if (log.termAt(this.before.commit + 1) !== raft.term) this.saw('entry of an earlier term committed');
      const { nodes } = this.cluster as Cluster;
      const holds = (id: NodeId): boolean =>
        nodes.get(id)?.durable.entries[log.commit - 1]?.term === log.termAt(log.commit);
      // A change that goes on with this commit takes effect only after it.
      assert(isQuorum(this.before.configuration, holds), 'CommitQuorum: a quorum has a committed entry on disk');
    }
    for (let index = this.before.commit + 1; index <= log.commit; index += 1) {
      const entry = log.entryAt(index);
      const known = this.canonical[index];
      if (known === undefined || known === null) this.canonical[index] = { entry, committedIn: raft.term };
      else assert(known.entry.term === entry.term, 'CanonicalCommit: what is committed at an index never changes');
    }
  }

  private granted(node: SimNode, vote: { readonly term: Term; readonly to: NodeId }): void {
    const { hardState } = node.durable;
    assert(
      hardState.term > vote.term || (hardState.term === vote.term && hardState.votedFor === vote.to),
      'VoteOnce: a vote leaves only when it is on disk',
    );
    this.votedOnce(node, vote);
  }

  private votedOnce(node: SimNode, { term, to }: { readonly term: Term; readonly to: NodeId }): void {
    const key = `${node.id}/${term}`;
    const before = this.votes.get(key);
    if (before === undefined) this.votes.set(key, to);
    else assert(before === to, 'VoteOnce: one vote per term, restarts included');
  }

  private acknowledged(node: SimNode, reply: AppendReply): void {
    if (!reply.accepted) {
      this.saw('append refused');
      return;
    }
    const { durable } = node;
    // A node that has gone on to a later term may have let go of what it vouched for in the earlier one.
    if (reply.term < durable.hardState.term) return;
    assert(reply.matchIndex <= durable.entries.length, 'DurableBeforeAck: an acknowledged entry is on disk');
    const leader = (this.cluster as Cluster).nodes.get(reply.to) as SimNode;
    if (leader.raft.role !== Role.leader || leader.raft.term !== reply.term || reply.matchIndex === 0) return;
    assert(
      leader.raft.log.termAt(reply.matchIndex) === durable.entries[reply.matchIndex - 1]?.term,
      'DurableBeforeAck: an acknowledged entry is the entry of the leader',
    );
  }

  private honest(node: SimNode, append: AppendRequest): void {
    const { log } = node.raft;
    if (node.raft.role !== Role.leader || node.raft.term !== append.term) return;
    assert(log.termAt(append.prevIndex) === append.prevTerm, 'MessageHonesty: the entry before an append is true');
    assert(append.commit <= this.committed, 'MessageHonesty: a commit index told is committed');
    let index = append.prevIndex;
    for (const entry of append.entries) {
      index += 1;
      assert(entry.index === index && log.termAt(index) === entry.term, 'MessageHonesty: entries sent are of the log');
    }
  }
}

function joinPersistFrom(before: Index, now: Index): Index {
  if (before === 0) return now;
  return now === 0 ? before : Math.min(before, now);
}

function sameAt(node: SimNode, index: Index): boolean {
  return index === 0 || node.durable.entries[index - 1]?.term === node.raft.log.termAt(index);
}
