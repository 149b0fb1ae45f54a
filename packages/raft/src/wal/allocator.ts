import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import { sizeOf, syncOf, writeOf } from './disk-promises.ts';
import {
  fillingName,
  isFillingName,
  isNoSpace,
  isSpareName,
  type Segment,
  segment,
  segmentName,
  spareName,
} from './segment.ts';

const chunkBytes = 1024 * 1024;
const retryMs = 500;

interface AllocatorOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly segmentBytes: number;
  /** How many segments are kept ready behind the one that is written. */
  readonly spareSegments: number;
  /** Something became ready, or the volume is found full. */
  readonly onChange: () => void;
  readonly onFailed: (error: unknown) => void;
}

/** What to do with a file whose contents are dead. */
type Chore =
  | { readonly kind: 'retire'; readonly segment: Segment }
  | { readonly kind: 'trim'; readonly segment: Segment };

/**
 * Keeps segments ready ahead of need, in the background and one step at a time: files filled with zeros to their end
 * and durable, for writing into such a file costs half of growing one. Dead segments come back as spares.
 */
export class SegmentAllocator {
  /** The last attempt met a full volume; tried again until there is room. */
  starved = false;
  recycled = 0;
  private next: Segment | null = null;
  private spares: string[] = [];
  private readonly chores: Chore[] = [];
  private nextSequence = 0;
  /** A segment was taken and has no durable head yet. Two such files would look like damage after a crash. */
  private headPending = false;
  private nextNumber = 1;
  private running: Promise<void> | null = null;
  private closed = false;
  private timer: Timer | null = null;
  private readonly options: AllocatorOptions;

  constructor(options: AllocatorOptions) {
    this.options = options;
  }

  /** Segments that can be written without asking the volume for room. */
  get ready(): number {
    return this.spares.length + (this.next === null ? 0 : 1);
  }

  get nextIsReady(): boolean {
    return this.next !== null;
  }

  /** Takes stock of the files an earlier life left, then begins. */
  async start(nextSequence: number): Promise<void> {
    const { disk, directory, segmentBytes } = this.options;
    this.nextSequence = nextSequence;
    for (const name of await disk.list(directory)) {
      const path = `${directory}/${name}`;
      if (isFillingName(name)) await disk.remove(path);
      else if (isSpareName(name) || name === segmentName(nextSequence)) {
        // A prepared segment that was never begun is as good as a spare.
        if ((await sizeOf(await disk.open(path, { create: false }))) !== segmentBytes) await disk.remove(path);
        else if (isSpareName(name)) {
          this.spares.push(path);
          this.nextNumber = Math.max(this.nextNumber, Number.parseInt(name.slice('spare-'.length), 10) + 1);
        } else {
          const file = await disk.open(path, { create: false });
          this.next = segment({ sequence: nextSequence, path, file, sizeBytes: segmentBytes });
        }
      }
    }
    await disk.syncDirectory(directory);
    this.work();
  }

  /** Hands the next segment over; null when none is ready. */
  take(): Segment | null {
    const taken = this.next;
    this.next = null;
    this.headPending = taken !== null;
    return taken;
  }

  /** The head of the segment that was taken is durable: another may get the number behind it. */
  begun(): void {
    this.headPending = false;
    this.nextSequence += 1;
    this.work();
  }

  /** Takes in the oldest segment, which nobody needs any more. */
  retire(segment: Segment): void {
    this.chores.push({ kind: 'retire', segment });
    this.work();
  }

  /** Gives the unused end of a segment back to the volume. */
  trim(segment: Segment): void {
    this.chores.push({ kind: 'trim', segment });
    this.work();
  }

