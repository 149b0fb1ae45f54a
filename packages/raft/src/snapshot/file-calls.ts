import { NoriError } from '../base/errors.ts';
import type { DiskFile } from '../ports/disk.ts';

// The hot operations of the port call back; background work is easier to follow as promises.

/** Writes all of it, or throws: a volume that takes only a part of it is full. */
export function writeAll(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    file.write(bytes, position, (error, written) => {
      if (error !== null) reject(error);
      else if (written === bytes.length) resolve();
      else reject(new NoriError('DISK_FULL', { message: `the volume took ${written} of ${bytes.length} bytes` }));
    });
  });
}

export function syncFile(file: DiskFile): Promise<void> {
  return new Promise((resolve, reject) => {
    file.sync((error) => (error === null ? resolve() : reject(error)));
  });
}

/** What a disk throws is its own; whoever starts a node is told in words of the library. */
export async function onDisk<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    if (cause instanceof NoriError) throw cause;
    throw new NoriError('DISK_FAILED', {
      message: `${what}: ${cause instanceof Error ? cause.message : 'no reason given'}`,
      cause,
    });
  }
}

export function snapshotDamaged(path: string, offset: number, what: string, cause?: unknown): NoriError {
  return new NoriError('SNAPSHOT_DAMAGED', {
    message: `the snapshot is damaged: ${what} (${path} at byte ${offset})`,
    file: path,
    offset,
    ...(cause === undefined ? {} : { cause }),
  });
}
