import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { fdatasync, write } from 'node:fs';
import { join } from 'node:path';

const blockBytes = 4096;

export interface DiskRate {
  /** write + fdatasync over space written before, one after another, through the thread pool as the log does it. */
  readonly asyncPerSecond: number;
  /** The same without leaving the thread: what the disk itself allows. */
  readonly syncPerSecond: number;
}

/** How often per second the volume of `directory` makes 4 KiB durable. */
export async function measureDisk(directory: string, seconds = 1): Promise<DiskRate> {
  const path = join(directory, 'fdatasync-rate');
  const fd = openSync(path, 'w+');
  const slots = 1024;
  const block = new Uint8Array(blockBytes).fill(1);
  for (let slot = 0; slot < slots; slot += 1) writeSync(fd, block, 0, blockBytes, slot * blockBytes);
  fdatasyncSync(fd);
  try {
    return {
      asyncPerSecond: await asyncRate(fd, block, slots, seconds),
      syncPerSecond: syncRate(fd, block, slots, seconds),
    };
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}

function syncRate(fd: number, block: Uint8Array, slots: number, seconds: number): number {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    writeSync(fd, block, 0, blockBytes, (count % slots) * blockBytes);
    fdatasyncSync(fd);
    count += 1;
  }
  return (count / (performance.now() - start)) * 1000;
}

function asyncRate(fd: number, block: Uint8Array, slots: number, seconds: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let count = 0;
    const next = (): void => {
      const elapsed = performance.now() - start;
      if (elapsed >= seconds * 1000) {
        resolve((count / elapsed) * 1000);
        return;
      }
      write(fd, block, 0, blockBytes, (count % slots) * blockBytes, (error) => {
        if (error !== null) reject(error);
        else
          fdatasync(fd, (failed) => {
            if (failed !== null) {
              reject(failed);
              return;
            }
            count += 1;
            next();
          });
      });
    };
    next();
  });
}
