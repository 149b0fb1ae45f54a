import { type Control, edit } from './control.ts';

/** Rules of the host: turns, calls, applying, forwarding, and who is let in. */
export const hostControls: readonly Control[] = [
  {
    name: 'after-persist-sent-at-once',
    bug: 'The host does not hold back what may leave only after the disk has answered.',
    edits: [
      edit(
        'host/turn.ts',
        'if (output.receipt !== null || output.base !== null || output.messagesAfterPersist.length > 0) {',
        'for (const early of output.messagesAfterPersist) this.transport.send(early.to, group.id, early);\n    if (output.receipt !== null || output.base !== null || output.messagesAfterPersist.length > 0) {',
      ),
    ],
    seeds: 5,
    caughtBy: /DurableBeforeAck|VoteOnce|TermMonotone/,
  },
  {
    name: 'receipt-before-durable',
    bug: 'The host hands receipts back before the disk has answered.',
    edits: [
      edit(
        'host/turn.ts',
        '      this.wal.flush((error) => {\n        this.flushing.shift();\n        this.onFlushed(awaiting, error);\n      });',
        '      this.wal.flush(() => {\n        this.flushing.shift();\n      });\n      this.onFlushed(awaiting, null);',
      ),
    ],
    seeds: 5,
    caughtBy: /DurableBeforeAck|VoteOnce|TermMonotone|CommitQuorum/,
    fast: true,
  },
  {
    name: 'dropped-and-yet-committed',
    bug: 'A command is reported as dropped while its entry may still be committed.',
    edits: [edit('host/proposals.ts', 'index > commit ? waiting.term < term', 'index > commit ? waiting.term <= term')],
    seeds: 100,
    caughtBy: /RefusedNeverApplied/,
  },
  {
    name: 'timeout-reported-as-not-applied',
    bug: 'A command that was not committed in time is reported as certainly not applied.',
    edits: [
      edit('host/proposals.ts', 'was not committed in time` }', "was not committed in time`, outcome: 'notApplied' }"),
    ],
    seeds: 40,
    caughtBy: /RefusedNeverApplied/,
  },
  {
    name: 'lost-link-reported-as-not-applied',
    bug: 'A forwarded command whose link broke is reported as certainly not applied.',
    edits: [
      edit(
        'host/forwarding.ts',
        "return new NoriError('OUTCOME_UNKNOWN', { message });",
        "return new NoriError('NOT_LEADER', { message });",
      ),
    ],
    seeds: 40,
    caughtBy: /RefusedNeverApplied/,
  },
  {
    name: 'stop-reported-as-not-applied',
    bug: 'A host that stops reports commands that are in its log as certainly not applied.',
    edits: [edit('host/group.ts', 'this.waiting.failAll(error);', 'this.waiting.failAll(notTaken);')],
    seeds: 100,
    caughtBy: /RefusedNeverApplied/,
  },
  {
    name: 'forwarded-twice',
    bug: 'A command is passed to the leader a second time.',
    edits: [
      edit(
        'host/forwarding.ts',
        '    if (!this.request(peer, {',
        '    this.request(peer, { id: id + 0.5 * 0, group, kind, timeoutMs, payload });\n    if (!this.request(peer, {',
      ),
    ],
    seeds: 5,
    caughtBy: /AtMostOnce|AckedIsCommitted/,
  },
  {
    name: 'answer-to-another-question',
    bug: 'The answer to a forwarded call goes to whoever waits longest.',
    edits: [
      edit(
        'host/forwarding.ts',
        'const call = this.outstanding.get(reply.id);',
        'const [oldest] = this.outstanding.keys();\n    const call = this.outstanding.get(oldest);',
      ),
      edit('host/forwarding.ts', 'this.outstanding.delete(reply.id);', 'this.outstanding.delete(oldest);'),
    ],
    seeds: 20,
    caughtBy: /AckedIsCommitted|ReadLinearizable|RefusedNeverApplied/,
  },
  {
    name: 'read-of-a-follower',
    bug: 'Any node answers linearizable reads from its own state.',
    edits: [
      edit('host/calls.ts', "if (options.consistency === 'stale') {", 'if (options.consistency !== undefined) {'),
    ],
    seeds: 20,
    caughtBy: /ReadLinearizable/,
  },
  {
    name: 'read-before-applied',
    bug: 'A proven read is answered before the state machine has reached its index.',
    edits: [edit('host/reads.ts', 'head !== undefined && head.index <= applied;', 'head !== undefined;')],
    seeds: 100,
    caughtBy: /ReadLinearizable/,
    ordeal: {
      nodes: 3,
      groups: 1,
      seconds: 20,
      clients: { count: 8, thinkMsMax: 20 },
      host: { applyBytesPerTurnMax: 1 },
      faults: { slowApply: 60, crash: 10 },
    },
  },
  {
    name: 'apply-skips',
    bug: 'Every replica skips the same command now and then.',
    edits: [
      edit(
        'host/applier.ts',
        'batch.push(toApplied(next));',
        'if (next.index % 50 !== 49) batch.push(toApplied(next));',
      ),
    ],
    seeds: 5,
    caughtBy: /AppliedInOrder/,
  },
  {
    name: 'apply-twice',
    bug: 'A command is applied twice now and then.',
    edits: [
      edit(
        'host/applier.ts',
        'batch.push(toApplied(next));',
        'batch.push(toApplied(next));\n        if (next.index % 50 === 49) batch.push(toApplied(next));',
      ),
    ],
    seeds: 5,
    caughtBy: /AppliedOnce/,
  },
  {
    name: 'apply-not-committed',
    bug: 'Entries are applied as soon as they are in the log.',
    edits: [edit('host/applier.ts', 'while (index < through && bytes', 'while (index < log.lastIndex && bytes')],
    seeds: 20,
    caughtBy: /AppliedInOrder|NoGroupHalts|AppliedIsCommitted/,
  },
  {
    name: 'calls-never-expire',
    bug: 'A caller waits for ever when its command is not committed.',
    edits: [edit('host/calls.ts', '      group.expire(nowMs);', '')],
    seeds: 40,
    caughtBy: /Liveness|CallsEnd/,
  },
  {
    name: 'groups-mixed-up',
    bug: 'Messages of one group reach another.',
    edits: [
      edit(
        'host/host.ts',
        'const group = this.groups.open.get(groupId);\n          // A cluster',
        'const group = this.groups.open.get(message.term % 7 === 6 ? 1 : groupId);\n          // A cluster',
      ),
    ],
    seeds: 20,
    caughtBy: /MessageHonesty|LogMatching|ElectionSafety|CommitQuorum|NoGroupHalts|Liveness/,
    ordeal: { nodes: 3, groups: 4 },
  },
  {
    name: 'wiped-disk-admitted',
    bug: 'A node whose disk was wiped is let in under its old name.',
    edits: [
      edit('wal/data-directory.ts', "if (!same(known.diskId, claimed.diskId)) return 'DISK_REPLACED';", ''),
      edit(
        'wal/data-directory.ts',
        "if (now.counter < before.counter) return 'STALE_INCARNATION';",
        "if (now.counter < before.counter) return 'record';",
      ),
      edit('wal/data-directory.ts', "? 'accept' : 'STALE_INCARNATION';", "? 'accept' : 'record';"),
      edit('transport/identity.ts', 'if (known === null) return null;', 'if (known !== undefined) return null;'),
      edit(
        'host/admission.ts',
        'remembered !== undefined && remembered !== hex(identity.diskId)',
        'remembered === null',
      ),
      edit('host/admission.ts', 'remembered !== undefined && remembered !== hex(known.diskId)', 'remembered === null'),
    ],
    seeds: 20,
    caughtBy: /WipedStaysOut|VoteOnce|ElectionSafety|LeaderCompleteness|CommitQuorum/,
    ordeal: { nodes: 3, faults: { wipe: 4, crash: 2 } },
  },
  {
    name: 'life-not-counted',
    bug: 'A node comes back without counting its lives.',
    edits: [
      edit(
        'wal/data-directory.ts',
        'const counter = known.incarnation.counter + 1;',
        'const { counter } = known.incarnation;',
      ),
    ],
    seeds: 20,
    caughtBy: /NoFalseAlarm/,
  },
];
