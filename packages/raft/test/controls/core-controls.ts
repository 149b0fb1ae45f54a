import { type Control, edit, type Ordeal } from './control.ts';

/** Leaders that do not know yet that they are none, and somebody who asks them. */
const deposedLeaders: Ordeal = {
  nodes: 3,
  groups: 1,
  seconds: 15,
  clients: { count: 2, thinkMsMax: 500, consistency: ['linearizable'] },
  faults: { isolate: 30, pause: 10, split: 10 },
};

/** Rules of elections and votes. */
export const electionControls: readonly Control[] = [
  {
    name: 'vote-not-written',
    bug: 'The vote is not written to disk, so that a node votes again after a restart.',
    edits: [
      edit(
        'core/state.ts',
        '    votedFor: raft.votedFor,\n    promises: raft.promises.map(',
        '    votedFor: null,\n    promises: raft.promises.map(',
      ),
    ],
    seeds: 20,
    caughtBy: /VoteOnce/,
    fast: true,
  },
  {
    name: 'term-not-written',
    bug: 'A term is written only together with a vote in it.',
    edits: [
      edit(
        'core/state.ts',
        '  output.hardState = {\n    term: raft.term',
        '  if (raft.votedFor !== null) output.hardState = {\n    term: raft.term',
      ),
    ],
    seeds: 20,
    caughtBy: /TermMonotone|Liveness/,
  },
  {
    name: 'own-vote-not-written',
    bug: 'A candidate writes down its term and not its vote for itself, so that after a restart it votes for another.',
    edits: [
      edit(
        'core/roles.ts',
        '  // The own vote counts only once it is durable',
        '  output.hardState = { term: raft.term, votedFor: null, promises: raft.promises };\n  // The own vote counts only once it is durable',
      ),
    ],
    seeds: 10,
    caughtBy: /VoteOnce/,
  },
  {
    name: 'grant-before-durable',
    bug: 'A granted vote leaves before it is on disk.',
    edits: [
      edit(
        'core/election.ts',
        '  send(\n    raft,\n    {\n      kind: preVote ?',
        '  send(\n    { hardStateDurable: true },\n    {\n      kind: preVote ?',
      ),
    ],
    seeds: 20,
    caughtBy: /VoteOnce|TermMonotone/,
    fast: true,
  },
  {
    name: 'term-on-the-wire-before-durable',
    bug: 'Messages of a term leave before the term is on disk.',
    edits: [
      edit('core/replication.ts', 'if (raft.hardStateDurable) output.messages', 'if (raft !== null) output.messages'),
    ],
    seeds: 20,
    caughtBy: /TermMonotone|VoteOnce/,
  },
  {
    name: 'second-vote',
    bug: 'A second candidate of a term gets the vote too.',
    edits: [edit('core/election.ts', '(raft.votedFor === request.from || raft.votedFor === null) &&', '')],
    seeds: 40,
    caughtBy: /VoteOnce|ElectionSafety/,
  },
  {
    name: 'minority-elects',
    bug: 'Half of the votes, rounded down, are a majority.',
    edits: [edit('core/quorum.ts', 'const majority = (size >> 1) + 1;', 'const majority = size >> 1;')],
    seeds: 20,
    caughtBy: /ElectionSafety|LeaderCompleteness|CommitQuorum/,
  },
  {
    name: 'log-not-compared',
    bug: 'Votes are given without looking at the log.',
    edits: [edit('core/election.ts', 'free && raft.log.isUpToDate(request)', 'free')],
    seeds: 40,
    caughtBy: /LeaderCompleteness|CanonicalCommit|NoGroupHalts/,
  },
  {
    name: 'log-compared-by-length',
    bug: 'Of two logs the longer one counts as newer, whatever its last term is.',
    edits: [
      edit(
        'core/log.ts',
        'return other.lastTerm > this.lastTerm || (other.lastTerm === this.lastTerm && other.lastIndex >= this.lastIndex);',
        'return other.lastIndex >= this.lastIndex;',
      ),
    ],
    seeds: 1500,
    caughtBy: /LeaderCompleteness|CanonicalCommit|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'log-compared-by-term',
    bug: 'Of two logs with one last term the shorter one counts as up to date.',
    edits: [
      edit(
        'core/log.ts',
        'other.lastTerm > this.lastTerm || (other.lastTerm === this.lastTerm && other.lastIndex >= this.lastIndex)',
        'other.lastTerm >= this.lastTerm',
      ),
    ],
    seeds: 100,
    caughtBy: /LeaderCompleteness|CanonicalCommit|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'vote-forgotten-at-start',
    bug: 'A node that starts takes its term from disk and not its vote.',
    edits: [edit('core/state.ts', 'start.hardState?.term === this.term ? start.hardState.votedFor : null', 'null')],
    seeds: 40,
    caughtBy: /VoteOnce/,
  },
  {
    name: 'term-forgotten-at-start',
    bug: 'A node that starts takes its term from the last entry and not from hard state.',
    edits: [edit('core/state.ts', 'Math.max(start.hardState?.term ?? 0, this.log.lastTerm)', 'this.log.lastTerm')],
    seeds: 40,
    caughtBy: /TermMonotone/,
  },
  {
    name: 'refusal-tells-no-term',
    bug: 'A candidate of an earlier term is not told of the later one.',
    edits: [edit('core/election.ts', '  reply(raft, request, false, nowMs, output);\n', '')],
    seeds: 1,
    caughtBy: /Trace/,
    fast: true,
    ordeal: { trace: 'pre-vote-livelock' },
  },
];

