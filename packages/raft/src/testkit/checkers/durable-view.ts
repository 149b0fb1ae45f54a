import { ByteReader } from '../../codec/bytes.ts';
import { type GroupCheckpoint, QuarantineStage, readRecord, RecordKind, type WalRecord } from '../../codec/record.ts';
import type { GroupId, HardState, Index, NodeId, Term } from '../../core/types.ts';
import { BlockKind } from '../../wal/block.ts';
import { segmentName, segmentSequence } from '../../wal/segment.ts';
import type { Inode } from '../inode.ts';
import type { Machine } from '../machine.ts';
import { Violation } from '../violation.ts';
import { type DurableBlock, durableBlockAt } from './durable-block.ts';

const walDirectory = 'disk/data/wal/';

/** Of the last entry a checkpoint speaks of. */
const unknownTerm: Term = 0;

/** What the platter holds of one group: enough to judge promises by. */
export class DurableGroup {
  term: Term = 0;
  votedFor: NodeId | null = null;
  baseIndex: Index = 0;
  /** The term of each entry, by its index less the base. */
  readonly terms: Term[] = [0];

  get lastIndex(): Index {
    return this.baseIndex + this.terms.length - 1;
  }

  termAt(index: Index): Term | undefined {
    return this.terms[index - this.baseIndex];
  }

  holds(index: Index, term: Term): boolean {
    if (index === this.baseIndex && this.terms[0] === unknownTerm) return true;
    return index < this.baseIndex || this.termAt(index) === term;
  }

  copy(): DurableGroup {
    const copy = new DurableGroup();
    copy.term = this.term;
    copy.votedFor = this.votedFor;
    copy.baseIndex = this.baseIndex;
    copy.terms.length = 0;
    for (const term of this.terms) copy.terms.push(term);
    return copy;
  }
}

/**
 * What a power cut would leave of one machine's log, at any moment: follows the log's blocks as they become durable.
 * Each is read once. It finds blocks and replays them on its own, so that an error in the log's recovery shows as a
 * difference.
 */
export class DurableView {
  readonly groups: Map<GroupId, DurableGroup> = new Map();
  private readonly machine: Machine;
  private sequence = 0;
  private inode: Inode | null = null;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private at = 0;
  private last: DurableBlock | null = null;
  /** Asked for again and again until it is there. */
  private nextSequence = 0;
  private nextPath = '';

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Takes in what became durable since the last time. */
  catchUp(): void {
    for (;;) {
      while (this.takeBlock());
      if (!this.enterNext()) return;
    }
  }

