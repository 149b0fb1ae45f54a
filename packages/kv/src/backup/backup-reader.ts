import { ImageReader } from '../state/image-reader.ts';
import { readBackupHead } from './backup-format.ts';
import { DigestSum } from './digest-sum.ts';

/** What a whole backup holds. */
export interface BackupSummary {
  readonly shards: number;
  readonly keys: number;
  /** The sum of the digests of the shards. */
  readonly digest: string;
}

/**
 * The blocks of keys of a backup, in the order of the file; every one is checked against its checksum.
 *
 * @throws SnapshotFormatError when the file is damaged, cut short, or something else.
 */
export async function* readBackup(file: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, BackupSummary, void> {
  const reader = new ImageReader(file);
  const { shards } = await readBackupHead(reader);
  const sum = new DigestSum();
  let keys = 0;
  for (let shard = 0; shard < shards; shard += 1) {
    const end = yield* reader.keys();
    keys += end.count;
    sum.add(end.digest);
  }
  await reader.expectEnd();
  return { shards, keys, digest: sum.text };
}
