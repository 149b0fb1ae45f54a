import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import type { Base, Quarantine } from '../codec/record.ts';
import type { Entry, GroupId, HardState } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { sectorBytes } from './block.ts';
import { eraseEnd } from './disk-promises.ts';
import { applyDurable, type GroupLog, holdersOf, isDead, newGroupLog, recoveredGroupLog } from './group-log.ts';
import { recover, type Recovery } from './recovery.ts';
import type { RecoveredGroup } from './replay.ts';
import { SegmentAllocator } from './allocator.ts';
import { diskFailed, type Segment } from './segment.ts';
import { type FlushDone, joinBlock, type StagedBlock, Staging } from './staging.ts';
import { BlockWriter } from './writer.ts';

export type { RecoveredGroup } from './replay.ts';

const defaultSegmentBytes = 16 * 1024 * 1024;
const defaultSpareSegments = 2;
/** A block is closed when it passes this: what one physical flush writes at most, but for a larger single entry. */
const blockBytesMax = 1024 * 1024;
/** After so long without a flush, a mark vouches for the last block. */
const markIdleMs = 100;

export interface WalOptions {
  readonly disk: Disk;
  /** Times flushes, idleness and the next attempt at a full volume. */
  readonly clock: Clock;
  /** Made when it is missing; its parent must be there. Holds nothing but the log. */
  readonly directory: string;
  readonly segmentBytes?: number;
  /** Segments kept ready behind the one that is written. */
  readonly spareSegments?: number;
  /** The number of the first segment of a new log. Default 1. */
  readonly firstSegment?: number;
  /** Draws the salt of each segment; without it the wall clock does. */
  readonly random?: Random;
}

export interface WalStats {
  readonly segments: number;
  readonly ready: number;
  readonly recycled: number;
  readonly flushes: number;
  readonly syncs: number;
  readonly marks: number;
  readonly bytesWritten: number;
  readonly lastSyncMs: number;
  readonly stagedBytes: number;
  readonly full: number;
}

type State = 'open' | 'failed' | 'closed';

/** One log for all groups of a host: what is staged before a flush becomes durable with one write and one fdatasync. */
export class Wal {
  /** Hears when the volume fills up (true) and when there is room again (false). */
  onRoom: ((full: boolean) => void) | null = null;
  /** Called once, when the disk failed for good. */
  onFailed: ((error: NoriError) => void) | null = null;

  private readonly clock: Clock;
  private readonly disk: Disk;
  private readonly groups: Map<GroupId, GroupLog>;
  private readonly staging: Staging;
  private readonly allocator: SegmentAllocator;
  private readonly writer: BlockWriter;
  /** Oldest first, the one being written last. */
  private readonly segments: Segment[];
  private readonly segmentBytes: number;
  private state: State = 'open';
  private error: NoriError | null = null;
  private isFull = false;
  private inFlight: StagedBlock | null = null;
  private markTimer: { cancel(): void } | null = null;
  private lastFlushMs = 0;
  private flushes = 0;
  /** Waits for what is under way, in `open` and `close`. */
  private onQuiet: (() => void) | null = null;

  static async open(options: WalOptions): Promise<{ wal: Wal; groups: Map<GroupId, RecoveredGroup> }> {
    const { disk, directory } = options;
    try {
      await disk.makeDirectory(directory);
      const parent = directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
      if (parent !== '') await disk.syncDirectory(parent);
      const recovery = await recover(disk, directory, { salvage: false });
      const wal = new Wal(options, recovery);
      await wal.begin(recovery.segments.length === 0 ? (options.firstSegment ?? 1) : recovery.nextSegment);
      return { wal, groups: recovery.groups };
    } catch (error) {
      throw error instanceof NoriError ? error : diskFailed('the log cannot be opened', error);
    }
  }

