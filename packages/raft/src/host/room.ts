import type { GroupId } from '../core/types.ts';
import type { Wal } from '../wal/wal.ts';
import type { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import type { Turn } from './turn.ts';

/** Whether there is room for new writes: in the log, and in what state machines keep themselves. */
export class Room {
  /** New writes are refused, in some group at least. */
  full = false;
  private readonly parts: {
    readonly wal: Wal;
    readonly turn: Turn;
    readonly groups: ReadonlyMap<GroupId, Group>;
    readonly narrator: Narrator;
    readonly directory: string;
  };

  constructor(parts: Room['parts']) {
    this.parts = parts;
  }

  /** Called when the log fills up or has room again, and now and then for the state machines. */
  look(): void {
    const { wal, turn, groups, narrator, directory } = this.parts;
    let { full } = wal;
    for (const group of groups.values()) full ||= group.halted === null && group.full;
    if (full === this.full) return;
    this.full = full;
    if (full) narrator.logger?.error({ directory }, 'the volume is full: new writes are refused until there is room');
    else narrator.logger?.info({ directory }, 'there is room again: writes are taken');
    narrator.tell({ scope: 'Storage', event: { type: full ? 'DiskFull' : 'DiskRoom' } });
    // What expired meanwhile was not written down.
    for (const group of groups.values()) turn.schedule(group);
  }
}
