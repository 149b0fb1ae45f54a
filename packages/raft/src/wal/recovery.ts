import { NoriError } from '../base/errors.ts';
import type { GroupId } from '../core/types.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { type Block, BlockKind, bytesOf, formatMajor, readBlock, sectorBytes, wreckOf } from './block.ts';
import { syncOf, writeOf } from './disk-promises.ts';
import { type RecoveredGroup, Replay } from './replay.ts';
import { oneBitFromBlock, rightedBlock } from './rot.ts';
import { damaged, diskFailed, type Segment, segment, segmentName, segmentSequence } from './segment.ts';

/** Where the log ends and what it says. */
export interface Recovery {
  readonly groups: Map<GroupId, RecoveredGroup>;
  /** Oldest first; closed. */
  readonly segments: Segment[];
  /** The number the next segment gets. */
  readonly nextSegment: number;
  /** The number and checksum of the last block, for the next one to follow. */
  readonly sequence: number;
  readonly crc: number;
  /** Damage that could be pinned on groups, or on none: they are marked, and the log has to be written anew. */
  readonly damage: readonly NoriError[];
}

interface Loaded {
  readonly segment: Segment;
  readonly file: DiskFile;
  readonly view: DataView;
  readonly head: Block | null;
  /** The bytes the head was read from: those of the file, but for a bit that was righted. */
  readonly headView: DataView;
}

/**
 * Reads the whole log. Changes nothing but to write the last block once more, the same bytes in the same place: after
 * a kill it may be known only to the page cache, and what follows must not become durable before it. With `salvage`
 * a damaged block is no reason to stop when it can be told which groups it belongs to; then nothing at all is changed.
 * @throws NoriError WAL_DAMAGED | FORMAT_TOO_NEW | DISK_FAILED
 */
export async function recover(
  disk: Disk,
  directory: string,
  { salvage }: { readonly salvage: boolean },
): Promise<Recovery> {
  const sequences = await listSegments(disk, directory);
  const replay = new Replay();
  const walk = new Walk(replay, salvage);
  const segments: Segment[] = [];
  let current: Loaded | null = null;
  let expected = sequences[0] ?? 1;
  for (const sequence of sequences) {
    if (sequence !== expected) {
      throw damaged(`${directory}/${segmentName(expected)}`, 0, 'a segment is missing between others');
    }
    let next = await load(disk, `${directory}/${segmentName(sequence)}`, sequence);
    if (salvage && next.head === null) next = righted(next);
    const unborn = next.head === null;
    if (unborn) requireUnborn(next, { last: sequence === sequences.at(-1), first: current === null });
    if (unborn) {
      await next.file.close();
      break;
    }
    if (current !== null) {
      walk.closed(current, next);
      await current.file.close();
    }
    segments.push(next.segment);
    current = next;
    expected += 1;
  }
  if (current !== null) {
    walk.tail(current);
    if (walk.damage.length > 0) await current.file.close();
    else {
      await writeLastAgain(current, walk.last as NonNullable<Walk['last']>);
      await disk.syncDirectory(directory);
    }
  }
  const { last, damage } = walk;
  const { sequence, crc } = last ?? { sequence: 0, crc: 0 };
  return { groups: replay.finish(), segments, nextSegment: expected, sequence, crc, damage };
}

/** A block that is not whole, and what is known of it nevertheless. */
interface Broken {
  readonly end: number;
  /** Its checksum, as somebody else remembers it. */
  readonly crc: number;
  readonly what: string;
}

/** Follows the chain of blocks from segment to segment. */
class Walk {
  /** The last block of the chain so far. */
  last: Pick<Block, 'sequence' | 'crc' | 'start' | 'end'> | null = null;
  readonly damage: NoriError[] = [];
  private readonly replay: Replay;
  private readonly salvage: boolean;

  constructor(replay: Replay, salvage: boolean) {
    this.replay = replay;
    this.salvage = salvage;
  }

  /** A segment that another follows: whole up to the end the next one's head states, or damaged. */
  closed(loaded: Loaded, next: Loaded): void {
    const { segment } = loaded;
    this.head(loaded);
    const end = previousEnd(next);
    while (segment.at < end) {
      const block = readBlock(loaded.view, segment.at);
      if (block !== null && this.follows(block, segment) && block.kind === BlockKind.data && block.end <= end) {
        this.take(loaded, block);
      } else this.pass(loaded, this.following(loaded, { end, next: next.head as Block }));
    }
    if (segment.at !== end) throw damaged(segment.path, end, 'the next segment says that this one ends elsewhere');
  }

