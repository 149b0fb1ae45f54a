import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { readBackup } from '../backup/backup-reader.ts';
import { NodeHttp } from './node-http.ts';

export interface BackupOptions {
  readonly http: string;
  readonly password?: string;
}

/**
 * Writes a backup of a running cluster to a file, or to standard output. A file appears under its name only when it is whole,
 * verified block by block, and on disk.
 */
export async function runBackup(file: string, { http, password }: BackupOptions): Promise<void> {
  const response = await new NodeHttp(http, password).ask('/v1/backup');
  const source = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  const cannotWrite = (error: unknown): unknown =>
    error instanceof Error && 'syscall' in error
      ? new Error(`cannot write the backup to ${file}: ${error.message}`, { cause: error })
      : error;
  // What fetch says of it is "terminated", and it says it by a TypeError.
  const said = (error: unknown): unknown =>
    error instanceof TypeError
      ? new Error(
          `the node at ${http} ended the backup early: a shard cannot be read there, or it stopped; ask another node, or try again (nori-kv shard list says what ails it)`,
          { cause: error },
        )
      : cannotWrite(error);
  let bytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  if (file === '-') {
    await pipeline(source, counter, process.stdout, { end: false }).catch((error: unknown) => {
      throw said(error);
    });
    return;
  }
  const partial = `${file}.partial`;
  try {
    await pipeline(source, counter, createWriteStream(partial));
    const held = await verified(partial);
    await rename(partial, file);
    process.stdout.write(
      `${file}: ${held.keys} keys of ${held.shards} shards, ${bytes} bytes, digest ${held.digest}\n`,
    );
  } catch (error) {
    await rm(partial, { force: true });
    throw said(error);
  }
}

async function verified(
  path: string,
): Promise<{ readonly keys: number; readonly shards: number; readonly digest: string }> {
  const handle = await open(path, 'r+');
  try {
    await handle.datasync();
    const reading = readBackup(handle.createReadStream({ autoClose: false }));
    for (;;) {
      const next = await reading.next();
      if (next.done === true) return next.value;
    }
  } finally {
    await handle.close();
  }
}
