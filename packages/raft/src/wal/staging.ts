import { assert } from '../base/assert.ts';
import type { NoriError } from '../base/errors.ts';
import { Ring } from '../base/ring.ts';
import { ByteWriter } from '../codec/bytes.ts';
import {
  type Base,
  type Quarantine,
  QuarantineStage,
  RecordKind,
  writeBaseRecord,
  writeEntriesRecord,
  writeGroupRecord,
  writeHardStateRecord,
  writeQuarantineRecord,
} from '../codec/record.ts';
import type { Entry, HardState } from '../core/types.ts';
import { beginBlock, blockHeaderBytes, sealedBytes } from './block.ts';
import type { Effect, GroupLog } from './group-log.ts';

export type FlushDone = (error: NoriError | null) => void;

/** Records that will be one block, and who waits for them. */
export interface StagedBlock {
  readonly writer: ByteWriter;
  readonly effects: Effect[];
  readonly waiters: FlushDone[];
  /** When the first of the waiters came. */
  firstFlushMs: number;
}

/** Buffers larger than this are given back to the collector: a burst must not pin its memory. */
const pooledBytesMax = 4 * 1024 * 1024;
const pooledBlocksMax = 4;

/** Records on their way to the disk, as blocks in the order they were staged. The newest is open for more. */
export class Staging {
  private readonly blocks: Ring<StagedBlock> = new Ring<StagedBlock>();
  private open: StagedBlock | null = null;
  private readonly pool: StagedBlock[] = [];
  private readonly blockBytesMax: number;
  /** Bytes of the blocks that wait, the open one not counted. */
  private closedBytes = 0;
  private dirty = false;
  /** Callers of flush in the blocks that wait. */
  private waiting = 0;

  constructor(blockBytesMax: number) {
    this.blockBytesMax = blockBytesMax;
  }

  /** Whether there are records that no flush has been asked for. */
  get unflushed(): boolean {
    return this.dirty;
  }

  get empty(): boolean {
    return this.blocks.length === 0;
  }

  get flushWanted(): boolean {
    return this.waiting > 0;
  }

  get bytes(): number {
    return this.closedBytes + (this.open === null ? 0 : sizeOf(this.open));
  }

  /** What the next block takes on the disk. */
  get nextBytes(): number {
    return sizeOf(this.blocks.peek() as StagedBlock);
  }

  /** When the oldest waiting flush was asked for; infinite when none is. */
  get oldestFlushMs(): number {
    for (let at = 0; at < this.blocks.length; at += 1) {
      const block = this.blocks.at(at);
      if (block.waiters.length > 0) return block.firstFlushMs;
    }
    return Number.POSITIVE_INFINITY;
  }

  created(group: GroupLog): void {
    const block = this.room();
    writeGroupRecord(block.writer, group.id, RecordKind.groupCreated);
    block.effects.push({
      group,
      last: null,
      first: null,
      base: null,
      hardState: null,
      destroyed: false,
      quarantine: undefined,
    });
  }

  destroyed(group: GroupLog): void {
    const block = this.room();
    group.stagedDestroyed = true;
    writeGroupRecord(block.writer, group.id, RecordKind.groupDestroyed);
    block.effects.push({
      group,
      last: null,
      first: null,
      base: null,
      hardState: null,
      destroyed: true,
      quarantine: undefined,
    });
  }

  hardState(group: GroupLog, hardState: HardState): void {
    const block = this.room();
    writeHardStateRecord(block.writer, group.id, hardState);
    block.effects.push({
      group,
      last: null,
      first: null,
      base: null,
      hardState,
      destroyed: false,
      quarantine: undefined,
    });
  }

  base(group: GroupLog, base: Base, reset: boolean): void {
    const block = this.room();
    writeBaseRecord(block.writer, group.id, base, reset);
    group.stagedBase = base.index;
    const last = reset || base.index >= group.stagedLast ? base.index : null;
    if (last !== null) group.stagedLast = last;
    block.effects.push({ group, last, first: null, base, hardState: null, destroyed: false, quarantine: undefined });
  }

