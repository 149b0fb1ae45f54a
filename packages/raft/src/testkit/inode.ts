import type { Prng } from '../base/prng.ts';
import { chance } from './random.ts';

/** What a disk writes whole or not at all. */
export const sectorBytes = 512;

/** One file: what readers see, what the platter holds, and which sectors differ. */
export class Inode {
  /** The page cache. */
  current: Uint8Array = new Uint8Array(0);
  /** What a power cut leaves, whatever else it takes. */
  durable: Uint8Array = new Uint8Array(0);
  /** Where the last write began. */
  writtenAt = 0;
  /** Where the last write began that was synced: what stands before it is vouched for by what stands there. */
  vouchedTo = 0;
  private readonly dirty = new Set<number>();

  get dirtySectors(): number {
    return this.dirty.size;
  }

  resize(sizeBytes: number): void {
    this.current = resized(this.current, sizeBytes);
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.current.length) this.resize(end);
    this.current.set(bytes, position);
    this.writtenAt = position;
    const last = Math.floor((end - 1) / sectorBytes);
    for (let at = Math.floor(position / sectorBytes); at <= last; at += 1) this.dirty.add(at);
  }

  /** What a sync that begins now must make durable. */
  snapshotDirty(): readonly number[] {
    return [...this.dirty];
  }

  /** These sectors reach the platter, as they are now. */
  keep(sectors: readonly number[]): void {
    if (this.durable.length !== this.current.length) this.durable = resized(this.durable, this.current.length);
    for (const at of sectors) {
      this.keepSector(at);
      this.dirty.delete(at);
    }
  }

  /** A sync failed: some sectors are neither on the platter nor remembered as missing there (fsyncgate). */
  forget(sectors: readonly number[], prng: Prng): void {
    for (const at of sectors) {
      if (chance(prng, 0.5)) continue;
      if (chance(prng, 0.3)) this.keepSector(at);
      this.dirty.delete(at);
    }
  }

  /** Power is gone: each sector that was not synced survives or not. True when a part did and a part did not. */
  powerCut(prng: Prng, survival: number): boolean {
    if (this.current.length !== this.durable.length && chance(prng, 0.5)) {
      this.durable = resized(this.durable, this.current.length);
    }
    let kept = 0;
    for (const at of this.dirty) {
      if (!chance(prng, survival)) continue;
      this.keepSector(at);
      kept += 1;
    }
    const torn = kept > 0 && kept < this.dirty.size;
    this.dirty.clear();
    this.current = this.durable.slice();
    return torn;
  }

  flip(bit: number): void {
    const at = bit >> 3;
    for (const bytes of [this.current, this.durable]) {
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
    }
  }

  /** The sectors before `vouchedTo` that hold anything. */
  get filledSectors(): number[] {
    const filled: number[] = [];
    const whole = Math.floor(Math.min(this.vouchedTo, this.durable.length) / sectorBytes);
    for (let at = 0; at < whole; at += 1) {
      const sector = this.durable.subarray(at * sectorBytes, (at + 1) * sectorBytes);
      if (sector.some((byte) => byte !== 0)) filled.push(at);
    }
    return filled;
  }

  zero(sector: number): void {
    const start = sector * sectorBytes;
    for (const bytes of [this.current, this.durable]) bytes.fill(0, start, start + sectorBytes);
  }

  private keepSector(at: number): void {
    const start = at * sectorBytes;
    const end = Math.min(start + sectorBytes, this.current.length);
    if (start >= end) return;
    if (end > this.durable.length) this.durable = resized(this.durable, end);
    this.durable.set(this.current.subarray(start, end), start);
  }
}

function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  if (bytes.length === sizeBytes) return bytes;
  const other = new Uint8Array(sizeBytes);
  other.set(bytes.subarray(0, Math.min(sizeBytes, bytes.length)));
  return other;
}
