import { ImageReader } from '../state/image-reader.ts';
import { SnapshotFormatError } from '../state/image-format.ts';

/** What a backup begins with: its head as JSON, behind the length of that (u32, little-endian). Then an image per shard. */
export interface BackupHead {
  readonly format: 'nori-kv backup';
  readonly version: 1;
  readonly shards: number;
  /** When it was taken, by the clock of the node that took it, in ms since 1970. */
  readonly takenMs: number;
}

const headBytesMax = 65_536;

export function encodeBackupHead(head: BackupHead): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

/** @throws SnapshotFormatError. */
export async function readBackupHead(reader: ImageReader): Promise<BackupHead> {
  const bytes = (await reader.take(4)).readUInt32LE(0);
  let head: Partial<BackupHead> = {};
  if (bytes <= headBytesMax) {
    try {
      head = JSON.parse((await reader.take(bytes)).toString()) as Partial<BackupHead>;
    } catch (error) {
      if (error instanceof SnapshotFormatError) throw error;
    }
  }
  if (head.format !== 'nori-kv backup') throw new SnapshotFormatError('this is not a backup of nori-kv');
  if (head.version !== 1)
    throw new SnapshotFormatError(`backup version ${String(head.version)} is not supported, only 1 is`);
  return head as BackupHead;
}
