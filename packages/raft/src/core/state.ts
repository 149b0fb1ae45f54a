import { assert } from '../base/assert.ts';
import type { Prng } from '../base/prng.ts';
import { isVoter, replicasOf } from './configuration.ts';
import { EarlyElection, earlyRetryMsMax, earlyRetryMsMin } from './early-election.ts';
import { Log } from './log.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';
import {
  type Configuration,
  type Entry,
  EntryKind,
  firstLife,
  type HardState,
  type Index,
  type LeaseHolder,
  type Life,
  type LogBase,
  type NodeId,
  type PromiseRecord,
  Role,
  type SnapshotPoint,
  type Term,
} from './types.ts';

/** Limits and times of a group. All times in ms, all sizes in bytes. */
export interface RaftOptions {
  /** How often a leader is heard at least. */
  readonly heartbeatMs: number;
  /** An election timeout is drawn anew from [min, max] each time (thesis 3.4). */
  readonly electionTimeoutMsMin: number;
  readonly electionTimeoutMsMax: number;
  /** Entries of one append message; one larger entry still travels, alone. */
  readonly appendBytesMax: number;
  /** Unacknowledged appends to one follower. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Proposed and not yet committed: more is refused with OVERLOADED. */
  readonly uncommittedBytesMax: number;
  /**
   * How long an acknowledgement lets a leader answer reads alone, and so how long a later leader may have to wait before
   * it commits (docs/reads.md). 0: no leases. The core's default; a host's is 2000.
   */
  readonly leaseMs: number;
  /** By how much any clock may run fast or slow against true time, in millionths. Default 10000: one percent. */
  readonly driftPpm: number;
}

export const defaultRaftOptions: RaftOptions = {
  heartbeatMs: 150,
  electionTimeoutMsMin: 300,
  electionTimeoutMsMax: 600,
  appendBytesMax: 1 << 20,
  inflightMessagesMax: 128,
  inflightBytesMax: 16 << 20,
  uncommittedBytesMax: 128 << 20,
  leaseMs: 0,
  driftPpm: 10_000,
};

/** Reads that wait for one confirmation that this node still led when they had arrived. */
export interface ReadRound {
  readonly round: number;
  readonly readIds: readonly number[];
  readonly index: Index;
  /** It began before an entry of the term was committed. */
  readonly limbo: boolean;
}

/** A promise to the leader of a term that may still be running. */
export interface HeldPromise extends PromiseRecord {
  /** By this node's clock. */
  untilMs: number;
}

/** Until then a leader of an earlier term may hold its lease: nothing is committed against it. */
export interface Barrier extends LeaseHolder {
  readonly term: Term;
  /** By this node's clock. */
  readonly untilMs: number;
}

/** What the voters of a campaign told beside their vote. */
export class VoteEvidence {
  /** The largest commit index of any of them. */
  commit: Index = 0;
  readonly barriers: Barrier[] = [];
  /** Who voted in which of its lives: it holds no lease of an earlier term. */
  readonly voters: { readonly id: NodeId; readonly life: Life }[] = [];
}

/**
 * How a learner that is to vote catches up (thesis 4.2.1): in rounds, each to the end the log had when it began. Once a
 * round takes less than an election timeout, making it a voter holds nobody up for longer than an election would.
 */
export interface CatchUp {
  round: number;
  targetIndex: Index;
  startedMs: number;
  done: boolean;
}

export interface Transfer {
  readonly to: NodeId;
  readonly deadlineMs: number;
  /** TimeoutNow left already. */
  sent: boolean;
}

