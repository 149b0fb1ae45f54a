import { type Control, edit, type Ordeal } from './control.ts';

/** Whole hosts whose groups change to any members under every fault. */
const churn: Ordeal = { scenario: 'churn' };
/** Cores alone: a hundred times as many histories in the same time. */
const cores: Ordeal = { core: true };

const settled = 'return raft.configurationIndex <= log.commit && log.termAt(log.commit) === raft.term;';

/** Rules of changes of members (thesis 4). */
export const membershipControls: readonly Control[] = [
  {
    name: 'change-before-commit',
    bug: 'A change begins before the one before it is committed.',
    edits: [edit('core/membership.ts', settled, 'return log.termAt(log.commit) === raft.term;')],
    seeds: 200,
    caughtBy: /ConfigSafety|ElectionSafety|CommitQuorum|LeaderCompleteness|CanonicalCommit|NoGroupHalts|Assertion/,
    ordeal: cores,
  },
  {
    name: 'change-before-own-term',
    bug: 'A leader changes the members before it has committed an entry of its own term: the bug of 2015.',
    edits: [edit('core/membership.ts', settled, 'return raft.configurationIndex <= log.commit;')],
    seeds: 200,
    caughtBy: /ConfigSafety|ElectionSafety|CommitQuorum|LeaderCompleteness|CanonicalCommit|NoGroupHalts|Assertion/,
    ordeal: cores,
  },
  {
    name: 'joint-commit-on-one-half',
    bug: 'While joint, a majority of the new voters is enough to commit.',
    edits: [edit('core/quorum.ts', ', majorityIndex(quorum.outgoing, matchOf));', ');')],
    seeds: 60,
    caughtBy: /CommitQuorum|LeaderCompleteness|CanonicalCommit/,
    ordeal: churn,
  },
  {
    name: 'joint-vote-on-one-half',
    bug: 'While joint, a majority of the new voters is enough to be elected.',
    edits: [
      edit(
        'core/quorum.ts',
        'const outgoing = majorityVote(quorum.outgoing, votes);',
        "const outgoing = 'won' as VoteResult;",
      ),
    ],
    seeds: 2000,
    caughtBy: /ElectionSafety|LeaderCompleteness|CanonicalCommit|LeasePromise|LeaseDisjoint/,
    ordeal: cores,
  },
  {
    name: 'effective-on-commit',
    bug: 'A configuration takes effect when it is committed, and not when it is appended.',
    edits: [
      edit(
        'core/state.ts',
        'return (this.configurations.at(-1) as ConfigurationAt).configuration;',
        'return this.committedConfiguration;',
      ),
    ],
    seeds: 60,
    caughtBy: /ConfigSafety|CommitQuorum|ElectionSafety|LeaderCompleteness|CanonicalCommit|Liveness|NoGroupHalts/,
    ordeal: churn,
  },
  {
    name: 'truncation-keeps-configuration',
    bug: 'A truncation takes back entries, and leaves the configuration they brought in effect.',
    edits: [
      edit(
        'core/state.ts',
        'while ((this.configurations.at(-1) as ConfigurationAt).index >= index) this.configurations.pop();',
        '',
      ),
    ],
    seeds: 200,
    caughtBy: /ConfigSafety|CommitQuorum|ElectionSafety|LeaderCompleteness|CanonicalCommit|Liveness|NoGroupHalts/,
    ordeal: cores,
  },
  {
    name: 'learner-counts',
    bug: 'What a learner has counts towards the majority.',
    edits: [
      edit(
        'core/replication.ts',
        'committedIndex(raft.configuration, (id) =>',
        'committedIndex({ ...raft.configuration, incoming: [...raft.configuration.incoming, ...raft.configuration.learners] }, (id) =>',
      ),
    ],
    seeds: 60,
    caughtBy: /CommitQuorum|LeaderCompleteness|CanonicalCommit/,
    ordeal: churn,
  },
  {
    name: 'removed-leader-counts-itself',
    bug: 'A leader that commits its own removal counts its own log.',
    edits: [
      edit(
        'core/replication.ts',
        'committedIndex(raft.configuration, (id) =>',
        'committedIndex({ ...raft.configuration, incoming: [...new Set([...raft.configuration.incoming, raft.id])] }, (id) =>',
      ),
    ],
    seeds: 200,
    caughtBy: /CommitQuorum|LeaderCompleteness|CanonicalCommit/,
    ordeal: churn,
  },
  {
    name: 'promoted-without-catching-up',
    bug: 'A learner becomes a voter before it has what the group has.',
    edits: [edit('core/membership.ts', "  return ready ? 'ready' : 'waiting';", "  return ready ? 'ready' : 'ready';")],
    seeds: 1,
    caughtBy: /Trace/,
    ordeal: { trace: 'grow' },
    fast: true,
  },
  {
    name: 'given-up-too-early',
    bug: 'A leader that has committed nothing yet goes back on a joint configuration that somebody may have left already.',
    edits: [
      edit(
        'core/membership.ts',
        "  if (log.termAt(log.commit) !== raft.term) {\n    return refusal(\n      'CHANGE_IN_PROGRESS',\n      'this leader has",
        "  if (log.commit < 0) {\n    return refusal(\n      'CHANGE_IN_PROGRESS',\n      'this leader has",
      ),
    ],
    seeds: 2000,
    caughtBy: /ConfigSafety|CommitQuorum|ElectionSafety|LeaderCompleteness|CanonicalCommit/,
    ordeal: cores,
  },
  {
    name: 'joint-forgotten-at-restart',
    bug: 'A node that starts again goes by the configuration of its snapshot, and not by those in its log.',
    edits: [
      edit(
        'core/state.ts',
        'for (const entry of start.entries ?? []) if (entry.index > this.snapshotIndex) this.noteConfiguration(entry);',
        'for (const entry of start.entries ?? []) if (entry.index === 1) this.noteConfiguration(entry);',
      ),
    ],
    seeds: 20,
    caughtBy: /ConfigSafety|CommitQuorum|ElectionSafety|LeaderCompleteness|CanonicalCommit|Liveness|NoGroupHalts/,
    ordeal: churn,
  },
  {
    name: 'snapshot-keeps-stale-configuration',
    bug: 'A log that starts over behind a snapshot keeps a configuration that it held behind it, committed or not.',
    edits: [
      edit(
        'core/state.ts',
        '    this.log.restart(point);\n    this.configurations = [configurationOf(point)];',
        '    this.log.restart(point);\n    this.configurations = [configurationOf(point), ...this.configurations.filter(({ index }) => index > point.index)];',
      ),
    ],
    seeds: 100,
    caughtBy: /ConfigSafety/,
    // A leader is cut off, takes ten commands and a change of members, and comes back to a snapshot of its successor.
    ordeal: {
      nodes: 3,
      groups: 1,
      seconds: 9,
      bursts: [
        { atMs: 3020, writes: 10 },
        { atMs: 6000, writes: 3 },
      ],
      schedule: [
        { kind: 'isolate', atMs: 3000, forMs: 4000 },
        { kind: 'changeMembers', atMs: 3040, forMs: 1 },
      ],
      host: { snapshotEntries: 1, snapshotTailEntries: 0 },
    },
  },
  {
    name: 'removed-node-stays-a-stranger',
    bug: 'A node that was removed refuses whoever adds it again, when all it knew have left meanwhile.',
    edits: [
      edit(
        'host/peers.ts',
        '  if (raft.leader !== null) return false;\n  const silent',
        '  if (raft.leaderId !== null) return false;\n  const silent',
      ),
    ],
    seeds: 60,
    caughtBy: /Liveness/,
    ordeal: churn,
  },
  {
    name: 'wiped-founder-founds-anew',
    bug: 'A wiped node that was removed is let in where a leader is missing, and takes part.',
    edits: [
      edit(
        'host/admission.ts',
        'return this.directory.founded && !this.roll.isNamed(peer);',
        'return peer.length < 0;',
      ),
      edit(
        'host/peers.ts',
        '    if (!founders.every((id) => id === options.id || this.letUsIn.has(id))) return;\n',
        '',
      ),
    ],
    seeds: 60,
    caughtBy: /WipedStaysOut/,
    ordeal: churn,
  },
];
