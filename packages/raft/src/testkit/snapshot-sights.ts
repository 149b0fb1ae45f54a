import type { GroupId, Index } from '../core/types.ts';
import type { ShardEvent } from '../ports/meter.ts';
import type { Machine } from './machine.ts';

/** Sees whether a snapshot that came from elsewhere was begun more than once before it was complete. */
export class SnapshotSights {
  private readonly begun = new Map<string, { index: Index; times: number }>();
  private readonly saw: (sight: string) => void;

  constructor(saw: (sight: string) => void) {
    this.saw = saw;
  }

  onEvent(machine: Machine, event: ShardEvent): void {
    if (event.from === null) return;
    const key = keyOf(machine, event.group);
    const before = this.begun.get(key);
    if (event.type === 'SnapshotStart') {
      this.saw('follower behind compaction');
      const again = before?.index === event.index;
      this.begun.set(key, { index: event.index, times: again ? before.times + 1 : 1 });
    } else if (event.type === 'SnapshotDone') {
      if (before?.index === event.index && before.times > 1) this.saw('snapshot install interrupted then completed');
      this.begun.delete(key);
    }
  }
}

function keyOf(machine: Machine, group: GroupId): string {
  return `${machine.id}/${group}`;
}