/** Rules of replication and commitment. */
export const replicationControls: readonly Control[] = [
  {
    name: 'commit-of-an-old-term',
    bug: 'A leader commits an entry of an earlier term by counting replicas.',
    edits: [edit('core/replication.ts', ' || log.termAt(committed) !== raft.term', '')],
    seeds: 10,
    caughtBy: /CommitOwnTerm|CommitQuorum/,
    fast: true,
  },
  {
    name: 'commit-by-a-minority',
    bug: 'An entry that one replica has counts as committed.',
    edits: [edit('core/quorum.ts', 'return matches[matches.length >> 1] as Index;', 'return matches[0] as Index;')],
    seeds: 20,
    caughtBy: /CommitQuorum|CanonicalCommit|DurableBeforeAck|ReadLinearizable/,
    fast: true,
  },
  {
    name: 'own-log-counted-unwritten',
    bug: 'A leader counts what it has not yet written itself.',
    edits: [edit('core/replication.ts', 'id === raft.id ? log.persistedIndex', 'id === raft.id ? log.lastIndex')],
    seeds: 20,
    caughtBy: /CommitQuorum|DurableBeforeAck/,
    fast: true,
  },
  {
    name: 'acknowledged-before-durable',
    bug: 'A follower acknowledges entries before they are on disk.',
    edits: [edit('core/follower.ts', 'output.messagesAfterPersist.push(replyTo', 'output.messages.push(replyTo')],
    seeds: 20,
    caughtBy: /DurableBeforeAck/,
    fast: true,
  },
  {
    name: 'acknowledged-whole-log',
    bug: 'A follower vouches for its whole log when only the beginning was compared.',
    edits: [edit('core/follower.ts', 'Math.min(matchIndex, log.persistedIndex)', 'log.persistedIndex')],
    seeds: 100,
    caughtBy: /DurableBeforeAck|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'commit-beyond-the-match',
    bug: 'A follower takes over the commit index of its leader beyond what it compared.',
    edits: [edit('core/follower.ts', 'Math.min(append.commit, matchIndex)', 'Math.min(append.commit, log.lastIndex)')],
    seeds: 200,
    caughtBy: /CanonicalCommit|Assertion/,
    fast: true,
    ordeal: { core: true },
  },
  {
    name: 'every-append-truncates',
    bug: 'Every append truncates what is behind it.',
    edits: [edit('core/follower.ts', 'if (log.termAt(item.index) === item.term) continue;', '')],
    seeds: 100,
    caughtBy: /CommitQuorum|LeaderCompleteness|DurableBeforeAck|CommitMonotone|LogMatching|Assertion/,
    fast: true,
    ordeal: { core: true },
  },
  {
    name: 'no-append-truncates',
    bug: 'An entry that conflicts with the one of the leader stays where it is.',
    edits: [edit('core/follower.ts', 'if (log.termAt(item.index) === item.term) continue;', 'continue;')],
    seeds: 50,
    caughtBy: /DurableBeforeAck|LogMatching|CanonicalCommit|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'previous-entry-not-compared',
    bug: 'An append is taken in wherever the log is long enough, without comparing the term before it.',
    edits: [
      edit('core/follower.ts', 'log.termAt(append.prevIndex) !== append.prevTerm', 'append.prevIndex > log.lastIndex'),
    ],
    seeds: 100,
    caughtBy: /LogMatching|CanonicalCommit|DurableBeforeAck|Assertion/,
    fast: true,
    ordeal: { core: true },
  },
  {
    name: 'durable-mark-kept-at-truncation',
    bug: 'A truncation leaves the mark of what is durable where it was.',
    edits: [edit('core/log.ts', 'if (this.persistedIndex >= fromIndex) this.persistedIndex = fromIndex - 1;', '')],
    seeds: 50,
    caughtBy: /DurableBeforeAck|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'receipt-epoch-ignored',
    bug: 'A receipt from before a truncation vouches for what replaced it.',
    edits: [
      edit('core/raft.ts', 'receipt.epoch === log.epoch && ', ''),
      edit('core/raft.ts', ' && log.termAt(receipt.index) === receipt.term', ''),
    ],
    seeds: 200,
    caughtBy: /DurableBeforeAck|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'append-of-an-old-leader',
    bug: 'An append of an earlier term is taken in.',
    edits: [
      edit(
        'core/raft.ts',
        'refuseStaleAppend(raft, message, nowMs, output);',
        'onAppend(raft, message, nowMs, output);',
      ),
    ],
    seeds: 50,
    caughtBy: /LogMatching|TermMonotone|DurableBeforeAck|Assertion/,
    ordeal: { core: true },
  },
  {
    name: 'refused-append-unanswered',
    bug: 'A follower that cannot take an append says nothing.',
    edits: [edit('core/follower.ts', '    reject(raft, append, nowMs, output);\n', '')],
    seeds: 40,
    caughtBy: /Liveness/,
  },
  {
    name: 'in-flight-never-ends',
    bug: 'What was acknowledged still counts as in flight.',
    edits: [edit('core/progress.ts', '    this.freeThrough(matchIndex);\n', '')],
    seeds: 40,
    caughtBy: /Liveness|Bounded/,
  },
  {
    name: 'in-flight-unbounded',
    bug: 'A leader sends on and on to a follower that does not answer.',
    edits: [
      edit(
        'core/progress.ts',
        'if (this.inflight.length === 0) return true;',
        'if (this.inflight.length >= 0) return true;',
      ),
    ],
    seeds: 20,
    caughtBy: /Bounded/,
    ordeal: { nodes: 3, groups: 1, seconds: 4, clients: { count: 24, thinkMsMax: 2, timeoutMs: 400 } },
  },
  {
    name: 'log-time-goes-back',
    bug: 'An entry carries the clock of its leader, even when it is behind the entry before.',
    edits: [edit('core/replication.ts', 'Math.max(log.lastTimeMs, fields.timeMs)', 'fields.timeMs')],
    seeds: 5,
    caughtBy: /LogTime/,
  },
];