/** What only a leader has; gone with its office. */
export class LeaderState {
  readonly progress: Map<NodeId, Progress> = new Map();
  heartbeatDueMs: number;
  /** When no quorum will have been heard for an election timeout, by what was known at the last heartbeat. */
  quorumDueMs: number = Number.POSITIVE_INFINITY;
  /** Followers are to hear of a new commit index at the end of this turn. */
  commitNotice = false;
  /** Bytes appended in this term and not yet committed. */
  uncommittedBytes = 0;
  /** The round on its way, or null. */
  roundInFlight: ReadRound | null = null;
  /** Reads that wait for the next round. */
  waitingReads: number[] = [];
  /** Reads that wait for the first commit of the term, and for a round after it. */
  patientReads: number[] = [];
  transfer: Transfer | null = null;
  /** Learners that a planned change is to make voters. */
  readonly catchUps: Map<NodeId, CatchUp> = new Map();
  /** Replicas that left the configuration, to be told once that is committed. */
  readonly departed: Set<NodeId> = new Set();
  /** Leases of earlier terms that may still be held. While there are any, nothing is committed. */
  barriers: readonly Barrier[] = [];
  /** The last command that may or may not have been committed by an earlier leader; 0 when there is none. */
  limboEnd: Index = 0;
  /** This term's lease was given up for good. */
  released = false;
  /** No quorum was heard for an election timeout: from now on this leader only asks, and takes nothing new. */
  probing = false;
  /** The lease was held when last looked at, so that its loss can be told. */
  leaseSeen = false;
  /** What was sent before the election, or up to a doubt, earns no lease. */
  readonly electedMs: number;
  leaseDoubtMs: number = Number.NEGATIVE_INFINITY;

  constructor(start: { readonly nowMs: number; readonly heartbeatDueMs: number }) {
    this.electedMs = start.nowMs;
    this.heartbeatDueMs = start.heartbeatDueMs;
  }

  /** When the last barrier falls; -Infinity without any. */
  get barrierUntilMs(): number {
    let untilMs = Number.NEGATIVE_INFINITY;
    for (const barrier of this.barriers) untilMs = Math.max(untilMs, barrier.untilMs);
    return untilMs;
  }
}

interface ConfigurationAt {
  readonly index: Index;
  readonly configuration: Configuration;
}

export interface RaftStart {
  readonly id: NodeId;
  readonly options?: Partial<RaftOptions>;
  /** Draws election timeouts. */
  readonly prng: Prng;
  readonly nowMs: number;
  /** Which life of the node this is. Default: its first. */
  readonly life?: Life;
  /** What the disk held, all of it durable. Absent: a node that never heard of the group. */
  readonly hardState?: HardState;
  readonly base?: LogBase;
  readonly entries?: readonly Entry[];
  /**
   * What the state machine holds: a snapshot the log goes on from, or that covers a part of it. Everything through it
   * is committed and applied. Absent: nothing.
   */
  readonly snapshot?: SnapshotPoint;
  /** Through here the state machine has the entries from a store of its own, behind the snapshot or beyond: they are committed. */
  readonly applied?: Index;
  /** Without a snapshot: who is in the group before an entry says so. Absent: nobody. */
  readonly configuration?: Configuration;
  /** It began with nothing, and the group had a history: see `RaftState.newcomer`. Default false. */
  readonly newcomer?: boolean;
}

const nobody: Configuration = { incoming: [], outgoing: [], learners: [], learnersNext: [], members: [] };

/** One node of one group: everything the protocol knows. Changed only by `step`. */
export class RaftState {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly prng: Prng;
  readonly log: Log;
  term: Term;
  votedFor: NodeId | null;
  readonly life: Life;
  promises: readonly HeldPromise[];
  /** Counts changes of the hard state; equal to `hardStatePersisted` when the disk has the newest. */
  hardStateVersion = 0;
  hardStatePersisted = 0;
  role: Role = Role.follower;
  /** Who leads this term, when known. */
  leaderId: NodeId | null = null;
  leader: LeaderState | null = null;
  readonly votes: Map<NodeId, boolean> = new Map();
  /** The campaign was asked for by the leader. */
  campaignTransfer = false;
  /** The term whose lease that leader gave up for good, or 0. */
  releasedTerm: Term = 0;
  evidence: VoteEvidence = new VoteEvidence();
  /** The disk or the state machine stands still: this node can keep no office. */
  stalled = false;
  electionDeadlineMs: number;
  readonly early: EarlyElection = new EarlyElection();
  /** When the current leader was last heard, or -Infinity: fresh contact makes votes sticky (thesis 4.2.3). */
  leaderHeardMs: number = Number.NEGATIVE_INFINITY;
  /** This node led and lost its quorum, and nobody was heard to lead since. */
  quorumLost = false;
  /**
   * It began with nothing and replays a log in which a node of its name may have voted once: so a configuration that it
   * comes by may be of long ago, and alone in it, or with others like it, it would elect itself. Until it has an entry of
   * the present term that is committed, and with that all changes before, it stands for nothing. The caller keeps this
   * across restarts.
   */
  newcomer: boolean;
  /** The index of a committed configuration that has no place for this node, as heard from one that has it; -1 for none. */
  removedAt: Index = -1;
  /** The newest round of reads ever begun. Never reset: with the term, no round is ever named twice, restarts included,
   * because no node leads one term twice. */
  round = 0;
  /** The newest snapshot that is durable here covers the log through this index; 0 when there is none. */
  snapshotIndex: Index;
  /** Every configuration the log still holds, oldest first; the last one is in effect. */
  private configurations: ConfigurationAt[];