  /** The last segment: it ends where nothing whole follows. */
  tail(loaded: Loaded): void {
    const { segment, view } = loaded;
    const sizeBytes = this.head(loaded);
    if (view.byteLength < sizeBytes) throw damaged(segment.path, view.byteLength, 'the file is shorter than it was');
    for (;;) {
      const block = segment.at < view.byteLength ? readBlock(view, segment.at) : null;
      if (block !== null && ofSegment(block, segment)) {
        if (!this.follows(block, segment))
          throw damaged(segment.path, segment.at, 'a block is not the one that was here');
        if (block.kind !== BlockKind.mark) {
          this.take(loaded, block);
          continue;
        }
      }
      if (followedByBlock(view, segment.at + sectorBytes, segment)) this.pass(loaded, this.following(loaded, null));
      else {
        const rotten = oneBitFromBlock(view, segment.at);
        // Anything else is a torn tail.
        if (rotten === null || !ofSegment(rotten, segment) || rotten.kind !== BlockKind.data) return;
        const end = segment.at + (rotten.end - rotten.start);
        this.pass(loaded, { end, crc: rotten.crc, what: 'a single bit of the last block has flipped' });
      }
    }
  }

  /** Where a broken block ended, by the whole one right behind it: the next block or mark, or the head of the next segment. */
  private following(loaded: Loaded, closed: { readonly end: number; readonly next: Block } | null): Broken {
    const { segment, view } = loaded;
    const what = 'a block is broken and later ones are there';
    const sequence = this.lastSequence + 2;
    const limit = closed?.end ?? view.byteLength;
    for (let at = segment.at + sectorBytes; at < limit; at += sectorBytes) {
      const block = readBlock(view, at);
      if (block === null || !ofSegment(block, segment)) continue;
      if (block.sequence !== sequence) break;
      return { end: at, crc: block.previousCrc, what };
    }
    if (closed?.next.sequence === sequence) return { end: closed.end, crc: closed.next.previousCrc, what };
    throw damaged(segment.path, segment.at, what);
  }

  /** Goes on behind a single broken block, if it can be told whose records it held. */
  private pass({ segment, view }: Loaded, { end, crc, what }: Broken): void {
    const { at } = segment;
    const error = damaged(segment.path, at, what);
    const name = { sequence: this.lastSequence + 1, salt: segment.salt };
    const wreck = this.salvage ? wreckOf(view, { start: at, end }, name) : null;
    if (wreck === null) throw error;
    this.replay.wreck(bytesOf(view), wreck, { segment, offset: at });
    this.damage.push(error);
    this.last = { sequence: this.lastSequence + 1, crc, start: at, end };
    segment.at = end;
  }

  /** Returns how large the file was when the segment began. */
  private head(loaded: Loaded): number {
    const block = loaded.head as Block;
    const { segment } = loaded;
    const last = this.last;
    if (last !== null && (block.sequence !== last.sequence + 1 || block.previousCrc !== last.crc)) {
      throw damaged(segment.path, 0, 'the segment does not follow the one before it');
    }
    segment.salt = block.salt;
    const head = this.replay.block(bytesOf(loaded.headView), block, segment);
    segment.at = block.end;
    this.last = block;
    if (head === null) throw damaged(segment.path, 0, 'a segment begins without a head');
    if (loaded.headView !== loaded.view) this.rightedHead(loaded, { block, first: last === null });
    return head.sizeBytes;
  }

  /** A head says again what the segments before it say; of the first one nobody else knows it. */
  private rightedHead(
    { segment, view }: Loaded,
    { block, first }: { readonly block: Block; readonly first: boolean },
  ): void {
    const error = damaged(segment.path, 0, 'a single bit of the head has flipped');
    const wreck = wreckOf(view, { start: 0, end: block.end }, block);
    if (wreck === null) throw error;
    const hurt = first ? wreck.hurt : [];
    this.replay.wreck(bytesOf(view), { intact: [], hurt }, { segment, offset: 0 });
    this.damage.push(error);
  }