/** Rules of linearizable reads, and of who stays in office. */
export const officeControls: readonly Control[] = [
  {
    name: 'read-without-a-round',
    bug: 'A leader answers reads without asking anyone whether it still leads.',
    edits: [edit('core/reads.ts', 'if (confirmed < flight.round) return false;', '')],
    seeds: 40,
    caughtBy: /ReadLinearizable/,
    fast: true,
    ordeal: deposedLeaders,
  },
  {
    name: 'round-id-reused',
    bug: 'All rounds of reads share one number, so that a late answer confirms a later round.',
    edits: [edit('core/reads.ts', 'raft.round += 1;', 'raft.round = 1;')],
    seeds: 200,
    caughtBy: /ReadLinearizable/,
    fast: true,
    ordeal: deposedLeaders,
  },
  {
    name: 'late-answer-confirms',
    bug: 'Any answer of a follower confirms the newest round, also one sent before it.',
    edits: [
      edit(
        'core/replication.ts',
        'if (reply.round > progress.ackedRound && reply.round <= raft.round) progress.ackedRound = reply.round;',
        'progress.ackedRound = raft.round;',
      ),
    ],
    seeds: 1,
    caughtBy: /ReadLinearizable/,
    fast: true,
    ordeal: { trace: 'read-early-answer' },
  },
  {
    name: 'read-before-own-commit',
    bug: 'A new leader answers reads before an entry of its term is committed.',
    edits: [
      edit('core/reads.ts', 'return raft.log.termAt(raft.log.commit) === raft.term;', 'return raft.term > 0;'),
      edit('core/reads.ts', 'const limbo = isInLimbo(raft);', 'const limbo = isInLimbo(raft) && raft.term < 0;'),
    ],
    seeds: 50,
    caughtBy: /ReadLinearizable/,
    ordeal: { core: true },
  },
  {
    name: 'check-quorum-off',
    bug: 'A leader that hears no quorum stays in office and keeps its followers from electing another.',
    edits: [
      edit(
        'core/raft.ts',
        'if (quorumHeardSince(raft, nowMs - raft.options.electionTimeoutMsMax)) {',
        'if (raft.role === Role.leader) {',
      ),
    ],
    seeds: 1,
    caughtBy: /Trace/,
    ordeal: { trace: 'deaf-leader' },
  },
  {
    name: 'stickiness-off',
    bug: 'A voter that hears its leader helps a node that does not hear it to depose it, again and again.',
    edits: [
      edit('core/raft.ts', 'if (isSticky(raft, message, nowMs)) return false;', ''),
      edit('core/election.ts', ' && !isSticky(raft, request, nowMs)', ''),
    ],
    seeds: 10,
    caughtBy: /Steady/,
    fast: true,
    ordeal: {
      nodes: 3,
      groups: 1,
      seconds: 40,
      // Nobody writes, so that the node which hears no leader has all there is.
      clients: { count: 0, stalks: false },
      schedule: [{ kind: 'bridge', atMs: 5000, forMs: 30_000 }],
      steady: { fromMs: 5000, toMs: 35_000, termsMax: 0, silenceMsMax: 60_000 },
    },
  },
  {
    name: 'pre-vote-off',
    bug: 'A candidate asks for votes without asking first who would give one, and comes back with a term of its own.',
    edits: [
      edit(
        'core/election.ts',
        '  requestVotes(raft, MessageKind.preVote, output);\n  decide(raft, nowMs, output);',
        '  campaign(raft, false, nowMs, output);',
      ),
    ],
    seeds: 10,
    caughtBy: /Steady/,
    ordeal: {
      nodes: 3,
      groups: 1,
      seconds: 40,
      schedule: [{ kind: 'isolate', atMs: 5000, forMs: 30_000 }],
      steady: { fromMs: 5000, toMs: 38_000, termsMax: 3, silenceMsMax: 8000 },
    },
  },
];