  constructor(start: RaftStart) {
    this.id = start.id;
    this.options = checkedOptions({ ...defaultRaftOptions, ...start.options });
    this.prng = start.prng;
    this.log = new Log(start.base ?? { index: 0, term: 0, timeMs: 0 }, [...(start.entries ?? [])]);
    this.term = Math.max(start.hardState?.term ?? 0, this.log.lastTerm);
    this.votedFor = start.hardState?.term === this.term ? start.hardState.votedFor : null;
    this.life = start.life ?? firstLife;
    this.newcomer = start.newcomer ?? false;
    // How much of a promise is left nobody knows after a restart, so all of it is.
    this.promises = (start.hardState?.promises ?? []).map((promise) => ({
      ...promise,
      untilMs: start.nowMs + promise.durationMs,
    }));
    const { snapshot } = start;
    this.snapshotIndex = snapshot?.index ?? 0;
    this.configurations = [
      snapshot === undefined ? { index: 0, configuration: start.configuration ?? nobody } : configurationOf(snapshot),
    ];
    // Of what a snapshot covers it knows the outcome: nothing there can be truncated any more.
    for (const entry of start.entries ?? []) if (entry.index > this.snapshotIndex) this.noteConfiguration(entry);
    if (snapshot !== undefined) {
      assert(this.log.termAt(snapshot.index) === snapshot.term, 'the log leads up to the snapshot');
      this.log.commit = snapshot.index;
      this.log.applied = snapshot.index;
    }
    if (start.applied !== undefined) this.log.resumeAt(start.applied);
    this.electionDeadlineMs = Number.POSITIVE_INFINITY;
    this.startElectionTimeout(start.nowMs);
  }

  /** The first timeout of a life. Alone, there is nobody to wait for. */
  startElectionTimeout(nowMs: number): void {
    this.resetElectionDeadline(nowMs);
    const { incoming, outgoing } = this.configuration;
    if (incoming.length === 1 && outgoing.length === 0 && incoming[0] === this.id) this.electionDeadlineMs = nowMs;
  }

  /** The configuration in effect: the latest in the log, committed or not (thesis 4.1). */
  get configuration(): Configuration {
    return (this.configurations.at(-1) as ConfigurationAt).configuration;
  }

  /** Where the configuration in effect stands in the log. It has no other name (thesis 4.1). */
  get configurationIndex(): Index {
    return (this.configurations.at(-1) as ConfigurationAt).index;
  }

  /** The latest configuration that is committed. */
  get committedConfiguration(): Configuration {
    return this.configurationAt(this.log.commit).configuration;
  }

  get committedConfigurationIndex(): Index {
    return this.configurationAt(this.log.commit).index;
  }

  get hardStateDurable(): boolean {
    return this.hardStatePersisted === this.hardStateVersion;
  }

  /**
   * A node may campaign as a voter of the configuration in effect, or, while that is not known to be committed, of the
   * one before it: its log may be the only one that wins, and then it must lead the group out of the change although
   * it has no vote in the outcome. The one before is committed even when a restart has forgotten so.
   */
  get mayCampaign(): boolean {
    if (this.isRemoved || this.newcomer) return false;
    if (isVoter(this.configuration, this.id)) return true;
    const before = this.configurationIndex > this.log.commit ? this.configurations.at(-2) : undefined;
    return before !== undefined && isVoter(before.configuration, this.id);
  }

  /** This node was told that it is a member no more, and its log knows nothing newer. */
  get isRemoved(): boolean {
    return this.removedAt >= this.configurationIndex;
  }

  /** Appends to the log and lets a configuration take effect. */
  append(entry: Entry): void {
    this.log.append(entry);
    this.noteConfiguration(entry);
  }

