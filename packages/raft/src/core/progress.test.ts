import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Progress, ProgressState } from './progress.ts';

const limits = { inflightMessagesMax: 3, inflightBytesMax: 1_000 };

test('a probe is sent once, and again only when it may have been lost', () => {
  const progress = new Progress(8, 0);
  expect(progress.maySend(limits)).toBe(true);
  progress.sentEntries(9, 10);
  expect(progress.maySend(limits)).toBe(false);
  expect(progress.nextIndex).toBe(8);
  progress.becomeProbe(5);
  expect(progress.maySend(limits)).toBe(true);
});

test('a probe never goes back behind what is known to match', () => {
  const progress = new Progress(8, 0);
  progress.acknowledged(7);
  expect(() => progress.becomeProbe(7)).toThrow(/within what is known/);
});

test('appends are pipelined up to the limit in messages', () => {
  const progress = new Progress(1, 0);
  progress.becomeReplicate();
  for (let index = 1; index <= 3; index += 1) {
    expect(progress.maySend(limits)).toBe(true);
    progress.sentEntries(index, 1);
  }
  expect(progress.maySend(limits)).toBe(false);
  progress.acknowledged(1);
  expect(progress.maySend(limits)).toBe(true);
});

test('appends are pipelined up to the limit in bytes, and one message of any size is allowed', () => {
  const progress = new Progress(1, 0);
  progress.becomeReplicate();
  progress.sentEntries(1, 1_000_000);
  expect(progress.maySend(limits)).toBe(false);
  progress.acknowledged(1);
  expect(progress.maySend(limits)).toBe(true);
});

test('an acknowledgement that comes late or twice takes nothing back', () => {
  const progress = new Progress(1, 0);
  progress.becomeReplicate();
  progress.sentEntries(5, 1);
  expect(progress.acknowledged(5)).toBe(true);
  expect(progress.acknowledged(5)).toBe(false);
  expect(progress.acknowledged(3)).toBe(false);
  expect(progress).toMatchObject({ matchIndex: 5, nextIndex: 6, inflightMessages: 0 });
});

const action = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), entries: fc.integer({ min: 1, max: 4 }), bytes: fc.nat(500) }),
  fc.record({ kind: fc.constant('ack' as const), back: fc.nat(6) }),
  fc.record({ kind: fc.constant('probe' as const) }),
  fc.record({ kind: fc.constant('replicate' as const) }),
);

test('what is in flight is what was sent and is not acknowledged, whatever comes in which order', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const progress = new Progress(1, 0);
      let inflight: { readonly last: number; readonly bytes: number }[] = [];
      for (const act of actions) {
        switch (act.kind) {
          case 'send': {
            if (!progress.maySend(limits)) break;
            const last = progress.nextIndex + act.entries - 1;
            progress.sentEntries(last, act.bytes);
            if (progress.state === ProgressState.replicate) inflight.push({ last, bytes: act.bytes });
            break;
          }
          case 'ack': {
            const match = Math.max(0, progress.nextIndex - 1 - act.back);
            progress.acknowledged(match);
            inflight = inflight.filter((sent) => sent.last > match);
            break;
          }
          case 'probe':
            progress.becomeProbe(progress.matchIndex + 1);
            inflight = [];
            break;
          default:
            progress.becomeReplicate();
            inflight = [];
        }
        const bytes = inflight.reduce((sum, sent) => sum + sent.bytes, 0);
        expect(progress.inflightMessages).toBe(inflight.length);
        expect(progress.nextIndex).toBeGreaterThan(progress.matchIndex);
        expect(progress.inflightMessages).toBeLessThanOrEqual(limits.inflightMessagesMax);
        const room = inflight.length < limits.inflightMessagesMax && bytes < limits.inflightBytesMax;
        const expected = progress.state === ProgressState.probe ? !progress.probeSent : inflight.length === 0 || room;
        expect(progress.maySend(limits)).toBe(expected);
      }
    }),
    { seed: 1, numRuns: 500 },
  );
});
