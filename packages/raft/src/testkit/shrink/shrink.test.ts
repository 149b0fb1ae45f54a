import { describe, expect, test } from 'vitest';
import type { Checker } from '../checker.ts';
import { registerWorkload } from '../register-workload.ts';
import { simulate } from '../simulation.ts';
import { Violation } from '../violation.ts';
import { type CaseSurroundings, decodeCase, encodeCase, optionsOf, type SimulationCase } from './case.ts';
import { fewest } from './delta.ts';
import { closed, gapsOf } from './gaps.ts';
import { shrink } from './shrink.ts';

/** Breaks when a write is acknowledged after two machines have gone down. */
function afterTwoCrashes(): CaseSurroundings {
  const crashed = new Set<string>();
  const checker: Checker = {
    name: 'test',
    onDown: (_world, machine) => {
      crashed.add(machine.id);
    },
    onAck: (_world, { client }) => {
      if (crashed.size >= 2 && client >= 0) throw new Violation('Test', 'a write was acknowledged');
    },
  };
  return { workload: registerWorkload(), checkers: [checker] };
}

const shape = { nodes: 5, groups: 1, seconds: 6, workloadName: 'registers' };
const faults = { crash: 40, isolate: 10, slowNetwork: 10, pause: 10 };

describe('a failing run', { timeout: 30_000 }, () => {
  test('is cut down to what it needs to break the same promise, and the case breaks it again', async () => {
    const result = await simulate({ ...shape, faults, seed: 3, ...afterTwoCrashes() });
    expect(result.violation?.promise).toBe('Test');
    const shrunk = await shrink(result, shape, afterTwoCrashes, { triesMax: 80 });
    expect(shrunk.after.faults).toBeLessThanOrEqual(3);
    expect(shrunk.after.calls).toBeLessThanOrEqual(4);
    expect(shrunk.after.nodes).toBeLessThan(5);
    expect(shrunk.after.seconds).toBeLessThan(shrunk.before.seconds);
    const again = decodeCase(encodeCase(shrunk.case));
    const replayed = await simulate(optionsOf(again, afterTwoCrashes()));
    expect(replayed.violation?.promise).toBe('Test');
  });

  test('stays as it was when no tries are left', async () => {
    const result = await simulate({ ...shape, faults, seed: 3, ...afterTwoCrashes() });
    const { case: left, tries } = await shrink(result, shape, afterTwoCrashes, { triesMax: 0 });
    expect(tries).toBe(0);
    const replayed = await simulate(optionsOf(decodeCase(encodeCase(left)), afterTwoCrashes()));
    expect(replayed.hash).toBe(result.hash);
  });
});

describe('the fewest items that do it', () => {
  test('are those that are needed, wherever they stand', async () => {
    for (const needed of [[0], [99], [7, 50], [1, 2, 3, 97]]) {
      const items = Array.from({ length: 100 }, (_, at) => at);
      const does = (kept: readonly number[]): Promise<boolean> => {
        return Promise.resolve(needed.every((item) => kept.includes(item)));
      };
      expect(await fewest(items, does)).toEqual(needed);
    }
  });

  test('are none when none is needed', async () => {
    expect(await fewest([1, 2, 3], () => Promise.resolve(true))).toEqual([]);
  });
});

const drawn: SimulationCase = {
  seed: 7,
  nodes: 3,
  groups: 1,
  seconds: 20,
  schedule: [{ kind: 'crash', atMs: 10_000, forMs: 500, seed: 1 }],
  calls: [
    { atMs: 19_000, client: 0, group: 1, place: 2, kind: 'write', payload: new Uint8Array([0, 171]), forward: true },
  ],
  workload: 'registers',
  promise: 'Test',
};

describe('a case', () => {
  test('is the same after it was written and read', () => {
    expect(decodeCase(encodeCase(drawn))).toEqual(drawn);
    expect(decodeCase(encodeCase({ ...drawn, calls: null, schedule: [] }))).toEqual({
      ...drawn,
      calls: null,
      schedule: [],
    });
  });

  test('is refused with a reason when it is none', () => {
    const text = encodeCase(drawn);
    expect(() => decodeCase('[]')).toThrow(TypeError);
    expect(() => decodeCase(text.replace('"version": 1', '"version": 2'))).toThrow('version 2');
    expect(() => decodeCase(text.replace('crash', 'flood'))).toThrow('no fault is called flood');
    expect(() => decodeCase(text.replace('00ab', '0'))).toThrow('hexadecimal');
    expect(() => decodeCase(text.replace('"seed": 7', '"seed": -7'))).toThrow('"seed"');
  });

  test('keeps the order of what happens when its gaps are closed', () => {
    const short = closed(drawn, gapsOf(drawn));
    const [fault] = short.schedule;
    const [call] = short.calls ?? [];
    expect(short.seconds).toBeLessThan(4);
    expect(fault?.atMs).toBeGreaterThan(1000);
    expect(call?.atMs).toBeGreaterThan((fault?.atMs ?? 0) + (fault?.forMs ?? 0));
    expect(call?.atMs).toBeLessThanOrEqual(short.seconds * 1000);
  });
});
