import type { Prng } from '../base/prng.ts';
import { type Inode, sectorBytes } from './inode.ts';

/** `astray`: the bytes land elsewhere in the file. `stale`: some sectors keep what was there before. */
export type Lie = 'astray' | 'stale';

interface Patch {
  readonly position: number;
  readonly bytes: Uint8Array;
}

interface Told {
  readonly kind: Lie;
  /** What puts the file right again. */
  readonly truth: readonly Patch[];
  readonly inode: Inode;
  /** A later write was made. */
  followed: boolean;
  /** It was synced too: from now on the disk itself shows that something is missing. */
  vouched: boolean;
}

const driftSectorsMax = 40;

/**
 * Writes that a disk reports as done and did not do as it should. Nobody can tell one that was the very last: so it
 * stands only once a later write is durable, and is put right if the process ends before.
 */
export class Lies {
  /** How the next write of the log goes wrong. */
  wanted: Lie | null = null;
  told: Told | null = null;
  /** One stands: the file is not what its writer believes. */
  stands = false;
  private readonly prng: Prng;
  private readonly onFault: (what: string) => void;

  constructor(prng: Prng, onFault: (what: string) => void) {
    this.prng = prng;
    this.onFault = onFault;
  }

  /** Makes the write in its own way; false when it is to be made as it should. */
  write(inode: Inode, bytes: Uint8Array, position: number): boolean {
    const { wanted, told } = this;
    if (told !== null) told.followed = true;
    if (wanted === null || bytes.length === 0 || inode.current.length < position + bytes.length) return false;
    this.wanted = null;
    const made = wanted === 'astray' ? this.astray(inode, bytes, position) : this.stale(inode, bytes, position);
    if (!made) return false;
    this.onFault(wanted === 'astray' ? 'write misdirected' : 'sector went stale');
    return true;
  }

  /** A sync began when `followed` was so, and succeeded. */
  synced(followed: boolean): void {
    if (this.told !== null && followed) this.told.vouched = true;
  }

  /** The process is gone. */
  ended(): void {
    const { told } = this;
    this.told = null;
    this.stands ||= told?.vouched === true;
    if (told === null || told.vouched) return;
    for (const { position, bytes } of told.truth) told.inode.write(bytes, position);
    told.inode.keep(told.inode.snapshotDirty());
  }

  private astray(inode: Inode, bytes: Uint8Array, position: number): boolean {
    const drift = this.prng.between(1, driftSectorsMax) * sectorBytes * (this.prng.between(0, 1) * 2 - 1);
    const landed = position + drift;
    if (landed < 0 || landed + bytes.length > inode.current.length) return false;
    const truth = [patch(inode, landed, bytes.length), { position, bytes: bytes.slice() }];
    inode.write(bytes, landed);
    this.told = { kind: 'astray', truth, inode, followed: false, vouched: false };
    return true;
  }

  private stale(inode: Inode, bytes: Uint8Array, position: number): boolean {
    const sectors = Math.ceil(bytes.length / sectorBytes);
    const from = this.prng.between(0, sectors - 1) * sectorBytes;
    const end = Math.min(bytes.length, from + this.prng.between(1, sectors) * sectorBytes);
    inode.write(bytes.subarray(0, from), position);
    if (end < bytes.length) inode.write(bytes.subarray(end), position + end);
    const truth = [{ position: position + from, bytes: bytes.slice(from, end) }];
    this.told = { kind: 'stale', truth, inode, followed: false, vouched: false };
    return true;
  }
}

function patch(inode: Inode, position: number, length: number): Patch {
  return { position, bytes: inode.current.slice(position, position + length) };
}
