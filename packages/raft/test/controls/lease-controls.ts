import { type Control, edit } from './control.ts';

const core = { core: 'leases' } as const;

/** The rules of the promise lease (docs/reads.md): each one left out, as someone might. */
export const leaseControls: readonly Control[] = [
  {
    name: 'no-deferred-commit',
    bug: 'A new leader commits at once, while a former one may still answer reads by its lease.',
    edits: [edit('core/replication.ts', 'if (nowMs < leader.barrierUntilMs) return false;', '')],
    seeds: 200,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
    fast: true,
  },
  {
    name: 'no-limbo-check',
    bug: 'A new leader answers reads by its lease without looking at what its predecessor may have committed.',
    edits: [
      edit(
        'core/lease.ts',
        'return log.termAt(log.commit) !== raft.term && leaderStateOf(raft).limboEnd > log.commit;',
        'return log.termAt(log.commit) !== raft.term && leaderStateOf(raft).limboEnd < 0;',
      ),
    ],
    seeds: 200,
    caughtBy: /LeaseRead|ReadLinearizable/,
    ordeal: core,
    fast: true,
  },
  {
    name: 'promise-forgotten-on-restart',
    bug: 'A node that starts has forgotten what it promised.',
    edits: [
      edit(
        'core/state.ts',
        'this.promises = (start.hardState?.promises ?? []).map((promise) => ({',
        'this.promises = [].map((promise: HeldPromise) => ({',
      ),
    ],
    seeds: 1000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'promise-left-to-oneself',
    bug: 'A candidate that lost takes what it promised itself for its promise to the winner, and lets go of it.',
    edits: [
      edit(
        'core/lease.ts',
        'term === append.term && to === append.from',
        'term === append.term && (to === append.from || to === raft.id)',
      ),
    ],
    seeds: 1000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'promise-not-written',
    bug: 'A promise is kept in memory only.',
    edits: [edit('core/state.ts', '    promises: raft.promises.map(', '    promises: [].map(')],
    seeds: 1000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'promise-of-a-restart-waived',
    bug: 'A promise that so few voters report that no quorum can have made it counts for nothing; another configuration had another quorum.',
    edits: [
      edit(
        'core/lease.ts',
        '  return [...raft.evidence.barriers, ...own].filter(\n    (barrier) =>',
        '  const reported = [...raft.evidence.barriers, ...own];\n  const reports = (term: Term): number => reported.filter((barrier) => barrier.term === term).length;\n  return reported.filter(\n    (barrier) => reports(barrier.term) * 2 > voters.length &&',
      ),
    ],
    seeds: 1000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'restart-with-another-lease',
    bug: 'A node that starts with a shorter leaseMs reckons what it promised before by the new one.',
    edits: [
      edit(
        'core/state.ts',
        'untilMs: start.nowMs + promise.durationMs,',
        'untilMs: start.nowMs + Math.min(promise.durationMs, this.options.leaseMs),',
      ),
    ],
    seeds: 1000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'sigma-omitted',
    bug: 'A promise lasts as long as the lease on the clock of who gives it, though that clock may be the faster one.',
    edits: [
      edit('core/lease.ts', 'return durationMs * ((1 + drift) / (1 - drift));', 'return durationMs + 0 * drift;'),
    ],
    seeds: 2000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'joint-counted-on-one-half',
    bug: 'While joint, a majority of the incoming voters is enough for a lease.',
    edits: [
      edit(
        'core/quorum.ts',
        'return Math.min(majorityTimeMs(quorum.incoming, timeOf), majorityTimeMs(quorum.outgoing, timeOf));',
        'return majorityTimeMs(quorum.incoming, timeOf);',
      ),
    ],
    seeds: 2000,
    caughtBy: /LeaseQuorum|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'disclaim-without-incarnation',
    bug: 'Any life of a node lets go of what another of its lives holds.',
    edits: [
      edit(
        'core/lease.ts',
        'return holder === peer && lineage === life.lineage && incarnation === life.incarnation;',
        'return holder === peer && lineage === life.lineage && incarnation > 0;',
      ),
    ],
    seeds: 500,
    caughtBy: /LeasePromise/,
    ordeal: core,
  },
  {
    name: 'handshake-taken-as-disclaim',
    bug: 'Whoever shakes hands is taken to have let go of what that very life holds.',
    edits: [
      edit(
        'core/lease.ts',
        'leader.barriers = barriers.filter((barrier) => !isDeadBy(barrier, peer, life));',
        'leader.barriers = barriers.filter((barrier) => !isFreedBy(barrier, peer, life));',
      ),
    ],
    seeds: 500,
    caughtBy: /LeasePromise/,
    ordeal: core,
  },
  {
    name: 'later-life-without-proof',
    bug: 'A later life lets go of what earlier ones hold, though it cannot prove them dead.',
    edits: [
      edit(
        'core/lease.ts',
        'return incarnation >= life.deadSince && incarnation < life.incarnation;',
        'return incarnation < life.incarnation;',
      ),
    ],
    seeds: 500,
    caughtBy: /LeasePromise/,
    ordeal: core,
  },
  {
    name: 'pre-vote-taken-as-disclaim',
    bug: 'Who would vote for another is taken to have let go of its lease.',
    edits: [
      edit(
        'core/election.ts',
        'if (!preVote && !raft.votes.has(vote.from)) gatherEvidence',
        'if (!raft.votes.has(vote.from)) gatherEvidence',
      ),
      edit(
        'core/roles.ts',
        '  raft.evidence = new VoteEvidence();\n',
        '  if (raft.role !== Role.preCandidate) raft.evidence = new VoteEvidence();\n',
      ),
    ],
    seeds: 2000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'late-acknowledgement-renews',
    bug: 'An answer to what was asked before a clock stood still earns a lease after it.',
    edits: [edit('core/lease.ts', ' || sentMs <= leader.leaseDoubtMs', '')],
    seeds: 2000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'lease-kept-during-transfer',
    bug: 'A leader that hands over answers reads by its lease while its successor does not wait for it.',
    edits: [edit('core/lease.ts', 'leaderStateOf(raft).released = true;', '')],
    seeds: 500,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
    fast: true,
  },
  {
    name: 'lease-back-after-failed-transfer',
    bug: 'A leader whose successor did not take over takes up its lease again.',
    edits: [
      edit(
        'core/transfer.ts',
        'if (!leader.released && !raft.stalled) return;',
        'leader.released = false;\n  if (!raft.stalled) return;',
      ),
    ],
    seeds: 2000,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'receive-time',
    bug: 'A lease begins when its acknowledgement arrives.',
    edits: [edit('core/lease.ts', 'progress.leaseAckedMs = sentMs;', 'progress.leaseAckedMs = nowMs;')],
    seeds: 500,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: core,
    fast: true,
  },
  {
    name: 'expiry-cached',
    bug: 'The end of a lease is kept when the configuration changes.',
    edits: [
      edit(
        'core/lease.ts',
        '  return ackedMs + leaseMs;\n',
        '  const kept = leader as LeaderState & { expiryMs?: number };\n  kept.expiryMs = Math.max(kept.expiryMs ?? Number.NEGATIVE_INFINITY, ackedMs + leaseMs);\n  return kept.expiryMs;\n',
      ),
    ],
    seeds: 2000,
    caughtBy: /LeaseQuorum|LeaseDisjoint|LeaseRead/,
    ordeal: core,
  },
  {
    name: 'drift-beyond',
    bug: 'No bug: clocks that differ by far more than nodes reckon with, and nobody who compares them.',
    edits: [
      edit(
        'core/lease.ts',
        'progress === undefined || progress.clockRate.difference > driftMax',
        'progress === undefined',
      ),
    ],
    seeds: 200,
    caughtBy: /LeasePromise|LeaseDisjoint|LeaseRead/,
    ordeal: { core: { driftPpm: 200_000 } },
  },
];
