import { type Control, edit } from './control.ts';
import { electionControls, officeControls, replicationControls } from './core-controls.ts';
import { membershipControls } from './membership-controls.ts';

const ordeal = { core: true } as const;

/** Bugs that the checkers of whole hosts find elsewhere in the table, and what those of cores alone say of them. */
const foundOnHosts: Readonly<Record<string, RegExp>> = {
  'vote-not-written': /VoteOnce/,
  'term-on-the-wire-before-durable': /TermMonotone|VoteOnce/,
  'second-vote': /VoteOnce/,
  'log-not-compared': /LeaderCompleteness|CanonicalCommit|Assertion/,
  'commit-of-an-old-term': /CommitQuorum/,
  'own-log-counted-unwritten': /CommitQuorum/,
  'acknowledged-before-durable': /DurableBeforeAck|TermMonotone/,
  'refused-append-unanswered': /Liveness/,
  'in-flight-never-ends': /Liveness/,
  'read-without-a-round': /ReadLinearizable/,
  'round-id-reused': /ReadLinearizable/,
  'joint-commit-on-one-half': /CommitQuorum|CanonicalCommit|LeaderCompleteness/,
  'effective-on-commit': /ConfigSafety/,
  'removed-leader-counts-itself': /CommitQuorum/,
};

function onCores({ name, bug, edits }: Control): Control[] {
  const caughtBy = foundOnHosts[name];
  return caughtBy === undefined
    ? []
    : [{ name: `cores-${name}`, bug, edits, seeds: 200, caughtBy, ordeal, fast: true }];
}

/** Rules of the protocol on clusters of cores without hosts, and in scripted traces: a seed or a story takes no time. */
export const coresControls: readonly Control[] = [
  {
    name: 'own-vote-counted-unwritten',
    bug: 'A candidate counts its own vote before it is on disk.',
    edits: [
      edit(
        'core/election.ts',
        '  requestVotes(raft, MessageKind.vote, output);',
        '  requestVotes(raft, MessageKind.vote, output);\n  countVote(raft, raft.id, true, nowMs, output);',
      ),
      edit('core/election.ts', 'else if (raft.hardStateDurable) becomeLeader', 'else becomeLeader'),
      edit('core/roles.ts', 'raft.role === Role.candidate && raft.hardStateDurable', 'raft.role === Role.candidate'),
    ],
    seeds: 50,
    caughtBy: /VoteOnce/,
    ordeal,
    fast: true,
  },
  {
    name: 'repeated-entries-taken-for-durable',
    bug: 'A follower takes what it need not write again for durable.',
    edits: [
      edit(
        'core/follower.ts',
        'append.entries.length > 0 && matchIndex > log.persistedIndex',
        'output.persistFrom > 0',
      ),
      edit('core/follower.ts', 'Math.min(matchIndex, log.persistedIndex)', 'matchIndex'),
    ],
    seeds: 50,
    caughtBy: /DurableBeforeAck|TermMonotone/,
    ordeal,
    fast: true,
  },
  {
    name: 'joint-left-by-nobody',
    bug: 'Nobody leaves a joint configuration that an earlier leader entered.',
    edits: [
      edit(
        'core/membership.ts',
        'if (isJoint(configuration)) {\n    appendConf',
        'if (isJoint(configuration) && leader.catchUps.size > 0) {\n    appendConf',
      ),
    ],
    seeds: 100,
    caughtBy: /Liveness/,
    ordeal,
    fast: true,
  },
  {
    name: 'stale-refusal-echoes-stamps',
    bug: 'The refusal of a stale append echoes the round and the time of an earlier life.',
    edits: [
      edit(
        'core/follower.ts',
        'const unstamped = { from: append.from, sentMs: 0, round: 0 };',
        'const unstamped = append;',
      ),
    ],
    seeds: 1,
    caughtBy: /ReadLinearizable/,
    ordeal: { trace: 'read-late-answer' },
    fast: true,
  },
  {
    name: 'disturber-listened-to',
    bug: 'Voters look at the term of a node that disturbs their leader.',
    edits: [edit('core/raft.ts', 'if (isSticky(raft, message, nowMs)) return false;', '')],
    seeds: 1,
    caughtBy: /Trace/,
    ordeal: { trace: 'disruptive-server' },
    fast: true,
  },
  {
    name: 'only-new-voters-campaign',
    bug: 'Only a voter of the newest configuration campaigns, though the one before it may be the one in force.',
    edits: [
      edit(
        'core/state.ts',
        'return before !== undefined && isVoter(before.configuration, this.id);',
        'return before === undefined;',
      ),
    ],
    seeds: 1,
    caughtBy: /Trace/,
    ordeal: { trace: 'removed-longest-log' },
    fast: true,
  },
  ...[...electionControls, ...replicationControls, ...officeControls, ...membershipControls].flatMap(onCores),
];