  private get lastSequence(): number {
    return this.last?.sequence ?? 0;
  }

  private take(loaded: Loaded, block: Block): ReturnType<Replay['block']> {
    const head = this.replay.block(bytesOf(loaded.view), block, loaded.segment);
    loaded.segment.at = block.end;
    this.last = block;
    return head;
  }

  private follows(block: Block, segment: Segment): boolean {
    const last = this.last as NonNullable<Walk['last']>;
    return (
      ofSegment(block, segment) &&
      block.kind !== BlockKind.head &&
      block.sequence === last.sequence + 1 &&
      block.previousCrc === last.crc
    );
  }
}

function ofSegment(block: Block, segment: Segment): boolean {
  return block.segment === segment.sequence && block.salt === segment.salt;
}

function followedByBlock(view: DataView, from: number, segment: Segment): boolean {
  for (let at = from; at < view.byteLength; at += sectorBytes) {
    const block = readBlock(view, at);
    if (block !== null && ofSegment(block, segment)) return true;
  }
  return false;
}

/** The end that the head of a segment states for the one before it. */
function previousEnd(next: Loaded): number {
  const head = new Replay().block(bytesOf(next.headView), next.head as Block, segment({ ...next.segment }));
  return head === null ? -1 : head.previousEnd;
}

/**
 * A file without a head was prepared and never begun, if it is the last one: its head is durable before anything else
 * in it is written, and before any earlier segment is given up.
 */
function requireUnborn(loaded: Loaded, place: { readonly last: boolean; readonly first: boolean }): void {
  const { segment, view } = loaded;
  const begun = (block: Block | null): boolean => block !== null && block.segment === segment.sequence;
  if (!place.last) throw damaged(segment.path, 0, 'the head of a segment is broken');
  if (place.first && segment.sequence !== 1) throw damaged(segment.path, 0, 'the head of the only segment is broken');
  if (begun(oneBitFromBlock(view, 0))) throw damaged(segment.path, 0, 'a single bit of the head has flipped');
  for (let at = sectorBytes; at < view.byteLength; at += sectorBytes) {
    if (begun(readBlock(view, at))) throw damaged(segment.path, 0, 'the head of a segment is broken');
  }
}

async function listSegments(disk: Disk, directory: string): Promise<number[]> {
  const sequences: number[] = [];
  for (const name of await disk.list(directory)) {
    const sequence = segmentSequence(name);
    if (sequence !== null) sequences.push(sequence);
  }
  return sequences.sort((a, b) => a - b);
}

async function load(disk: Disk, path: string, sequence: number): Promise<Loaded> {
  try {
    const file = await disk.open(path, { create: false });
    const sizeBytes = await file.sizeBytes();
    const bytes = await file.read(0, sizeBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const block = readBlock(view, 0);
    if (block !== null && block.format > formatMajor && block.segment === sequence) {
      throw new NoriError('FORMAT_TOO_NEW', {
        message: `${path} is written in format ${block.format}, this version reads up to ${formatMajor}`,
        file: path,
      });
    }
    const head = block !== null && block.kind === BlockKind.head && block.segment === sequence ? block : null;
    return { segment: segment({ sequence, path, file: null, sizeBytes }), file, view, head, headView: view };
  } catch (error) {
    if (error instanceof NoriError) throw error;
    throw diskFailed(`cannot read ${path}`, error);
  }
}

/** A head with a single flipped bit is known for what it was. */
function righted(loaded: Loaded): Loaded {
  const headView = rightedBlock(loaded.view, 0);
  const head = headView === null ? null : readBlock(headView, 0);
  if (headView === null || head === null || head.kind !== BlockKind.head) return loaded;
  return head.segment === loaded.segment.sequence ? { ...loaded, head, headView } : loaded;
}

async function writeLastAgain(loaded: Loaded, last: Pick<Block, 'start' | 'end'>): Promise<void> {
  const { file, segment, view } = loaded;
  const bytes = bytesOf(view).subarray(last.start, last.end);
  try {
    const written = await writeOf(file, bytes, last.start);
    if (written !== bytes.length) throw new Error(`wrote ${written} of ${bytes.length} bytes`);
    await syncOf(file);
    await file.close();
  } catch (error) {
    throw diskFailed(`cannot make ${segment.path} durable`, error);
  }
}
