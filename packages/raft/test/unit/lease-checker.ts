import { assert } from '../../src/base/assert.ts';
import {
  type AppendReply,
  type Barrier,
  type Input,
  InputKind,
  type Life,
  type Message,
  MessageKind,
  type NodeId,
  type Term,
  type VoteReply,
} from '../../src/core/index.ts';
import type { Cluster, SimNode } from './cluster.ts';

/** Rounding between clocks of different pace, in ms. */
const roundingMs = 0.01;

interface Earned {
  readonly holder: NodeId;
  readonly life: number;
  /** By the holder's clock. */
  readonly sentMs: number;
  readonly untilMs: number;
}

interface Before {
  readonly term: Term;
  readonly led: boolean;
  readonly barriers: readonly Barrier[];
  readonly input: Input;
}

/**
 * The promises behind leases, looked at directly: most of the time a broken one is paid for much later, or by nobody.
 * It sees true time and all clocks at once.
 */
export class LeaseChecker {
  private before: Before | null = null;
  /** By voter: what leases its acknowledgements may have earned, and until when in true time. */
  private readonly earned: Map<NodeId, Map<Term, Earned>> = new Map();

  beforeStep({ raft }: SimNode, input: Input): void {
    this.before = { term: raft.term, led: raft.leader !== null, barriers: raft.leader?.barriers ?? [], input };
  }

  afterStep(cluster: Cluster, node: SimNode): void {
    if (node.raft.leader === null) return;
    this.outlasts(cluster, node);
    this.letGo(cluster, node);
    onAQuorum(cluster, node);
  }

  sent(cluster: Cluster, node: SimNode, message: Message): void {
    if (message.kind === MessageKind.appendReply) this.acknowledged(cluster, node, message);
    else if (message.kind === MessageKind.voteReply && message.granted) this.voted(cluster, node, message);
  }

  /** An acknowledgement lets its leader hold a lease until `leaseMs` after the question left, by the leader's clock. */
  private acknowledged(cluster: Cluster, node: SimNode, { to, term, sentMs }: AppendReply): void {
    const holder = cluster.nodes.get(to);
    if (holder === undefined || !mayHold(holder, { term, sentMs })) return;
    const leftMs = sentMs + holder.raft.options.leaseMs - cluster.clock(holder);
    const untilMs = cluster.nowMs + leftMs / holder.clockRate;
    let terms = this.earned.get(node.id);
    if (terms === undefined) {
      terms = new Map();
      this.earned.set(node.id, terms);
    }
    if (untilMs > (terms.get(term)?.untilMs ?? 0)) terms.set(term, { holder: to, life: holder.life, sentMs, untilMs });
  }

  /** A vote tells of every lease its voter may have helped to earn, restarts included. */
  private voted(cluster: Cluster, node: SimNode, { to, term, promises }: VoteReply): void {
    const { log } = node.raft;
    const committedTerm = log.termAt(log.commit) ?? 0;
    for (const [earnedIn, { holder: id, life, sentMs, untilMs }] of this.earned.get(node.id) ?? []) {
      const holder = cluster.nodes.get(id) as SimNode;
      if (earnedIn >= term || earnedIn < committedTerm || untilMs <= cluster.nowMs) continue;
      if (holder.life !== life || !mayHold(holder, { term: earnedIn, sentMs }) || holder.suspended) continue;
      if (cluster.nodes.get(to)?.raft.releasedTerm === earnedIn) continue;
      const told = promises.find((promise) => promise.term === earnedIn && promise.holder === id);
      const toldMs = told?.remainingMs ?? 0;
      assert(
        cluster.nowMs + toldMs / node.clockRate >= untilMs - roundingMs,
        'LeasePromise: a vote tells for how long its voter has promised a lease, restarts included',
      );
    }
  }

  /** Whoever leads a later term waits at least as long as anybody may still answer reads by an earlier lease. */
  private outlasts(cluster: Cluster, node: SimNode): void {
    const { leader, term } = node.raft;
    let waitMs = 0;
    for (const { untilMs } of leader?.barriers ?? []) {
      waitMs = Math.max(waitMs, (untilMs - cluster.clock(node)) / node.clockRate);
    }
    for (const other of cluster.nodes.values()) {
      if (other.raft.term >= term) continue;
      const grant = cluster.leaseGrant(other);
      if (grant === null) continue;
      assert(
        grant.remainingMs / other.clockRate <= waitMs + roundingMs,
        'LeasePromise: a new leader waits for as long as a former one may hold its lease',
      );
    }
  }

  /** A barrier falls before its time only to a word of the very life it waits for, or to one that outlived it. */
  private letGo(cluster: Cluster, node: SimNode): void {
    const { raft } = node;
    const { before } = this;
    if (raft.leader === null || before === null) return;
    const same = before.led && before.term === raft.term;
    const expected = same ? before.barriers : raft.evidence.barriers;
    const speakers: { readonly id: NodeId; readonly life: Life }[] = [{ id: raft.id, life: raft.life }];
    if (!same) speakers.push(...raft.evidence.voters);
    const { input } = before;
    if (input.kind === InputKind.message) {
      const { message, life } = input;
      if (life !== undefined && message.term >= raft.term) speakers.push({ id: message.from, life });
    }
    const link = input.kind === InputKind.linkReset ? input : null;
    const nowMs = cluster.clock(node);
    for (const barrier of expected) {
      if (barrier.untilMs <= nowMs || raft.leader.barriers.includes(barrier)) continue;
      const freed =
        speakers.some(({ id, life }) => id === barrier.holder && speaksFor(barrier.incarnation, life)) ||
        (link?.peer === barrier.holder && link.life !== undefined && outlived(barrier.incarnation, link.life));
      assert(freed, 'LeasePromise: a barrier falls only to the life that it waits for');
    }
  }
}

/** Whether this node leads this term and an answer to what it asked then counts for its lease. */
function mayHold({ raft, up }: SimNode, asked: { readonly term: Term; readonly sentMs: number }): boolean {
  const { leader } = raft;
  if (!up || leader === null || raft.term !== asked.term || raft.options.leaseMs === 0) return false;
  return !leader.released && !leader.probing && !raft.stalled && asked.sentMs > leader.leaseDoubtMs;
}

function speaksFor(incarnation: number, life: Life): boolean {
  return life.incarnation === incarnation || outlived(incarnation, life);
}

/** Who only shakes hands may be of any term: what it holds itself it goes on holding. */
function outlived(incarnation: number, life: Life): boolean {
  return life.incarnation > incarnation && life.deadSince <= incarnation;
}

/** A lease rests on a quorum of the configuration in effect, of both halves while joint, whatever it was before. */
function onAQuorum(cluster: Cluster, node: SimNode): void {
  const grant = cluster.leaseGrant(node);
  const { configuration, leader, options } = node.raft;
  if (grant === null || leader === null) return;
  const sinceMs = cluster.clock(node) + grant.remainingMs - options.leaseMs - roundingMs;
  for (const half of [configuration.incoming, configuration.outgoing]) {
    const holders = half.filter(
      (id) => id === node.id || (leader.progress.get(id)?.leaseAckedMs ?? Number.NEGATIVE_INFINITY) >= sinceMs,
    );
    assert(
      half.length === 0 || holders.length * 2 > half.length,
      'LeaseQuorum: a lease rests on a majority of each half of the configuration in effect',
    );
  }
}