  /** Stops after the step under way. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    await this.running;
    await this.next?.file?.close();
  }

  /** Stops without waiting: the disk has failed. */
  abandon(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private work(): void {
    if (this.closed || this.running !== null || this.timer !== null) return;
    this.running = this.run().finally(() => {
      this.running = null;
      // A step may have been asked for while the last one was ending.
      if (this.pending()) this.work();
    });
  }

  private pending(): boolean {
    return this.chores.length > 0 || this.ready < this.options.spareSegments || this.mayName();
  }

  private mayName(): boolean {
    return this.next === null && !this.headPending && this.spares.length > 0;
  }

  private async run(): Promise<void> {
    try {
      while (!this.closed && this.pending()) {
        const chore = this.chores.shift();
        if (chore !== undefined) await this.carryOut(chore);
        else if (this.mayName()) await this.nameNext();
        else if (!(await this.fill())) return;
        this.options.onChange();
      }
    } catch (error) {
      this.closed = true;
      this.options.onFailed(error);
    }
  }

  /** A spare gets its name before it is needed; until its head is written it counts as never begun. */
  private async nameNext(): Promise<void> {
    const { disk, directory, segmentBytes } = this.options;
    const spare = this.spares[this.spares.length - 1] as string;
    const sequence = this.nextSequence;
    const path = `${directory}/${segmentName(sequence)}`;
    await disk.rename(spare, path);
    await disk.syncDirectory(directory);
    const file = await disk.open(path, { create: false });
    this.spares.pop();
    this.next = segment({ sequence, path, file, sizeBytes: segmentBytes });
  }

  /** Makes one spare; false when the volume is full. */
  private async fill(): Promise<boolean> {
    const { disk, directory } = this.options;
    const number = this.nextNumber;
    const filling = `${directory}/${fillingName(number)}`;
    const spare = `${directory}/${spareName(number)}`;
    try {
      if (!(await this.fillWithZeros(filling))) return false;
      await disk.rename(filling, spare);
      await disk.syncDirectory(directory);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.hunger(filling);
      return false;
    }
    this.nextNumber += 1;
    this.spares.push(spare);
    this.starved = false;
    return true;
  }

  /** False when the log was closed meanwhile; the next life removes what is there. */
  private async fillWithZeros(path: string): Promise<boolean> {
    const { disk, segmentBytes } = this.options;
    const file = await disk.open(path, { create: true });
    try {
      const zeros = new Uint8Array(Math.min(chunkBytes, segmentBytes));
      for (let at = 0; at < segmentBytes; ) {
        if (this.closed) return false;
        const chunk = zeros.subarray(0, Math.min(zeros.length, segmentBytes - at));
        const written = await writeOf(file, chunk, at);
        if (written === 0) throw Object.assign(new Error('the volume took no bytes'), { code: 'ENOSPC' });
        at += written;
        // Synced as it grows: one large sync at the end would hold up the log's own.
        if (written === chunk.length) await syncOf(file);
      }
      return true;
    } finally {
      await file.close();
    }
  }

  private async hunger(filling: string): Promise<void> {
    const { disk, clock, directory } = this.options;
    if ((await disk.list(directory)).includes(filling.slice(directory.length + 1))) await disk.remove(filling);
    if (this.closed) return;
    this.starved = true;
    this.timer = clock.wakeAt(clock.nowMs() + retryMs, () => {
      this.timer = null;
      this.work();
    });
    this.options.onChange();
  }

  private async carryOut(chore: Chore): Promise<void> {
    const { disk, directory, segmentBytes } = this.options;
    if (chore.kind === 'trim') {
      const { segment } = chore;
      const file = await disk.open(segment.path, { create: false });
      await file.truncate(segment.at);
      await file.close();
      segment.sizeBytes = segment.at;
      return;
    }
    const wanted = this.ready <= this.options.spareSegments && chore.segment.sizeBytes === segmentBytes;
    if (wanted) {
      const spare = `${directory}/${spareName(this.nextNumber)}`;
      this.nextNumber += 1;
      await disk.rename(chore.segment.path, spare);
      this.spares.push(spare);
      this.starved = false;
    } else await disk.remove(chore.segment.path);
    // Before the next one goes, or a power cut could leave a gap between segments.
    await disk.syncDirectory(directory);
    this.recycled += 1;
  }
}