  /** Drops a suffix of the log; the configuration goes back with it. */
  truncateFrom(index: Index): void {
    this.log.truncateFrom(index);
    while ((this.configurations.at(-1) as ConfigurationAt).index >= index) this.configurations.pop();
    assert(this.configurations.length > 0, 'the configuration of the base stays');
  }

  /** The configuration in effect at `index`, which is committed, and the index of its entry. */
  configurationAt(index: Index): ConfigurationAt {
    let at = this.configurations.length - 1;
    while (at > 0 && (this.configurations[at] as ConfigurationAt).index > index) at -= 1;
    return this.configurations[at] as ConfigurationAt;
  }

  /** Who was in the group at `afterIndex` and after each later change that is committed, as far as the log still knows. */
  committedConfigurationsSince(afterIndex: Index): readonly Configuration[] {
    const later = this.configurations.filter(({ index }) => index > afterIndex && index <= this.log.commit);
    return [this.configurationAt(afterIndex), ...later].map(({ configuration }) => configuration);
  }

  /** Others that were in the group at some time, as far as the log still knows, and are not now. */
  formerMembers(): ReadonlySet<NodeId> {
    const former = new Set(this.configurations.flatMap(({ configuration }) => replicasOf(configuration)));
    for (const id of replicasOf(this.configuration)) former.delete(id);
    former.delete(this.id);
    return former;
  }

  /** Gives up the entries through `index`. The configuration in effect there stays known. */
  compact(index: Index): void {
    const kept = this.configurationAt(index);
    this.log.compact(index);
    this.configurations = this.configurations.filter((known) => known.index >= kept.index);
  }

  /** The log starts over behind a snapshot: whoever it named as members, committed or not, is forgotten. */
  restart(point: SnapshotPoint): void {
    this.log.restart(point);
    this.configurations = [configurationOf(point)];
  }

  resetElectionDeadline(nowMs: number): void {
    if (!this.mayCampaign) {
      this.electionDeadlineMs = Number.POSITIVE_INFINITY;
      return;
    }
    const { electionTimeoutMsMin, electionTimeoutMsMax } = this.options;
    // Votes that were asked for get their time, however early: what is lost at once is tried again at once.
    const soon = this.early.isOpen(nowMs) && this.role !== Role.candidate;
    this.electionDeadlineMs =
      nowMs +
      (soon
        ? this.prng.between(earlyRetryMsMin, earlyRetryMsMax)
        : this.prng.between(electionTimeoutMsMin, electionTimeoutMsMax));
  }

  private noteConfiguration(entry: Entry): void {
    if (entry.kind !== EntryKind.configuration) return;
    assert(entry.configuration !== null, 'a configuration entry carries one');
    this.configurations.push({ index: entry.index, configuration: entry.configuration });
  }
}

function configurationOf(snapshot: SnapshotPoint): ConfigurationAt {
  return { index: snapshot.configurationIndex, configuration: snapshot.configuration };
}

/** Asks for term, vote and promises to be made durable. No message of theirs leaves before they are. */
export function persistHardState(raft: RaftState, output: Output): void {
  raft.hardStateVersion += 1;
  output.hardState = {
    term: raft.term,
    votedFor: raft.votedFor,
    promises: raft.promises.map(({ term, holder, incarnation, lineage, durationMs }) => ({
      term,
      holder,
      incarnation,
      lineage,
      durationMs,
    })),
  };
}

/** The relations the protocol needs. The public edge checks them first, with words for the user. */
function checkedOptions(options: RaftOptions): RaftOptions {
  assert(options.heartbeatMs > 0, 'heartbeatMs is positive');
  assert(options.electionTimeoutMsMin > options.heartbeatMs, 'the election timeout is above the heartbeat');
  assert(options.electionTimeoutMsMax >= options.electionTimeoutMsMin, 'the election timeout is a range');
  assert(options.appendBytesMax > 0 && options.inflightBytesMax > 0, 'limits in bytes are positive');
  assert(options.inflightMessagesMax > 0 && options.uncommittedBytesMax > 0, 'limits are positive');
  assert(
    options.leaseMs === 0 || options.leaseMs > options.heartbeatMs,
    'a lease outlasts the heartbeat that renews it',
  );
  assert(options.driftPpm >= 0 && options.driftPpm < 500_000, 'clocks run at about one pace');
  return options;
}
