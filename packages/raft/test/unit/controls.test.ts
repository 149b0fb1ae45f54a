import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Edit, plantedCore } from './planted.ts';
import { runSeed } from './random.ts';
import { retell } from './script.ts';

/** A bug someone could write, and within how many seeds the random runs find it, by which promise. */
interface Planted {
  readonly bug: string;
  readonly edits: readonly Edit[];
  readonly brokenPromise: RegExp;
  readonly withinSeeds: number;
}

const edit = (file: string, replace: string, by: string): Edit => ({ file, replace, by });

const planted: readonly Planted[] = [
  {
    bug: 'a leader commits an entry of an earlier term by counting replicas',
    edits: [edit('core/replication.ts', ' || log.termAt(committed) !== raft.term', '')],
    brokenPromise: /CommitQuorum/,
    withinSeeds: 50,
  },
  {
    bug: 'a leader counts what it has not yet written',
    edits: [edit('core/replication.ts', 'id === raft.id ? log.persistedIndex', 'id === raft.id ? log.lastIndex')],
    brokenPromise: /CommitQuorum/,
    withinSeeds: 50,
  },
  {
    bug: 'a candidate counts its own vote before it is on disk',
    edits: [
      edit(
        'core/election.ts',
        '  requestVotes(raft, MessageKind.vote, output);',
        '  requestVotes(raft, MessageKind.vote, output);\n  countVote(raft, raft.id, true, nowMs, output);',
      ),
      edit('core/election.ts', 'else if (raft.hardStateDurable) becomeLeader', 'else becomeLeader'),
      edit('core/roles.ts', 'raft.role === Role.candidate && raft.hardStateDurable', 'raft.role === Role.candidate'),
    ],
    brokenPromise: /VoteOnce/,
    withinSeeds: 50,
  },
  {
    bug: 'messages of a term leave before the term is on disk',
    edits: [
      edit(
        'core/replication.ts',
        'if (raft.hardStateDurable) output.messages',
        'if (raft.hardStateDurable || true) output.messages',
      ),
    ],
    brokenPromise: /TermMonotone|VoteOnce/,
    withinSeeds: 50,
  },
  {
    bug: 'the vote is not written to disk',
    edits: [edit('core/state.ts', '    votedFor: raft.votedFor,\n', '    votedFor: null,\n')],
    brokenPromise: /VoteOnce/,
    withinSeeds: 50,
  },
  {
    bug: 'a second candidate gets the vote too',
    edits: [edit('core/election.ts', '(raft.votedFor === request.from || raft.votedFor === null) &&', '')],
    brokenPromise: /VoteOnce/,
    withinSeeds: 50,
  },
  {
    bug: 'votes are given without looking at the log',
    edits: [edit('core/election.ts', 'free && raft.log.isUpToDate(request)', 'free')],
    brokenPromise: /LeaderCompleteness|committed/,
    withinSeeds: 50,
  },
  {
    bug: 'a follower acknowledges entries before they are on disk',
    edits: [edit('core/follower.ts', 'output.messagesAfterPersist.push(replyTo', 'output.messages.push(replyTo')],
    brokenPromise: /DurableBeforeAck|TermMonotone/,
    withinSeeds: 50,
  },
  {
    bug: 'a follower takes what it need not write again for durable',
    edits: [
      edit(
        'core/follower.ts',
        'append.entries.length > 0 && matchIndex > log.persistedIndex',
        'output.persistFrom > 0',
      ),
      edit('core/follower.ts', 'Math.min(matchIndex, log.persistedIndex)', 'matchIndex'),
    ],
    brokenPromise: /DurableBeforeAck|TermMonotone/,
    withinSeeds: 50,
  },
  {
    bug: 'a follower vouches for its whole log when only the beginning was compared',
    edits: [edit('core/follower.ts', 'Math.min(matchIndex, log.persistedIndex)', 'log.persistedIndex')],
    brokenPromise: /DurableBeforeAck|never matches beyond/,
    withinSeeds: 50,
  },
  {
    bug: 'a follower takes over the commit index of its leader beyond what it compared',
    edits: [edit('core/follower.ts', 'Math.min(append.commit, matchIndex)', 'Math.min(append.commit, log.lastIndex)')],
    brokenPromise: /CanonicalCommit|committed/,
    withinSeeds: 200,
  },
  {
    bug: 'every append truncates what is behind it',
    edits: [edit('core/follower.ts', 'if (log.termAt(item.index) === item.term) continue;', '')],
    brokenPromise: /CommitQuorum|LeaderCompleteness|DurableBeforeAck|CommitMonotone|commit never passes|LogMatching/,
    withinSeeds: 100,
  },
  {
    bug: 'a truncation leaves the mark of what is durable where it was',
    edits: [edit('core/log.ts', 'if (this.persistedIndex >= fromIndex) this.persistedIndex = fromIndex - 1;', '')],
    brokenPromise: /DurableBeforeAck|nothing beyond the end/,
    withinSeeds: 50,
  },
  {
    bug: 'an append of an earlier term is taken in',
    edits: [
      edit(
        'core/raft.ts',
        'refuseStaleAppend(raft, message, nowMs, output);',
        'onAppend(raft, message, nowMs, output);',
      ),
    ],
    brokenPromise: /./,
    withinSeeds: 50,
  },
  {
    bug: 'a read is answered without asking anyone',
    edits: [edit('core/reads.ts', 'if (confirmed < flight.round) return false;', '')],
    brokenPromise: /ReadLinearizable/,
    withinSeeds: 100,
  },
  {
    bug: 'rounds of reads share one number',
    edits: [edit('core/reads.ts', 'raft.round += 1;', 'raft.round = 1;')],
    brokenPromise: /ReadLinearizable/,
    withinSeeds: 200,
  },
  {
    bug: 'a new leader answers reads before an entry of its term is committed',
    edits: [
      edit(
        'core/reads.ts',
        'const patient = input.throughLimbo !== true && !knowsCommit(raft);',
        'const patient = false;',
      ),
      edit('core/reads.ts', 'const limbo = isInLimbo(raft);', 'const limbo = false;'),
    ],
    brokenPromise: /ReadLinearizable/,
    withinSeeds: 50,
  },
  {
    bug: 'what was acknowledged still counts as in flight',
    edits: [edit('core/progress.ts', '    this.freeThrough(matchIndex);\n', '')],
    brokenPromise: /liveness/,
    withinSeeds: 100,
  },
  {
    bug: 'a follower that refuses an append says nothing',
    edits: [edit('core/follower.ts', '    reject(raft, append, nowMs, output);\n', '')],
    brokenPromise: /liveness/,
    withinSeeds: 100,
  },
  {
    bug: 'a joint configuration decides by its incoming half alone',
    edits: [
      edit('core/quorum.ts', ', majorityIndex(quorum.outgoing, matchOf));', ');'),
      edit(
        'core/quorum.ts',
        'const outgoing = majorityVote(quorum.outgoing, votes);',
        "const outgoing = 'won' as VoteResult;",
      ),
    ],
    brokenPromise: /CommitQuorum|ElectionQuorum|CanonicalCommit|LeaderCompleteness/,
    withinSeeds: 100,
  },
  {
    bug: 'a change begins before an entry of the own term is committed',
    edits: [
      edit(
        'core/membership.ts',
        'raft.configurationIndex <= log.commit && log.termAt(log.commit) === raft.term',
        'raft.configurationIndex <= log.commit',
      ),
    ],
    brokenPromise: /ConfigSafety/,
    withinSeeds: 100,
  },
  {
    bug: 'a change begins before the one before it is committed',
    edits: [
      edit(
        'core/membership.ts',
        'raft.configurationIndex <= log.commit && log.termAt(log.commit) === raft.term',
        'log.termAt(log.commit) === raft.term',
      ),
    ],
    brokenPromise: /ConfigSafety/,
    withinSeeds: 100,
  },
  {
    bug: 'a configuration takes effect when it is committed',
    edits: [
      edit(
        'core/state.ts',
        'return (this.configurations.at(-1) as ConfigurationAt).configuration;',
        'return this.committedConfiguration;',
      ),
    ],
    brokenPromise: /ConfigSafety/,
    withinSeeds: 100,
  },
  {
    bug: 'a leader that is removed counts itself',
    edits: [
      edit(
        'core/replication.ts',
        'committedIndex(raft.configuration, (id) =>',
        'committedIndex({ ...raft.configuration, incoming: [...new Set([...raft.configuration.incoming, raft.id])] }, (id) =>',
      ),
    ],
    brokenPromise: /CommitQuorum/,
    withinSeeds: 100,
  },
  {
    bug: 'a truncation leaves the configuration where it was',
    edits: [
      edit(
        'core/state.ts',
        'while ((this.configurations.at(-1) as ConfigurationAt).index >= index) this.configurations.pop();',
        '',
      ),
    ],
    brokenPromise: /ConfigSafety/,
    withinSeeds: 100,
  },
  {
    bug: 'nobody leaves a joint configuration that an earlier leader entered',
    edits: [
      edit(
        'core/membership.ts',
        'if (isJoint(configuration)) {\n    appendConf',
        'if (isJoint(configuration) && leader.catchUps.size > 0) {\n    appendConf',
      ),
    ],
    brokenPromise: /liveness/,
    withinSeeds: 100,
  },
];

