import { NoriError } from '../base/errors.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { DiskFile } from '../ports/disk.ts';

const suffix = '.wal';
const digits = 16;

/** A file of the log that has been given its number. */
export interface Segment {
  readonly sequence: number;
  readonly path: string;
  /** Open only while the segment is written. */
  file: DiskFile | null;
  sizeBytes: number;
  /** Where the next block goes. */
  at: number;
  salt: number;
  /** The highest index of each group with entries in it: what keeps the segment alive. */
  readonly live: Map<GroupId, Index>;
}

export function segment(fields: {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile | null;
  readonly sizeBytes: number;
}): Segment {
  return { ...fields, at: 0, salt: 0, live: new Map() };
}

/** Sets `live[group]` to `index` unless it is higher already. */
export function raise(live: Map<GroupId, Index>, group: GroupId, index: Index): void {
  const known = live.get(group);
  if (known === undefined || known < index) live.set(group, index);
}

export function segmentName(sequence: number): string {
  return sequence.toString(16).padStart(digits, '0') + suffix;
}

/** The number a file name carries, or null when it is not that of a segment. */
export function segmentSequence(name: string): number | null {
  if (!/^[0-9a-f]{16}\.wal$/.test(name)) return null;
  const sequence = Number.parseInt(name.slice(0, digits), 16);
  return Number.isSafeInteger(sequence) && sequence > 0 ? sequence : null;
}

export function isSegmentName(name: string): boolean {
  return segmentSequence(name) !== null;
}

/** Allocated and free; its bytes may be those of an earlier life. */
export function spareName(number: number): string {
  return `spare-${number}${suffix}`;
}

export function isSpareName(name: string): boolean {
  return /^spare-\d+\.wal$/.test(name);
}

/** Not allocated to its end yet. */
export function fillingName(number: number): string {
  return `filling-${number}.tmp`;
}

export function isFillingName(name: string): boolean {
  return /^filling-\d+\.tmp$/.test(name);
}

export function damaged(file: string, offset: number, what: string, cause?: unknown): NoriError {
  return new NoriError('WAL_DAMAGED', {
    message: `the log is damaged: ${what} (${file} at byte ${offset})`,
    file,
    offset,
    ...(cause === undefined ? {} : { cause }),
  });
}

export function diskFailed(what: string, cause: unknown): NoriError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NoriError('DISK_FAILED', { message: `${what}: ${reason}`, cause });
}

/** Whether the error says that the volume has no room. */
export function isNoSpace(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