  private constructor(options: WalOptions, recovery: Recovery) {
    this.clock = options.clock;
    this.disk = options.disk;
    this.segmentBytes = options.segmentBytes ?? defaultSegmentBytes;
    assert(this.segmentBytes % sectorBytes === 0 && this.segmentBytes >= 4 * sectorBytes, 'segments are whole sectors');
    this.groups = new Map();
    for (const [group, recovered] of recovery.groups) this.groups.set(group, recoveredGroupLog(recovered));
    this.segments = recovery.segments;
    this.staging = new Staging(Math.min(blockBytesMax, this.segmentBytes / 4));
    this.writer = new BlockWriter({
      clock: options.clock,
      random: options.random ?? null,
      sequence: recovery.sequence,
      crc: recovery.crc,
    });
    this.allocator = new SegmentAllocator({
      disk: options.disk,
      clock: options.clock,
      directory: options.directory,
      segmentBytes: this.segmentBytes,
      spareSegments: Math.max(1, options.spareSegments ?? defaultSpareSegments),
      onChange: () => this.onAllocator(),
      onFailed: (error) => this.fail(error),
    });
  }

  createGroup(group: GroupId): void {
    assert(!this.groups.has(group), 'a group is created once and never again under its id');
    const log = newGroupLog(group);
    this.groups.set(group, log);
    this.staging.created(log);
  }

  /** Its entries are given up; that it was here and is gone is remembered. */
  destroyGroup(group: GroupId): void {
    this.staging.destroyed(this.alive(group));
  }

  /** Contiguous entries. If the first index is one the log has, they replace everything from there. */
  append(group: GroupId, entries: readonly Entry[]): void {
    if (entries.length > 0) this.staging.entries(this.alive(group), entries);
  }

  setHardState(group: GroupId, hardState: HardState): void {
    this.staging.hardState(this.alive(group), hardState);
  }

  /** Says how far a damaged group is; with the stage `lost` its log is empty from here on. Null: it is as good as any. */
  setQuarantine(group: GroupId, quarantine: Quarantine | null): void {
    this.staging.quarantine(this.alive(group), quarantine);
  }

  /** Entries up to the base may be given up: a snapshot holds what they did. Entries behind it stay. */
  compact(group: GroupId, base: Base): void {
    this.staging.base(this.alive(group), base, false);
  }

  /** A snapshot from another history is installed: the log is empty behind its base. */
  reset(group: GroupId, base: Base): void {
    this.staging.base(this.alive(group), base, true);
  }

  /** What its files take, but for spare ones. */
  get bytes(): number {
    let bytes = 0;
    for (const { sizeBytes } of this.segments) bytes += sizeBytes;
    return bytes;
  }

  /** How much of one group `copyForward` takes. */
  get copyBytesMax(): number {
    return this.segmentBytes / 8;
  }

  /** The groups whose entries keep the oldest segment from being given up. */
  oldestHolders(): GroupId[] {
    const oldest = this.segments.length > 1 ? this.segments[0] : undefined;
    return oldest === undefined ? [] : holdersOf(oldest, this.groups);
  }

  /** Writes all entries of a group once more, so that no older segment is kept for them. */
  copyForward(group: GroupId, entries: readonly Entry[]): void {
    this.staging.copy(this.alive(group), entries);
  }

  /** Whether there are records that no flush has been asked for. */
  get staged(): boolean {
    return this.staging.unflushed;
  }

  /** Answers when everything staged so far is durable. While the disk is busy, flushes gather in the next one. */
  flush(done: FlushDone): void {
    if (this.state !== 'open') {
      const error = this.error ?? new NoriError('CLOSED', { message: 'the log is closed' });
      this.clock.soon(() => done(error));
      return;
    }
    if (this.staging.flush(done, this.clock.nowMs())) this.pump();
    else if (this.inFlight !== null) joinBlock(this.inFlight, done, this.clock.nowMs());
    else this.clock.soon(() => done(null));
  }

  /** The same for who waits: rejects with the NoriError that `flush` answers with. */
  flushed(): Promise<void> {
    return new Promise((resolve, reject) => this.flush((error) => (error === null ? resolve() : reject(error))));
  }

  /** No room for new proposals: the volume is full and what is allocated is kept for hard states. */
  get full(): boolean {
    return this.isFull;
  }

  /** Whether entries of so many bytes may be staged. Hard states always may: room is kept for them. */
  roomFor(bytes: number): boolean {
    return !this.allocator.starved || this.roomBytes() - bytes >= this.reserveBytes / 2;
  }