for (const { bug, edits, brokenPromise, withinSeeds } of planted) {
  test(`the random runs find: ${bug}`, { timeout: 60_000 }, async () => {
    const core = await plantedCore(edits);
    const found = firstFailure(core, withinSeeds);
    if (process.env['SIM_SEEDS'] !== undefined) console.log(`${bug}: seed ${found?.seed}, ${found?.message}`);
    expect(found?.message ?? `not found in ${withinSeeds} seeds`).toMatch(brokenPromise);
  });
}

function firstFailure(
  core: Awaited<ReturnType<typeof plantedCore>>,
  seeds: number,
): { readonly seed: number; readonly message: string } | null {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      runSeed(seed, { core });
    } catch (error) {
      return { seed, message: error instanceof Error ? error.message : String(error) };
    }
  }
  return null;
}

// Too rare for chance, so a trace is written for them.

test('the trace finds: the refusal of a stale append echoes stamps of an earlier life', async () => {
  const core = await plantedCore([
    edit(
      'core/follower.ts',
      'const unstamped = { from: append.from, sentMs: 0, round: 0 };',
      'const unstamped = append;',
    ),
  ]);
  expect(() => retell(trace('read-late-answer'), core)).toThrow(/ReadLinearizable/);
});

test('the trace finds: a candidate of an earlier term is not told of the later one', async () => {
  const core = await plantedCore([edit('core/election.ts', '  reply(raft, request, false, nowMs, output);\n', '')]);
  expect(retell(trace('pre-vote-livelock'))).toMatch(/leads term/);
  expect(retell(trace('pre-vote-livelock'), core)).not.toMatch(/leads term/);
});

