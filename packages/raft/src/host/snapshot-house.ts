import { NoriError } from '../base/errors.ts';
import type { GroupId, Index, SnapshotPoint } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import type { SnapshotStore } from '../snapshot/store.ts';
import type { Transport } from '../transport/transport.ts';
import type { Wal } from '../wal/wal.ts';
import type { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import type { HostOptions } from './options.ts';
import type { Turn } from './turn.ts';

export interface SnapshotParts {
  readonly options: HostOptions;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly wal: Wal;
  readonly transport: Transport;
  readonly turn: Turn;
  readonly narrator: Narrator;
  readonly groups: ReadonlyMap<GroupId, Group>;
  fail(error: NoriError): void;
}

/** What taking, sending and receiving share. */
export interface SnapshotHouse extends SnapshotParts {
  /** No new work is begun, and what is under way ends soon. */
  readonly closed: boolean;
  storeOf(group: GroupId): SnapshotStore;
  /** Keeps the host's directory open until it has ended; whatever it throws that nobody expected stops the host. */
  background(work: Promise<void>): void;
  /** A snapshot through `index` is durable here: the log in front of it may go. */
  taken(group: Group, index: Index): void;
  /** The state machine holds another state as of `index`, and a snapshot of it is durable: nothing before it counts any more. */
  replaced(group: Group, index: Index): void;
}

export function diskFailure(error: unknown): NoriError {
  if (error instanceof NoriError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new NoriError('DISK_FAILED', { message: `a snapshot cannot be written or read: ${reason}`, cause: error });
}

/** A full volume passes; nothing that was there before is lost by it. */
export function isDiskFull(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  return error.code === 'DISK_FULL' || error.code === 'ENOSPC' || error.code === 'EDQUOT';
}

/** What a snapshot taken now covers. */
export function pointOf({ raft }: Group): SnapshotPoint {
  const { log } = raft;
  const index = log.applied;
  const { configuration, index: configurationIndex } = raft.configurationAt(index);
  return { index, term: log.termAt(index) ?? 0, timeMs: log.timeMsAt(index), configuration, configurationIndex };
}