  /** How long the oldest unfinished flush has waited, 0 when none does. */
  oldestFlushMs(nowMs: number): number {
    const inFlight = this.inFlight;
    const since = inFlight !== null && inFlight.waiters.length > 0 ? inFlight.firstFlushMs : this.staging.oldestFlushMs;
    return since === Number.POSITIVE_INFINITY ? 0 : Math.max(0, nowMs - since);
  }

  stats(): WalStats {
    return {
      segments: this.segments.length,
      ready: this.allocator.ready,
      recycled: this.allocator.recycled,
      flushes: this.flushes,
      syncs: this.writer.syncs,
      marks: this.writer.marks,
      bytesWritten: this.writer.bytesWritten,
      lastSyncMs: this.writer.lastSyncMs,
      stagedBytes: this.staging.bytes,
      full: this.isFull ? 1 : 0,
    };
  }

  /** Writes what is staged, vouches for it, and lets go of the files. Waits for what the disk has under way. */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    if (this.state === 'open' && !this.staging.empty) {
      await new Promise<void>((resolve) => this.flush(() => resolve()));
    }
    this.markTimer?.cancel();
    await this.quiet();
    if (this.state === 'open' && this.writer.unvouched) {
      await new Promise<void>((resolve) => this.mark(resolve));
    }
    const failed = this.state === 'failed';
    this.state = 'closed';
    if (failed) this.allocator.abandon();
    else await this.allocator.close();
    await this.segments.at(-1)?.file?.close();
  }

  /** Lets go of everything at once: what was staged is not written any more. */
  async abandon(): Promise<void> {
    if (this.state !== 'open') return;
    this.state = 'closed';
    this.markTimer?.cancel();
    this.allocator.abandon();
    await this.segments.at(-1)?.file?.close();
  }

  /** The cut behind a torn tail becomes durable with the head of a fresh segment, which says where the last one ends. */
  private async begin(nextSegment: number): Promise<void> {
    await this.allocator.start(nextSegment);
    while (!this.allocator.nextIsReady && !this.allocator.starved && this.state === 'open') {
      await new Promise<void>((resolve) => {
        this.onQuiet = resolve;
      });
    }
    const last = this.segments.at(-1);
    if (this.allocator.nextIsReady) this.roll();
    else if (last !== undefined && this.state === 'open') await this.resume(last);
    await this.quiet();
    if (this.error !== null) throw this.error;
    this.retire();
    this.updateRoom();
  }

  /**
   * The volume is full: goes on in the room that is left in the last segment, so that a vote can be written. Its end is
   * emptied first, or a torn block that was cut could stand behind new ones.
   */
  private async resume(last: Segment): Promise<void> {
    const file = await this.disk.open(last.path, { create: false });
    last.file = file;
    await eraseEnd(file, last.at + sectorBytes, last.sizeBytes);
    this.writer.resume(last);
    this.lastFlushMs = this.clock.nowMs();
    this.armMark();
  }

  private quiet(): Promise<void> {
    if (!this.writer.busy || this.state !== 'open') return Promise.resolve();
    return new Promise<void>((resolve) => {
      this.onQuiet = resolve;
    }).then(() => this.quiet());
  }

  /** Writes the next block if somebody waits for it and the disk is free. */
  private pump(): void {
    if (this.state !== 'open' || this.writer.busy || !this.staging.flushWanted) return;
    const bytes = this.staging.nextBytes;
    if (!this.writer.fits(bytes)) {
      // Waits for the allocator when no segment is ready.
      if (this.allocator.nextIsReady) this.roll();
      return;
    }
    const block = this.staging.take();
    this.inFlight = block;
    this.writer.write(block, (error) => this.onWritten(block, error));
  }

  private onWritten(block: StagedBlock, error: Error | null): void {
    if (this.state === 'failed') return;
    if (error !== null) return this.fail(error);
    this.inFlight = null;
    this.flushes += 1;
    this.lastFlushMs = this.clock.nowMs();
    let released = false;
    for (const effect of block.effects) {
      applyDurable(effect, this.segments.at(-1) as Segment);
      released ||= effect.base !== null || effect.destroyed || effect.first !== null || effect.quarantine !== undefined;
    }
    // The disk gets its next work before the callers hear of the last.
    this.pump();
    if (released) this.retire();
    this.updateRoom();
    this.armMark();
    for (const done of block.waiters) done(null);
    this.staging.giveBack(block);
    this.wakeQuiet();
  }

  private roll(): void {
    const next = this.allocator.take();
    assert(next !== null, 'a segment is begun only when one is ready');
    const before = this.segments.at(-1) ?? null;
    this.writer.begin(next, { previousEnd: before?.at ?? 0, groups: this.groups.values() }, (error) => {
      if (this.state === 'failed') return;
      if (error !== null) return this.fail(error);
      this.lastFlushMs = this.clock.nowMs();
      this.segments.push(next);
      this.allocator.begun();
      if (before !== null) this.leave(before);
      this.retire();
      this.pump();
      this.updateRoom();
      this.armMark();
      this.wakeQuiet();
    });
  }

  private leave(segment: Segment): void {
    const { file } = segment;
    segment.file = null;
    if (file !== null) file.close().catch((error: unknown) => this.fail(error));
    // Left by a recovery: most of it may be unused.
    else if (segment.sizeBytes > segment.at) this.allocator.trim(segment);
  }

  /** Gives up the oldest segments that nobody needs. Never one from between others: a gap means damage. */
  private retire(): void {
    while (this.segments.length > 1 && isDead(this.segments[0] as Segment, this.groups)) {
      this.allocator.retire(this.segments.shift() as Segment);
    }
  }

  private armMark(): void {
    if (this.markTimer !== null || !this.writer.unvouched || this.state !== 'open') return;
    this.markTimer = this.clock.wakeAt(this.lastFlushMs + markIdleMs, () => {
      this.markTimer = null;
      // Whatever is under way arms it again when it ends.
      if (this.writer.busy || this.state !== 'open') return;
      if (this.clock.nowMs() - this.lastFlushMs >= markIdleMs) this.mark(null);
      else this.armMark();
    });
  }

  private mark(done: (() => void) | null): void {
    this.writer.mark((error) => {
      if (error !== null) this.fail(error);
      else this.pump();
      this.wakeQuiet();
      done?.();
    });
  }

  private get reserveBytes(): number {
    return this.segmentBytes / 2;
  }

  /** What can still be staged before the volume is asked for more. */
  private roomBytes(): number {
    const segment = Math.max(0, this.segmentBytes - this.writer.headBytes);
    return this.writer.remainingBytes + this.allocator.ready * segment - this.staging.bytes;
  }

  private onAllocator(): void {
    if (this.state !== 'open') return;
    this.updateRoom();
    this.pump();
    this.wakeQuiet();
  }

  private updateRoom(): void {
    const full = this.allocator.starved && this.roomBytes() < this.reserveBytes;
    if (full === this.isFull || this.state !== 'open') return;
    this.isFull = full;
    this.onRoom?.(full);
  }

  private wakeQuiet(): void {
    const wake = this.onQuiet;
    this.onQuiet = null;
    wake?.();
  }

  /** Final. What the disk holds of the last writes is unknown, and asking again could be answered with a lie. */
  private fail(cause: unknown): void {
    if (this.state !== 'open') return;
    this.state = 'failed';
    const error = cause instanceof NoriError ? cause : diskFailed('the log cannot be written', cause);
    this.error = error;
    this.allocator.abandon();
    this.markTimer?.cancel();
    const waiters = this.inFlight === null ? [] : [...this.inFlight.waiters];
    this.inFlight = null;
    while (!this.staging.empty) waiters.push(...this.staging.take().waiters);
    this.onFailed?.(error);
    for (const done of waiters) done(error);
    this.wakeQuiet();
  }

  private alive(group: GroupId): GroupLog {
    const log = this.groups.get(group);
    assert(log !== undefined && !log.stagedDestroyed, 'records are staged for groups that are alive');
    return log;
  }
}
