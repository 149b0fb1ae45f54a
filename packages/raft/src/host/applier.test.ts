import { expect, test } from 'vitest';
import { emptyBase, Log } from '../core/log.ts';
import { type Entry, entry, EntryKind } from '../core/types.ts';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';
import { Applier } from './applier.ts';

const nothing = new Uint8Array(0);

/** The batches in which a state machine gets so many committed commands of this size. */
function batchesOf(commands: number, payloadBytes: number, bytesMax: number): number[] {
  const payload = new Uint8Array(payloadBytes);
  const entries: Entry[] = Array.from({ length: commands }, (_, at) =>
    entry({ index: at + 1, term: 1, kind: EntryKind.command, timeMs: 0, payload }),
  );
  const log = new Log(emptyBase, entries);
  log.commit = commands;
  const batches: number[] = [];
  const machine: StateMachine = {
    apply: (batch: readonly AppliedEntry[]) => {
      batches.push(batch.length);
      return batch.map(() => nothing);
    },
    query: () => nothing,
    snapshot: async function* () {},
    restore: () => Promise.resolve(),
  };
  const applier = new Applier(log, machine, bytesMax, {
    onApplied: (index) => {
      log.applied = index;
    },
    onResult: () => undefined,
  });
  while (applier.ready) applier.applyBatch(() => undefined);
  return batches;
}

test.each([
  { payloadBytes: 1000, most: 10 },
  { payloadBytes: 0, most: 320 },
  { payloadBytes: 50_000, most: 1 },
])('however far behind a state machine is, it gets batches of bounded size: commands of $payloadBytes bytes', (row) => {
  const batches = batchesOf(2000, row.payloadBytes, 10_000);
  expect(batches.reduce((sum, count) => sum + count)).toBe(2000);
  expect(Math.max(...batches)).toBeLessThanOrEqual(row.most);
});