  quarantine(group: GroupLog, quarantine: Quarantine | null): void {
    const block = this.room();
    writeQuarantineRecord(block.writer, group.id, quarantine);
    const lost = quarantine?.stage === QuarantineStage.lost;
    if (lost) {
      group.stagedBase = 0;
      group.stagedLast = 0;
    }
    const last = lost ? 0 : null;
    block.effects.push({ group, last, first: null, base: null, hardState: null, destroyed: false, quarantine });
  }

  /** A run longer than a block goes on in the next one. */
  entries(group: GroupLog, entries: readonly Entry[]): void {
    const first = (entries[0] as Entry).index;
    assert(first > group.stagedBase, 'entries that were compacted are not written again');
    assert(first <= group.stagedLast + 1, 'entries follow those that are there');
    for (let from = 0; from < entries.length; ) {
      const begin = first + from;
      const block = this.room();
      from = writeEntriesRecord(block.writer, group.id, entries, { from, bytesMax: this.blockBytesMax });
      const last = first + from - 1;
      assert((entries[from - 1] as Entry).index === last, 'a run of entries is contiguous');
      group.stagedLast = last;
      block.effects.push({
        group,
        last,
        first: begin,
        base: null,
        hardState: null,
        destroyed: false,
        quarantine: undefined,
      });
    }
  }

  /** All entries of a group once more, in one block: it is there as a whole or not at all. */
  copy(group: GroupLog, entries: readonly Entry[]): void {
    const first = (entries[0] as Entry).index;
    const last = first + entries.length - 1;
    assert(first === group.stagedBase + 1 && last === group.stagedLast, 'a copy holds all entries of its group');
    this.close();
    const block = this.room();
    writeEntriesRecord(block.writer, group.id, entries, { from: 0, bytesMax: Number.POSITIVE_INFINITY });
    block.effects.push({ group, last, first, base: null, hardState: null, destroyed: false, quarantine: undefined });
  }

  /** Answers when all that is staged is durable; false when nothing is staged. */
  flush(done: FlushDone, nowMs: number): boolean {
    this.dirty = false;
    if (this.blocks.length === 0) return false;
    joinBlock(this.blocks.at(this.blocks.length - 1), done, nowMs);
    this.waiting += 1;
    return true;
  }

  /** The oldest block, now to be written. */
  take(): StagedBlock {
    const block = this.blocks.shift();
    assert(block !== undefined, 'a block is taken only when one waits');
    if (block === this.open) this.open = null;
    else this.closedBytes -= sizeOf(block);
    this.waiting -= block.waiters.length;
    return block;
  }

  /** Takes back a block whose bytes nobody needs any more. */
  giveBack(block: StagedBlock): void {
    block.effects.length = 0;
    block.waiters.length = 0;
    if (block.writer.length > pooledBytesMax || this.pool.length >= pooledBlocksMax) return;
    this.pool.push(block);
  }

  private close(): void {
    if (this.open !== null) this.closedBytes += sizeOf(this.open);
    this.open = null;
  }

  private room(): StagedBlock {
    this.dirty = true;
    const open = this.open;
    if (open !== null && open.writer.length < this.blockBytesMax) return open;
    this.close();
    const block = this.pool.pop() ?? { writer: new ByteWriter(), effects: [], waiters: [], firstFlushMs: 0 };
    beginBlock(block.writer);
    assert(block.writer.length === blockHeaderBytes, 'a block begins with room for its header');
    this.blocks.push(block);
    this.open = block;
    return block;
  }
}

/** At most: several of its records may be of one group. */
function sizeOf({ writer, effects }: StagedBlock): number {
  return sealedBytes(writer.length, effects.length);
}

export function joinBlock(block: StagedBlock, done: FlushDone, nowMs: number): void {
  if (block.waiters.length === 0) block.firstFlushMs = nowMs;
  block.waiters.push(done);
}
