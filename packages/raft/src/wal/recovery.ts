import { NoriError } from '../base/errors.ts';
import type { GroupId } from '../core/types.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { type Block, BlockKind, bytesOf, formatMajor, readBlock, sectorBytes } from './block.ts';
import { syncOf, writeOf } from './disk-promises.ts';
import { type RecoveredGroup, Replay } from './replay.ts';
import { oneBitFromBlock } from './rot.ts';
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
}

interface Loaded {
  readonly segment: Segment;
  readonly file: DiskFile;
  readonly view: DataView;
  readonly head: Block | null;
}

/**
 * Reads the whole log. Changes nothing but to write the last block once more, the same bytes in the same place: after
 * a kill it may be known only to the page cache, and what follows must not become durable before it.
 * @throws NoriError WAL_DAMAGED | FORMAT_TOO_NEW | DISK_FAILED
 */
export async function recover(disk: Disk, directory: string): Promise<Recovery> {
  const sequences = await listSegments(disk, directory);
  const replay = new Replay();
  const walk = new Walk(replay);
  const segments: Segment[] = [];
  let current: Loaded | null = null;
  let expected = sequences[0] ?? 1;
  for (const sequence of sequences) {
    if (sequence !== expected) {
      throw damaged(`${directory}/${segmentName(expected)}`, 0, 'a segment is missing between others');
    }
    const next = await load(disk, `${directory}/${segmentName(sequence)}`, sequence);
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
    await writeLastAgain(current, walk.last as Block);
    await disk.syncDirectory(directory);
  }
  const crc = walk.last?.crc ?? 0;
  return { groups: replay.finish(), segments, nextSegment: expected, sequence: walk.last?.sequence ?? 0, crc };
}

/** Follows the chain of blocks from segment to segment. */
class Walk {
  /** The last block of the chain so far. */
  last: Block | null = null;
  private readonly replay: Replay;

  constructor(replay: Replay) {
    this.replay = replay;
  }

  /** A segment that another follows: whole up to the end the next one's head states, or damaged. */
  closed(loaded: Loaded, next: Loaded): void {
    const { segment } = loaded;
    this.head(loaded);
    const end = previousEnd(next);
    while (segment.at < end) {
      const block = readBlock(loaded.view, segment.at);
      if (block === null || !this.follows(block, segment) || block.kind !== BlockKind.data || block.end > end) {
        throw damaged(segment.path, segment.at, 'a block is broken and later ones are there');
      }
      this.take(loaded, block);
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
      if (block === null || !ofSegment(block, segment)) break;
      if (!this.follows(block, segment))
        throw damaged(segment.path, segment.at, 'a block is not the one that was here');
      if (block.kind === BlockKind.mark) break;
      this.take(loaded, block);
    }
    if (followedByBlock(view, segment.at + sectorBytes, segment)) {
      throw damaged(segment.path, segment.at, 'a block is broken and later ones are there');
    }
    const rotten = oneBitFromBlock(view, segment.at);
    if (rotten !== null && ofSegment(rotten, segment) && rotten.kind === BlockKind.data) {
      throw damaged(segment.path, segment.at, 'a single bit of the last block has flipped');
    }
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
    const head = this.take(loaded, block);
    if (head === null) throw damaged(segment.path, 0, 'a segment begins without a head');
    return head.sizeBytes;
  }

  private take(loaded: Loaded, block: Block): ReturnType<Replay['block']> {
    const head = this.replay.block(bytesOf(loaded.view), block, loaded.segment);
    loaded.segment.at = block.end;
    this.last = block;
    return head;
  }

  private follows(block: Block, segment: Segment): boolean {
    const last = this.last as Block;
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
  const head = new Replay().block(bytesOf(next.view), next.head as Block, segment({ ...next.segment }));
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
    return { segment: segment({ sequence, path, file: null, sizeBytes }), file, view, head };
  } catch (error) {
    if (error instanceof NoriError) throw error;
    throw diskFailed(`cannot read ${path}`, error);
  }
}

async function writeLastAgain(loaded: Loaded, last: Block): Promise<void> {
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