test('the trace finds: a leader without quorum stays in office', async () => {
  const core = await plantedCore([
    edit(
      'core/raft.ts',
      'if (quorumHeardSince(raft, nowMs - raft.options.electionTimeoutMsMax)) {',
      'if (nowMs >= 0) {',
    ),
  ]);
  expect(retell(trace('bridge'))).toMatch(/n5 leads term 2/);
  expect(retell(trace('deaf-leader'), core)).not.toMatch(/leads term 2/);
});

test('the trace finds: voters look at the term of a disturber', async () => {
  const core = await plantedCore([edit('core/raft.ts', 'if (isSticky(raft, message, nowMs)) return false;', '')]);
  expect(retell(trace('disruptive-server'))).not.toMatch(/steps down/);
  expect(retell(trace('disruptive-server'), core)).toMatch(/steps down/);
});

test('the trace finds: a candidate asks for votes without asking first who would give one', async () => {
  const core = await plantedCore([
    edit(
      'core/election.ts',
      '  requestVotes(raft, MessageKind.preVote, output);\n  decide(raft, nowMs, output);',
      '  campaign(raft, false, nowMs, output);',
    ),
  ]);
  expect(retell(trace('pre-vote'))).not.toMatch(/steps down/);
  expect(retell(trace('pre-vote'), core)).toMatch(/steps down/);
});

test('the trace finds: only a voter of the newest configuration campaigns', async () => {
  const core = await plantedCore([
    edit(
      'core/state.ts',
      'return before !== undefined && isVoter(before.configuration, this.id);',
      'return before === undefined;',
    ),
  ]);
  expect(retell(trace('removed-longest-log'))).toMatch(/n2 leads term 3/);
  expect(retell(trace('removed-longest-log'), core)).not.toMatch(/leads term 2/);
});

function trace(name: string): string {
  return readFileSync(new URL(`../traces/${name}.txt`, import.meta.url), 'utf8');
}
