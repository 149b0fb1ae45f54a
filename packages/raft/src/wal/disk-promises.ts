import type { DiskFile } from '../ports/disk.ts';

// The hot operations of the port call back; start-up and background work are easier to follow as promises.

/** Resolves with how much was written. */
export function writeOf(file: DiskFile, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.write(bytes, position, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}

export function syncOf(file: DiskFile): Promise<void> {
  return new Promise((resolve, reject) => {
    file.sync((error) => (error === null ? resolve() : reject(error)));
  });
}

export async function sizeOf(file: DiskFile): Promise<number> {
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}

const eraseBytes = 1024 * 1024;

/** Overwrites [from, to) with zeros, durably. */
export async function eraseEnd(file: DiskFile, from: number, to: number): Promise<void> {
  if (from >= to) return;
  const zeros = new Uint8Array(Math.min(eraseBytes, to - from));
  for (let at = from; at < to; at += zeros.length) {
    const chunk = zeros.subarray(0, Math.min(zeros.length, to - at));
    const written = await writeOf(file, chunk, at);
    if (written !== chunk.length) throw new Error(`wrote ${written} of ${chunk.length} bytes`);
  }
  await syncOf(file);
}
