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
];
