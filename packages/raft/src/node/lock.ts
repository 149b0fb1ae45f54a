import { spawn } from 'node:child_process';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import { NoriError } from '../base/errors.ts';
import type { DirectoryLock, HeldDirectory } from '../ports/disk.ts';

const lockName = 'LOCK';
const { O_CREAT, O_RDWR } = constants;

/**
 * A kernel lock on a file of the directory. Node has no flock of its own, so the `flock` program takes it on a
 * descriptor it inherits: the lock belongs to the open file, which this process keeps, and dies with it however it dies.
 */
export class NodeDirectoryLock implements DirectoryLock {
  private readonly program: string;

  /** `program` is the flock of util-linux or busybox. */
  constructor(program = 'flock') {
    this.program = program;
  }

  async acquire(directory: string): Promise<HeldDirectory> {
    const path = `${directory}/${lockName}`;
    const handle = await openLock(path);
    try {
      if (!(await this.lock(handle.fd))) throw await locked(directory, handle);
      await handle.truncate(0);
      await handle.write(`${process.pid}\n`, 0);
    } catch (error) {
      await handle.close();
      if (error instanceof NoriError) throw error;
      throw unusable(`cannot lock ${path}`, error);
    }
    return { ...(await proofOf(handle)), release: () => handle.close() };
  }

  /** False when another process holds it. */
  private lock(fd: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.program, ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
      child.once('error', (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT';
        reject(missing ? unusable('the flock program is missing: install util-linux', error) : error);
      });
      child.once('close', (status, signal) => {
        if (status === 0) resolve(true);
        else if (status === 1) resolve(false);
        else reject(new Error(`flock ended with ${status ?? signal}`));
      });
    });
  }
}

/**
 * How far the lock proves that earlier holders are dead: no further than the kernel that gave it (its boot id is drawn
 * at each boot), and for no other file. A copy of the directory has a lock of its own, which its original may well hold;
 * and as long as somebody holds a file open its number is given to no other.
 */
async function proofOf(handle: FileHandle): Promise<{ readonly bootId?: string }> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const { dev, ino } = await handle.stat({ bigint: true });
    return { bootId: `${boot} ${dev} ${ino}` };
  } catch {
    return {}; // a system without it: earlier lives are then waited for
  }
}

async function openLock(path: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDWR | O_CREAT, 0o600);
  } catch (error) {
    throw unusable(`cannot open ${path}`, error);
  }
}

async function locked(directory: string, handle: FileHandle): Promise<NoriError> {
  const { bytesRead, buffer } = await handle.read(new Uint8Array(32), 0, 32, 0);
  const pid = new TextDecoder().decode(buffer.subarray(0, bytesRead)).trim();
  const holder = /^\d+$/.test(pid) ? ` (process ${pid})` : '';
  return new NoriError('DATA_DIR_LOCKED', { message: `another process${holder} uses ${directory}` });
}

function unusable(what: string, cause: unknown): NoriError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NoriError('DATA_DIR_UNUSABLE', { message: `${what}: ${reason}`, cause });
}
