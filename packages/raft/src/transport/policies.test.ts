import { describe, expect, test } from 'vitest';
import { identity, seededRandom } from '../../test/support/transport-node.test-support.ts';
import { nodeId } from '../core/types.ts';
import { Backoff } from './backoff.ts';
import { judgeIdentity, sameIncarnation } from './identity.ts';
import { resolveLimits } from './limits.ts';

test('backoff doubles up to its ceiling, jittered by at most half, and starts anew when reset', () => {
  const backoff = new Backoff(50, 2000, seededRandom(3));
  const within = (ceilingMs: number): void => {
    const delayMs = backoff.nextMs();
    expect(delayMs).toBeGreaterThanOrEqual(ceilingMs / 2);
    expect(delayMs).toBeLessThanOrEqual(ceilingMs);
  };
  for (const ceilingMs of [50, 100, 200, 400, 800, 1600, 2000, 2000]) within(ceilingMs);
  backoff.reset();
  within(50);
  backoff.slowDown();
  within(2000);
});

describe('an identity may follow another only as a later life of the same disk', () => {
  test.each([
    ['first meeting', null, identity(1, 5), null],
    ['same life', identity(1, 5), identity(1, 5), null],
    ['later life', identity(1, 5), identity(1, 6), null],
    ['earlier life', identity(1, 5), identity(1, 4), 'STALE_INCARNATION'],
    ['copy of a life', identity(1, 5, 1), identity(1, 5, 2), 'STALE_INCARNATION'],
    ['other disk', identity(1, 5), identity(2, 6), 'DISK_REPLACED'],
  ])('%s', (_name, known, offered, code) => {
    expect(judgeIdentity(nodeId('n1'), known, offered)?.code ?? null).toBe(code);
  });

  test('and one life is one counter, one nonce, one disk', () => {
    expect(sameIncarnation(identity(1, 5), identity(1, 5))).toBe(true);
    expect(sameIncarnation(identity(1, 5, 1), identity(1, 5, 2))).toBe(false);
    expect(sameIncarnation(identity(1, 5), identity(2, 5))).toBe(false);
  });
});

test('a limit that cannot be is named', () => {
  expect(() => resolveLimits({ queueBytesMax: Number.NaN })).toThrow(/queueBytesMax/);
  expect(() => resolveLimits({ frameBytesMax: 1000 })).toThrow(/frameBytesMax/);
  expect(() => resolveLimits({ backoffMsMin: 5000 })).toThrow(/backoffMsMin/);
  expect(resolveLimits({ halfOpenMax: 3 }).halfOpenMax).toBe(3);
});