  group(id: GroupId): DurableGroup {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = new DurableGroup();
      this.groups.set(id, group);
    }
    return group;
  }

  private takeBlock(): boolean {
    const { inode, last } = this;
    if (inode === null || last === null) return false;
    const { durable } = inode;
    if (this.view.buffer !== durable.buffer) this.view = viewOf(durable);
    if (this.at >= durable.length) return false;
    const block = durableBlockAt(this.view, this.at);
    const follows =
      block !== null &&
      block.kind === BlockKind.data &&
      block.segment === this.sequence &&
      block.salt === last.salt &&
      block.sequence === last.sequence + 1 &&
      block.previousCrc === last.crc;
    if (!follows) return false;
    this.take(block);
    return true;
  }

  /** Goes on in the segment behind the current one, once its head is durable. */
  private enterNext(): boolean {
    const next = this.next();
    if (next === null) return false;
    const view = viewOf(next.inode.durable);
    const head = durableBlockAt(view, 0);
    if (head === null || head.kind !== BlockKind.head || head.segment !== next.sequence) return false;
    if (this.last !== null && head.previousCrc !== this.last.crc) {
      if (head.sequence !== 1) return false;
      // A damaged log was written anew.
      this.last = null;
      this.groups.clear();
    }
    this.sequence = next.sequence;
    this.inode = next.inode;
    this.view = view;
    this.take(head);
    return true;
  }

  private pathOf(sequence: number): string {
    if (sequence !== this.nextSequence) {
      this.nextSequence = sequence;
      this.nextPath = walDirectory + segmentName(sequence);
    }
    return this.nextPath;
  }

  private next(): { readonly sequence: number; readonly inode: Inode } | null {
    const { tree } = this.machine.disk;
    // Snapshots may have let go of segments before anybody looked: then it begins anew, from a checkpoint.
    if (this.last !== null && tree.durableInode(this.pathOf(this.sequence + 1)) === undefined) {
      if (firstSegment(tree.durableFiles) > this.sequence + 1) this.last = null;
    }
    const sequence = this.last === null ? firstSegment(tree.durableFiles) : this.sequence + 1;
    const inode = sequence === 0 ? undefined : tree.durableInode(this.pathOf(sequence));
    return inode === undefined ? null : { sequence, inode };
  }

  private take(block: DurableBlock): void {
    const first = this.last === null;
    const { buffer, byteOffset, byteLength } = this.view;
    const reader = new ByteReader(new Uint8Array(buffer, byteOffset, byteLength), block.payloadStart, block.payloadEnd);
    while (reader.remaining > 0) this.record(this.read(reader, block), first);
    this.last = block;
    this.at = block.end;
  }

  private read(reader: ByteReader, { sequence }: DurableBlock): WalRecord {
    try {
      return readRecord(reader);
    } catch (cause) {
      const { id } = this.machine;
      throw new Violation('RecoverySound', `${id}: block ${sequence} is whole on its disk, and no record of it`, cause);
    }
  }

  private record(record: WalRecord, first: boolean): void {
    switch (record.kind) {
      case RecordKind.entries: {
        const group = this.group(record.group);
        const from = record.entries[0]?.index ?? group.lastIndex + 1;
        if (from <= group.baseIndex) {
          // All of the group's entries, written once more: the segments they were in may be gone.
          group.baseIndex = from - 1;
          group.terms[0] = unknownTerm;
        }
        group.terms.length = from - group.baseIndex;
        for (const { term } of record.entries) group.terms.push(term);
        return;
      }
      case RecordKind.hardState:
        vote(this.group(record.group), record.hardState);
        return;
      case RecordKind.groupCheckpoint:
        if (first) begin(this.group(record.group), record.checkpoint);
        return;
      case RecordKind.quarantine:
        if (record.quarantine?.stage === QuarantineStage.lost) forget(this.group(record.group));
        return;
      case RecordKind.base:
        rebase(this.group(record.group), record);
        return;
      default:
    }
  }
}

function firstSegment(files: Machine['disk']['tree']['durableFiles']): number {
  let first = 0;
  for (const [path] of files) {
    const sequence = path.startsWith(walDirectory) ? segmentSequence(path.slice(walDirectory.length)) : null;
    if (sequence !== null && (first === 0 || sequence < first)) first = sequence;
  }
  return first;
}

/** The views of all machines. */
export class DurableViews {
  private readonly views: Map<Machine, DurableView> = new Map();

  /** As of now. */
  of(machine: Machine): DurableView {
    const view = this.last(machine);
    view.catchUp();
    return view;
  }

  /** Whether it holds of the group on that disk. Looks again only when it did not hold before: what once was durable stays. */
  holds(machine: Machine, group: GroupId, test: (durable: DurableGroup) => boolean): boolean {
    const view = this.last(machine);
    const durable = view.group(group);
    if (test(durable)) return true;
    view.catchUp();
    return test(durable);
  }

  private last(machine: Machine): DurableView {
    let view = this.views.get(machine);
    if (view === undefined) {
      const made = new DurableView(machine);
      // The log gives segments new names and writes over them: what they held must be known by then.
      machine.disk.beforeNamesChange = () => made.catchUp();
      this.views.set(machine, made);
      return made;
    }
    return view;
  }
}

function forget(group: DurableGroup): void {
  group.baseIndex = 0;
  group.terms.length = 0;
  group.terms.push(unknownTerm);
}

function vote(group: DurableGroup, hardState: HardState): void {
  group.term = hardState.term;
  group.votedFor = hardState.votedFor;
}

function begin(group: DurableGroup, checkpoint: GroupCheckpoint): void {
  vote(group, checkpoint.hardState);
  group.baseIndex = checkpoint.last;
  group.terms.length = 0;
  group.terms.push(unknownTerm);
}

function rebase(group: DurableGroup, record: Extract<WalRecord, { kind: typeof RecordKind.base }>): void {
  const { index, term } = record.base;
  if (record.reset || index >= group.lastIndex) group.terms.length = 0;
  else group.terms.splice(0, index - group.baseIndex);
  group.baseIndex = index;
  group.terms[0] = term;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
