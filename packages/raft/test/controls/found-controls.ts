import { type Control, edit, type Ordeal } from './control.ts';

/** A log that ends soon, in small segments, and snapshots that travel in many pieces. */
const often = { snapshotEntries: 20, snapshotTailEntries: 0, snapshotChunkBytes: 16, walBytesMax: 300 << 10 };
const restless: Ordeal = { nodes: 3, groups: 1, seconds: 20, host: often, clients: { count: 6, thinkMsMax: 50 } };

/**
 * Bugs that the simulator found while this library was built, put back: CHANGELOG.md tells of them. The seed that finds
 * each now (known-seeds.json) is run on the library as it is, too.
 */
export const foundControls: readonly Control[] = [
  {
    name: 'found-lost-chunk',
    bug: 'Sender and receiver of a snapshot whose last chunk was lost wait for each other until patience ends (seeds 902 and 1000).',
    edits: [
      edit(
        'host/snapshot-sending.ts',
        'const silent = nowMs - out.heardMs >= silenceMs;',
        'const silent = nowMs - out.heardMs >= silenceMs * 1000;',
      ),
    ],
    seeds: 100,
    caughtBy: /Liveness/,
    ordeal: { ...restless, faults: { messageLoss: 40, isolate: 20 } },
    fast: true,
  },
  {
    name: 'found-raw-error-at-start',
    bug: 'A node that cannot read its snapshot at a start says EIO, without a code of the library (seeds 617, 952 and 957).',
    edits: [
      edit(
        'snapshot/file-calls.ts',
        '    return await call;\n  } catch (cause) {\n    if (cause instanceof NoriError) throw cause;',
        "    return await call;\n  } catch (cause) {\n    if (cause instanceof NoriError || what !== '') throw cause;",
      ),
    ],
    seeds: 100,
    caughtBy: /RecoverySound/,
    ordeal: { ...restless, faults: { crash: 60, failedRead: 120 } },
    fast: true,
  },
  {
    name: 'found-term-of-a-snapshot',
    bug: 'A node that starts from a snapshot ahead of its log speaks for a term that only the snapshot knows (seed 221).',
    edits: [
      edit(
        'host/snapshot-recovery.ts',
        'if (hardState !== start.hardState) wal.setHardState(start.group, hardState);',
        '',
      ),
      edit('host/snapshot-recovery.ts', 'entries: [], hardState, snapshot: point', 'entries: [], snapshot: point'),
    ],
    seeds: 300,
    caughtBy: /TermMonotone|VoteOnce|RecoverySound/,
    ordeal: { ...restless, faults: { slowDisk: 30, crash: 40, powerCut: 20, isolate: 20, transfer: 30 } },
  },
  {
    name: 'found-refused-for-its-own-words',
    bug: 'A leader that gave up its office is refused as a candidate while old words of its own come in late (seed 576).',
    edits: [edit('core/election.ts', '  if (request.from === raft.leaderId) return false;\n', '')],
    seeds: 1,
    caughtBy: /Trace/,
    ordeal: { trace: 'late-words' },
    fast: true,
  },
  {
    name: 'found-segment-read-too-late',
    bug: 'A checker looks at a segment of the log only when it has another name already, and takes it for lost (seed 706).',
    edits: [edit('testkit/checkers/durable-view.ts', 'machine.disk.beforeNamesChange = () => made.catchUp();', '')],
    seeds: 300,
    caughtBy: /CommitQuorum|DurableBeforeAck|TermMonotone|VoteOnce|NothingLost|RecoverySound/,
    ordeal: { ...restless, host: { ...often, segmentBytes: 16 << 10, walBytesMax: 64 << 10 } },
  },
];
