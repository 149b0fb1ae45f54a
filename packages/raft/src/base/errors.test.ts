import { expect, test } from 'vitest';
import { type ErrorCode, errorCodes, NoriError } from './errors.ts';

const codes = Object.keys(errorCodes) as ErrorCode[];

test.each(codes)('%s has a remedy in one line', (code) => {
  const { remedy } = errorCodes[code];
  expect(remedy.length).toBeGreaterThan(10);
  expect(remedy).not.toMatch(/\n|[.!]$/);
});

test('nothing whose outcome is unknown is said to be safe to retry', () => {
  expect(codes.filter((code) => errorCodes[code].outcome === 'unknown' && errorCodes[code].retryable)).toEqual([]);
});

test('an error takes the facts of its code, and what the throw knows better', () => {
  const plain = new NoriError('NOT_LEADER', { message: 'n1 does not lead group 1', leaderHint: 'n2' });
  expect(plain).toMatchObject({ code: 'NOT_LEADER', outcome: 'notApplied', retryable: true, leaderHint: 'n2' });
  expect(plain.remedy).toBe(errorCodes.NOT_LEADER.remedy);
  const sharper = new NoriError('WAL_DAMAGED', { message: 'x', remedy: 'do this', file: 'wal/1', offset: 4096 });
  expect(sharper).toMatchObject({ remedy: 'do this', file: 'wal/1', offset: 4096 });
});

test('an error whose outcome turns out unknown is not retryable, whatever its code', () => {
  expect(new NoriError('OVERLOADED', { message: 'x', outcome: 'unknown' }).retryable).toBe(false);
});

test('an error keeps its cause, and has none when none was given', () => {
  const cause = new Error('disk');
  expect(new NoriError('DISK_FAILED', { message: 'x', cause }).cause).toBe(cause);
  expect('cause' in new NoriError('DISK_FAILED', { message: 'x' })).toBe(false);
});
