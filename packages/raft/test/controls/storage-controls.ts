import { type Control, edit } from './control.ts';

/** Rules of the log on disk and of the identity beside it. */
export const storageControls: readonly Control[] = [
  {
    name: 'sync-skipped',
    bug: 'The log reports bytes as durable that were only written.',
    edits: [
      edit(
        'wal/writer.ts',
        'file.sync((error) => {\n        this.syncs += 1;',
        '((synced: DiskDone) => synced(null))((error) => {\n        this.syncs += 1;',
      ),
    ],
    seeds: 5,
    caughtBy: /DurableBeforeAck|CommitQuorum|VoteOnce|TermMonotone/,
    fast: true,
  },
  {
    name: 'sync-error-ignored',
    bug: 'A sync that failed counts as done.',
    edits: [edit('wal/writer.ts', 'this.end(error, done);\n      });', 'this.end(null, done);\n      });')],
    seeds: 60,
    caughtBy: /DurableBeforeAck|CommitQuorum|NothingLost|VoteOnce|TermMonotone|RecoverySound/,
  },
  {
    name: 'short-write-ignored',
    bug: 'A write that took only a part counts as whole.',
    edits: [
      edit(
        'wal/writer.ts',
        'if (written !== bytes.length) return this.end(new Error(`wrote ${written} of ${bytes.length} bytes`), done);',
        '',
      ),
    ],
    seeds: 60,
    caughtBy: /DurableBeforeAck|CommitQuorum|NothingLost|VoteOnce|TermMonotone|RecoverySound/,
  },
  {
    name: 'checksum-not-checked',
    bug: 'Recovery takes a torn block for whole.',
    edits: [edit('wal/block.ts', 'if (crc32c(bytesOf(view), start + 4, start + length) !== crc) return null;', '')],
    seeds: 100,
    caughtBy: /RecoverySound|LogMatching|NothingLost/,
  },
  {
    name: 'suffix-resurrected',
    bug: 'Recovery puts entries in their place and leaves what had been truncated behind them.',
    edits: [
      edit('wal/replay.ts', 'group.entries.length = first.index - 1 - group.absentThrough;', ''),
      edit(
        'wal/replay.ts',
        'for (const entry of entries) group.entries.push(entry);',
        'for (const entry of entries) group.entries[entry.index - 1 - group.absentThrough] = entry;',
      ),
    ],
    seeds: 30,
    caughtBy: /LogMatching|NothingLost|RecoverySound/,
    fast: true,
    // A leader is cut off with ten commands, comes back to one entry of its successor, and to a power cut.
    ordeal: {
      nodes: 3,
      groups: 1,
      seconds: 9,
      bursts: [{ atMs: 3020, writes: 10 }],
      schedule: [
        { kind: 'isolate', atMs: 3000, forMs: 2000 },
        { kind: 'powerCutAll', atMs: 7000, forMs: 100 },
      ],
    },
  },
  {
    name: 'hard-state-not-in-checkpoint',
    bug: 'The head of a new segment carries an empty hard state.',
    edits: [
      edit(
        'wal/group-log.ts',
        'writeCheckpointRecord(writer, group.id, group);',
        'writeCheckpointRecord(writer, group.id, { ...group, hardState: noHardState });',
      ),
    ],
    seeds: 20,
    caughtBy: /RecoverySound/,
  },
  {
    name: 'last-block-not-written-again',
    bug: 'After a kill, recovery goes on behind a block that only the page cache knows.',
    edits: [
      edit(
        'wal/recovery.ts',
        "await writeLastAgain(current, walk.last as NonNullable<Walk['last']>);",
        'await current.file.close();',
      ),
    ],
    seeds: 100,
    caughtBy: /DurableBeforeAck|CommitQuorum|RecoverySound|NothingLost|VoteOnce|TermMonotone/,
  },
  {
    name: 'segment-name-not-synced',
    bug: 'A segment is used before its name is durable.',
    edits: [
      edit(
        'wal/allocator.ts',
        'await disk.rename(spare, path);\n    await disk.syncDirectory(directory);',
        'await disk.rename(spare, path);',
      ),
    ],
    seeds: 20,
    caughtBy: /DurableBeforeAck|CommitQuorum|RecoverySound|NothingLost|VoteOnce|TermMonotone/,
  },
  {
    name: 'identity-not-synced',
    bug: 'The identity file takes its place before its bytes are durable.',
    edits: [edit('wal/data-directory.ts', "ENOSPC' });\n      await syncOf(file);", "ENOSPC' });")],
    seeds: 100,
    caughtBy: /RecoverySound|Liveness/,
  },
  {
    name: 'identity-name-not-synced',
    bug: 'A new life begins before the count of lives is durable.',
    edits: [
      edit(
        'wal/data-directory.ts',
        'await disk.rename(fresh, `${path}/${identityName}`);\n    await disk.syncDirectory(path);',
        'await disk.rename(fresh, `${path}/${identityName}`);',
      ),
      // The log that is opened next makes names of the same directory durable.
      edit(
        'wal/wal.ts',
        "if (parent !== '') await",
        "if (parent !== '' && (await disk.list(directory)).length === 0) await",
      ),
    ],
    seeds: 20,
    caughtBy: /RecoverySound|Liveness|NoFalseAlarm/,
  },
  {
    name: 'acquaintance-not-synced',
    bug: 'Whom a node has met, and that its cluster is founded, is believed before it is durable.',
    edits: [
      edit(
        'wal/data-directory.ts',
        'await disk.rename(fresh, `${path}/${identityName}`);\n    await disk.syncDirectory(path);',
        'await disk.rename(fresh, `${path}/${identityName}`);',
      ),
    ],
    seeds: 100,
    caughtBy: /Liveness|WipedStaysOut|VoteOnce|ElectionSafety|LeaderCompleteness|CommitQuorum|NothingLost/,
    ordeal: { nodes: 3, groups: 1, seconds: 20, faults: { powerCutAll: 20, wipe: 10 } },
  },
  {
    name: 'flush-answered-too-early',
    bug: 'A flush with nothing of its own to write does not wait for the write under way.',
    edits: [
      edit(
        'wal/wal.ts',
        'else if (this.inFlight !== null) joinBlock',
        'else if (this.inFlight === undefined) joinBlock',
      ),
    ],
    seeds: 40,
    caughtBy: /DurableBeforeAck|VoteOnce|TermMonotone|CommitQuorum/,
  },
  {
    name: 'rot-taken-for-a-torn-tail',
    bug: 'A block that a flipped bit broke, and those behind it, are cut off like a torn write.',
    edits: [
      edit('wal/recovery.ts', 'if (followedByBlock(view, segment.at + sectorBytes, segment))', 'if (segment.at < 0)'),
      edit(
        'wal/recovery.ts',
        'if (rotten === null || !ofSegment(rotten',
        'if (rotten !== undefined || !ofSegment(rotten',
      ),
    ],
    seeds: 100,
    caughtBy: /NothingLost|VoteOnce|TermMonotone|LeaderCompleteness|DurableBeforeAck/,
    ordeal: { faults: { bitFlip: 4, crash: 6, powerCut: 3 }, seconds: 40 },
  },
  {
    name: 'commit-recovered-too-far',
    bug: 'A node that starts takes its whole log for committed.',
    edits: [
      edit(
        'core/log.ts',
        '    this.persistedIndex = this.lastIndex;\n    this.commit = base.index;',
        '    this.persistedIndex = this.lastIndex;\n    this.commit = this.lastIndex;',
      ),
    ],
    seeds: 40,
    caughtBy: /CommitQuorum/,
  },
];
