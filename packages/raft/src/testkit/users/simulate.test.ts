import { describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../base/text.ts';
import type { AppliedEntry, StateMachine } from '../../ports/state-machine.ts';
import { Violation } from '../violation.ts';
import type { SequentialModel } from '../workload.ts';
import { replay, simulate, type SimulateOptions } from './simulate.ts';

/** Counts up to the next command. */
class Counter implements StateMachine {
  count = 0;

  apply(entries: readonly AppliedEntry[]): Uint8Array[] {
    return entries.map(() => {
      this.count += 1;
      return utf8(String(this.count));
    });
  }

  query(): Uint8Array {
    return utf8(String(this.count));
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    yield utf8(String(this.count));
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of image) this.count = Number(fromUtf8(piece));
  }
}

const counts: SequentialModel = {
  init: 0,
  step: (state, { kind }, result) => {
    const next = (state as number) + (kind === 'write' ? 1 : 0);
    return [result === undefined || Number(fromUtf8(result)) === next, next];
  },
  key: () => '',
  identity: String,
  text: ({ kind }) => kind,
};

const options = {
  stateMachine: () => new Counter(),
  workload: { commands: () => utf8('up'), queries: () => utf8('how many') },
  seconds: 4,
  seeds: 2,
  shrink: { triesMax: 30 },
} satisfies SimulateOptions;

describe('simulate', { timeout: 30_000 }, () => {
  test('reports what it ran, what it saw and how fast', async () => {
    const seen: number[] = [];
    const report = await simulate({ ...options, seeds: [4, 9], onProgress: ({ seed }) => seen.push(seed) });
    expect(report.violations).toEqual([]);
    expect(report.ok).toBe(true);
    expect(seen).toEqual([4, 9]);
    expect(report.runs).toBe(2);
    expect(report.simulatedSeconds).toBeGreaterThan(8);
    expect(report.eventsPerSecond).toBeGreaterThan(0);
    expect(report.coverage['leader elected']).toBeGreaterThan(1);
  });

  test('holds clients to a model of what they believe they talk to', async () => {
    class Stale extends Counter {
      override query(): Uint8Array {
        return utf8(String(this.count - (this.count % 3 === 2 ? 1 : 0)));
      }
    }
    const workload = { ...options.workload, model: counts };
    const sound = await simulate({ ...options, workload, seeds: 1, faults: 'gentle' });
    expect(sound.violations[0]?.message).toBeUndefined();
    const stale = await simulate({ ...options, workload, seeds: 1, faults: 'none', stateMachine: () => new Stale() });
    expect(stale.violations[0]?.promise).toBe('Linearizable');
  });

  test('gives a violation that can be replayed, with the same options', async () => {
    const broken = { ...options, audit: ({ count }: Counter) => (count > 5 ? `already ${count}` : null) };
    const report = await simulate({ ...broken, violationsMax: 2 });
    expect(report.violations.map(({ seed }) => seed)).toEqual([1, 2]);
    const [violation] = report.violations;
    expect(violation?.message).toMatch(/^Invariant: .*already 6$/);
    const { result, story } = await replay(broken, violation?.replay ?? '');
    expect(result.violation?.message).toBe(violation?.message);
    expect(story).toContain('HERE IT BREAKS. Invariant');
  });

  test('takes further checkers, new ones for every run', async () => {
    let made = 0;
    const checkers = (): [{ name: string; onAck(): void }] => {
      made += 1;
      const onAck = (): void => {
        throw new Violation('Mine', 'no answers');
      };
      return [{ name: 'mine', onAck }];
    };
    const report = await simulate({ ...options, seeds: 1, checkers });
    expect(report.violations[0]?.promise).toBe('Mine');
    expect(made).toBeGreaterThan(1);
  });
});

describe('real time and chance are back', { timeout: 30_000 }, () => {
  const isBack = (): boolean => Date.now() > 0 && Math.random() < 1;

  test('after a run in which the state machine reached for them', async () => {
    class Gambler extends Counter {
      override query(): Uint8Array {
        return utf8(String(Math.random()));
      }
      override apply(entries: readonly AppliedEntry[]): Uint8Array[] {
        return entries.map(() => utf8(new Date().toISOString()));
      }
    }
    const report = await simulate({ ...options, seeds: 1, stateMachine: () => new Gambler(), shrink: { triesMax: 0 } });
    expect(report.violations[0]?.message).toMatch(/inside a simulation/);
    expect(isBack()).toBe(true);
  });

  test('after a workload or a factory threw', async () => {
    const refuse = (): never => {
      throw new Error('not today');
    };
    const shrink = { triesMax: 0 };
    const workload = await simulate({ ...options, seeds: 1, shrink, workload: { commands: refuse } });
    expect(workload.violations[0]?.message).toContain('not today');
    expect(isBack()).toBe(true);
    const factory = await simulate({ ...options, seeds: 1, shrink, stateMachine: refuse });
    expect(factory.violations[0]?.message).toContain('not today');
    expect(isBack()).toBe(true);
  });
});
