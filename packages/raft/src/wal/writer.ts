import { assert } from '../base/assert.ts';
import { ByteWriter } from '../codec/bytes.ts';
import { writeSegmentHeadRecord } from '../codec/record.ts';
import type { Clock } from '../ports/clock.ts';
import type { DiskDone, DiskFile } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { beginBlock, BlockKind, sealBlock, sealMark, sectorBytes } from './block.ts';
import { applyWritten, type GroupLog, writeCheckpoint } from './group-log.ts';
import type { Segment } from './segment.ts';
import type { StagedBlock } from './staging.ts';

interface WriterOptions {
  readonly clock: Clock;
  readonly random: Random | null;
  /** Number and checksum of the last block there is. */
  readonly sequence: number;
  readonly crc: number;
}

/** Puts one block at a time on the disk: a write, then a sync. Two blocks are never under way together, so only the last can be torn. */
export class BlockWriter {
  syncs = 0;
  marks = 0;
  bytesWritten = 0;
  lastSyncMs = 0;
  /** What the last checkpoint took. */
  headBytes: number = sectorBytes;
  /** Whether no later block or mark stands behind the last block yet. */
  unvouched = false;
  busy = false;
  private current: Segment | null = null;
  private sequence: number;
  private crc: number;
  private readonly scratch: ByteWriter = new ByteWriter();
  private readonly options: WriterOptions;

  constructor(options: WriterOptions) {
    this.options = options;
    this.sequence = options.sequence;
    this.crc = options.crc;
  }

  /** Room in the segment, but for a last mark. */
  get remainingBytes(): number {
    return this.current === null ? 0 : Math.max(0, this.current.sizeBytes - this.current.at - sectorBytes);
  }

  /** A block too large for any segment goes behind the head of an empty one, and the file grows. */
  fits(bytes: number): boolean {
    if (this.current === null) return false;
    return bytes <= this.remainingBytes || this.current.at === this.headBytes;
  }

  write(block: StagedBlock, done: DiskDone): void {
    const segment = this.current;
    assert(segment !== null, 'blocks are written into a segment that has begun');
    for (const effect of block.effects) applyWritten(effect, segment);
    this.seal(block.writer, BlockKind.data, segment);
    const at = segment.at;
    segment.at += block.writer.length;
    this.put(segment.file as DiskFile, block.writer.written(), at, done);
  }

  /** Its head is durable alone, before anything stands behind it. */
  begin(
    next: Segment,
    from: { readonly previousEnd: number; readonly groups: Iterable<GroupLog> },
    done: DiskDone,
  ): void {
    const { scratch } = this;
    beginBlock(scratch);
    writeSegmentHeadRecord(scratch, { sizeBytes: next.sizeBytes, previousEnd: from.previousEnd });
    for (const group of from.groups) if (group.written) writeCheckpoint(scratch, group);
    next.salt = this.drawSalt();
    this.seal(scratch, BlockKind.head, next);
    this.headBytes = scratch.length;
    next.at = scratch.length;
    this.put(next.file as DiskFile, scratch.written(), 0, (error) => {
      if (error === null) this.current = next;
      done(error);
    });
  }

  /** Goes on in a segment of an earlier life. */
  resume(segment: Segment): void {
    assert(segment.file !== null, 'the segment is open');
    this.current = segment;
    this.unvouched = true;
  }

  /** Stands where the next block will, with its number, and takes no room. */
  mark(done: DiskDone): void {
    const segment = this.current;
    assert(segment !== null, 'there is a block to vouch for');
    const sequence = this.sequence + 1;
    sealMark(this.scratch, { segment: segment.sequence, sequence, salt: segment.salt, previousCrc: this.crc });
    this.marks += 1;
    this.put(segment.file as DiskFile, this.scratch.written(), segment.at, (error) => {
      this.unvouched = false;
      done(error);
    });
  }

  private seal(writer: ByteWriter, kind: BlockKind, segment: Segment): void {
    this.sequence += 1;
    const { sequence, crc: previousCrc } = this;
    this.crc = sealBlock(writer, { kind, segment: segment.sequence, sequence, salt: segment.salt, previousCrc });
    this.unvouched = true;
  }

  private put(file: DiskFile, bytes: Uint8Array, position: number, done: DiskDone): void {
    assert(!this.busy, 'one block is under way at a time');
    this.busy = true;
    file.write(bytes, position, (error, written) => {
      if (error !== null) return this.end(error, done);
      // A full volume takes a part and reports no error. What the rest would do to it is not known: final.
      if (written !== bytes.length) return this.end(new Error(`wrote ${written} of ${bytes.length} bytes`), done);
      this.bytesWritten += written;
      const startMs = this.options.clock.nowMs();
      file.sync((error) => {
        this.syncs += 1;
        this.lastSyncMs = this.options.clock.nowMs() - startMs;
        this.end(error, done);
      });
    });
  }

  private end(error: Error | null, done: DiskDone): void {
    this.busy = false;
    done(error);
  }

  private drawSalt(): number {
    const { random, clock } = this.options;
    if (random !== null) return (random.uint32() & 0x1f_ffff) * 0x1_0000_0000 + random.uint32();
    return Math.floor(clock.wallMs() * 1024) % Number.MAX_SAFE_INTEGER;
  }
}
