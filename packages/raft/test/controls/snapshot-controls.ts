import { type Control, edit } from './control.ts';

/** Snapshots all the time, of a state that changes all the time, and machines that lose power in between. */
const often = { snapshotEntries: 20, snapshotTailEntries: 0, snapshotChunkBytes: 8, snapshotBytesPerSecond: 2_000 };
const restless = { nodes: 3, groups: 1, host: often, clients: { count: 6, thinkMsMax: 50 } };

/** Rules of snapshots: taking, keeping, sending, taking over. */
export const snapshotControls: readonly Control[] = [
  {
    name: 'snapshot-over-a-conflicting-log',
    bug: 'A log that reaches to the index of an installed snapshot is kept, whatever stands there.',
    edits: [
      edit('core/snapshot.ts', 'if (log.termAt(point.index) === point.term) {', 'if (point.index <= log.lastIndex) {'),
    ],
    seeds: 60,
    caughtBy: /CanonicalCommit|LogMatching|NoGroupHalts|MessageHonesty|AppliedInOrder|LogTime/,
    ordeal: { ...restless, faults: { isolate: 30, split: 20, pause: 10 }, seconds: 40 },
  },
  {
    name: 'snapshot-of-what-is-committed',
    bug: 'A snapshot says that it covers everything committed, though its image is of what was applied.',
    edits: [edit('host/snapshot-house.ts', 'const index = log.applied;', 'const index = log.commit;')],
    seeds: 20,
    caughtBy: /StateMachineSafety|Linearizab|RegisterHistory|NoGroupHalts|AppliedInOrder/,
    // One command in a turn: only then is more committed than applied when a snapshot is begun.
    ordeal: {
      ...restless,
      host: { ...often, applyBytesPerTurnMax: 1 },
      clients: { count: 12, thinkMsMax: 5 },
      faults: { crash: 30, pause: 10 },
      seconds: 30,
    },
  },
  {
    name: 'snapshot-name-not-synced',
    bug: 'The log is given up when the snapshot has its name, before the name would survive a power cut.',
    edits: [
      edit(
        'snapshot/store.ts',
        'await disk.rename(path, named);\n      await disk.syncDirectory(directory);',
        'await disk.rename(path, named);',
      ),
    ],
    seeds: 20,
    caughtBy: /RecoverySound|NoFalseAlarm|NothingLost|StateMachineSafety/,
    ordeal: { ...restless, faults: { powerCut: 40 }, seconds: 30 },
  },
  {
    name: 'snapshot-not-synced',
    bug: 'A snapshot gets its name before its bytes are durable.',
    edits: [
      edit(
        'snapshot/writer.ts',
        'await syncFile(this.file);\n    await writeAll(this.file, encode',
        'await writeAll(this.file, encode',
      ),
      edit('snapshot/writer.ts', 'await syncFile(this.file);\n    return { ...title', 'return { ...title'),
    ],
    seeds: 20,
    caughtBy: /RecoverySound|NoFalseAlarm/,
    ordeal: { ...restless, faults: { powerCut: 40 }, seconds: 30 },
  },
];
