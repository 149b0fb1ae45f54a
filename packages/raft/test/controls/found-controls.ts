import { type Control, edit, type Ordeal } from './control.ts';

/** A log that ends soon, in small segments, and snapshots that travel in many pieces. */
const often = { snapshotEntries: 20, snapshotTailEntries: 0, snapshotChunkBytes: 16, walBytesMax: 300 << 10 };
const restless: Ordeal = { nodes: 3, groups: 1, seconds: 20, host: often, clients: { count: 6, thinkMsMax: 50 } };

/**
 * Bugs that the simulator found while this library was built, put back: CHANGELOG.md tells of them. The seed that finds
 * each (known-seeds.json) is run on the mended library too, in every test run.
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
  },
  {
    name: 'found-segment-renamed-unread',
    bug: 'The checker of disks looks at a segment of the log after it was given another name, and misses what it held (seed 706, a false alarm).',
    edits: [
      edit(
        'testkit/checkers/durable-view.ts',
        'machine.disk.beforeNamesChange = () => made.catchUp();',
        'machine.disk.beforeNamesChange = () => undefined;',
      ),
    ],
    seeds: 100,
    caughtBy: /DurableBeforeAck|CommitQuorum|TermMonotone|VoteOnce|NothingLost/,
    ordeal: { ...restless, faults: { pause: 30, hungDisk: 20, slowDisk: 20 } },
  },
  {
    name: 'found-torn-write-taken-for-rot',
    bug: 'What a torn write leaves of an earlier life of its segment may be one bit from what should be there (seed 3062).',
    edits: [edit('wal/block.ts', 'writer.u32(trailerOf(stamp.salt));', 'writer.u32(trailerOf(7));')],
    seeds: 300,
    caughtBy: /RecoverySound/,
    ordeal: { ...restless, faults: { powerCut: 120 }, clients: { count: 3, thinkMsMax: 20 } },
  },
];
