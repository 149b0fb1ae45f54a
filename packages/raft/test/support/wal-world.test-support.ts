import { type Entry, entry, EntryKind, type HardState, nodeId } from '../../src/core/types.ts';
import type { RecoveredGroup } from '../../src/wal/replay.ts';
import { openLog, type OpenedLog } from '../../src/wal/mending.ts';
import { Wal } from '../../src/wal/wal.ts';
import { ManualClock } from './manual-clock.test-support.ts';
import type { MemoryDisk } from './memory-disk.test-support.ts';

export const directory = 'data/wal';

/** Runs all microtasks and what they start. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export interface Opened {
  readonly wal: Wal;
  readonly groups: Map<number, RecoveredGroup>;
  readonly clock: ManualClock;
}

export async function openWal(
  disk: MemoryDisk,
  options: { readonly segmentBytes?: number; readonly spareSegments?: number } = {},
): Promise<Opened> {
  const clock = new ManualClock();
  const opened = await Wal.open({
    disk: disk.boot(),
    clock,
    directory,
    segmentBytes: 8192,
    spareSegments: 1,
    ...options,
  });
  return { ...opened, clock };
}

/** The same, where a damaged log costs only the groups whose records are damaged. */
export async function openMended(disk: MemoryDisk, options: { readonly segmentBytes: number }): Promise<OpenedLog> {
  const parts = { disk: disk.boot(), clock: new ManualClock(), directory, spareSegments: 1, ...options };
  return openLog(parts, { quarantine: true });
}

export function flushed(wal: Wal): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.flush((error) => (error === null ? resolve() : reject(error)));
  });
}

export function command(index: number, term: number, payload: string): Entry {
  return entry({
    index,
    term,
    kind: EntryKind.command,
    timeMs: 1000 + index,
    payload: new TextEncoder().encode(payload),
  });
}

export function commands(from: number, count: number, term = 1, payload = 'value'): Entry[] {
  return Array.from({ length: count }, (_, at) => command(from + at, term, `${payload}-${from + at}`));
}

export function vote(term: number, votedFor: string | null = 'n1'): HardState {
  return { term, votedFor: votedFor === null ? null : nodeId(votedFor), promises: [] };
}

/** What a group's log says, as plain text that compares and prints well. */
export function story(group: RecoveredGroup | undefined): string {
  if (group === undefined) return 'none';
  const entries = group.entries.map((item) => `${item.index}@${item.term}:${new TextDecoder().decode(item.payload)}`);
  const { base, hardState } = group;
  const promises = hardState.promises.map(
    (promise) => `${promise.holder}/${promise.incarnation}.${promise.lineage}/${promise.term}`,
  );
  const state = `term ${hardState.term} vote ${hardState.votedFor ?? '-'} promises [${promises.join(' ')}]`;
  return `${group.destroyed ? 'destroyed' : 'alive'} ${state} base ${base.index}@${base.term} [${entries.join(' ')}]`;
}

export function stories(groups: ReadonlyMap<number, RecoveredGroup>): string {
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([id, group]) => `${id}: ${story(group)}`)
    .join('\n');
}
