import { describe, expect, test } from 'vitest';
import { Tally } from './campaign.ts';
import { runCli } from './cli.ts';
import { faultKinds } from './faults.ts';
import { RealWorldError, shutOutRealWorld } from './guards.ts';
import { campaignSights, longCampaignSights, missingSights, seedsForLongSights, seedsForSights } from './sights.ts';
import { simulate } from './simulation.ts';
import { registerWorkload } from './register-workload.ts';

const short = { seconds: 10, nodes: 3, groups: 1 } as const;

describe('a simulation', { timeout: 60_000 }, () => {
  test('gives one history for one seed, and another for another', async () => {
    const first = await simulate({ ...short, seed: 42 });
    const again = await simulate({ ...short, seed: 42 });
    const other = await simulate({ ...short, seed: 43 });
    expect(first.violation).toBeNull();
    expect(again.hash).toBe(first.hash);
    expect(again.events).toBe(first.events);
    expect(other.hash).not.toBe(first.hash);
  });

  test('is the same whether promises run after every event or only when one may have been resolved', async () => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const sparing = await simulate({ ...short, groups: 2, seed });
      const always = await simulate({ ...short, groups: 2, seed, drainAlways: true });
      expect(always.hash, `seed ${seed}`).toBe(sparing.hash);
    }
  });

  test('is the same whether it is traced or not', async () => {
    const plain = await simulate({ ...short, seed: 7 });
    const traced = await simulate({ ...short, seed: 7, traced: true });
    expect(traced.hash).toBe(plain.hash);
    expect(plain.trace).toBeNull();
    expect(traced.trace?.length).toBeGreaterThan(1000);
  });

  test('without faults acknowledges almost everything and elects once', async () => {
    const { violation, sights, operations } = await simulate({ ...short, seed: 5, faults: {} });
    expect(violation).toBeNull();
    expect(sights.get('leader elected')).toBe(1);
    expect(operations.filter(({ outcome }) => outcome === 'unknown')).toEqual([]);
  });

  test('keeps every promise under every kind of fault alone', async () => {
    for (const kind of faultKinds) {
      const result = await simulate({ ...short, seconds: 5, seed: 11, faults: { [kind]: 24 } });
      expect(result.violation, `seed 11 with ${kind}: ${result.violation?.message}`).toBeNull();
      expect([...result.sights.keys()]).toContain(`fault ${kind}`);
    }
  });

  test('a schedule that was drawn once can be given again', async () => {
    const drawn = await simulate({ ...short, seed: 9 });
    const given = await simulate({ ...short, seed: 9, schedule: drawn.schedule });
    expect(given.hash).toBe(drawn.hash);
  });

  test('finds a state machine that asks chance, and one that differs between nodes', async () => {
    const registers = registerWorkload();
    const gambling = {
      ...registers,
      stateMachine: () => ({
        ...noMachine,
        apply: (entries: readonly unknown[]) => entries.map(() => new Uint8Array([Math.random()])),
      }),
    };
    const gambler = await simulate({ ...short, seed: 1, workload: gambling, faults: {} });
    expect(gambler.violation?.promise).toBe('NoGroupHalts');
    const parting = {
      ...registers,
      stateMachine: (node: string) => ({
        ...noMachine,
        apply: (entries: readonly unknown[]) => entries.map(() => new Uint8Array([node.charCodeAt(1)])),
      }),
    };
    const parted = await simulate({ ...short, seed: 1, workload: parting, faults: {} });
    expect(parted.violation?.promise).toBe('StateMachineSafety');
  });
});

const noMachine = {
  query: () => new Uint8Array(8),
  snapshot: async function* () {},
  restore: () => Promise.resolve(),
};

test('while a simulation runs, real time, timers and chance throw; afterwards they are back', () => {
  const outer = shutOutRealWorld();
  const inner = shutOutRealWorld();
  const asked: (() => unknown)[] = [
    () => Date.now(),
    () => new Date(),
    () => performance.now(),
    () => Math.random(),
    () => setTimeout(() => undefined, 0),
    () => setInterval(() => undefined, 0),
    () => setImmediate(() => undefined),
    () => crypto.getRandomValues(new Uint8Array(1)),
    () => crypto.randomUUID(),
    () => process.hrtime(),
  ];
  const thrown: unknown[] = [];
  for (const ask of asked) {
    try {
      ask();
      thrown.push(null);
    } catch (error) {
      thrown.push(error);
    }
  }
  const arithmetic = new Date(0).getTime();
  inner.release();
  inner.release();
  const stillOut = (): unknown => Math.random();
  let held = false;
  try {
    stillOut();
  } catch {
    held = true;
  }
  outer.release();
  expect(thrown.every((error) => error instanceof RealWorldError)).toBe(true);
  expect(arithmetic).toBe(0);
  expect(held).toBe(true);
  expect(Date.now()).toBeGreaterThan(0);
  expect(Math.random()).toBeLessThan(1);
});

test('a campaign in which something never happened that should have is none', () => {
  const shown = (sights: readonly string[], seeds: number): readonly string[] => {
    const tally = new Tally(missingSights);
    const counted = sights.map((sight) => [sight, 1] as const);
    for (let seed = 1; seed <= seeds; seed += 1) {
      tally.add({ seed, message: null, sights: counted, simulatedMs: 1, events: 1, acknowledged: 1 });
    }
    return tally.result().missing;
  };
  const allButOne = campaignSights.slice(1);
  expect(shown(campaignSights, seedsForSights)).toEqual([]);
  expect(shown(allButOne, seedsForSights)).toEqual([campaignSights[0]]);
  expect(shown(campaignSights, seedsForLongSights)).toEqual(longCampaignSights);
  // Of a few seeds nobody can expect it.
  expect(shown([], seedsForSights - 1)).toEqual([]);
});

describe('the command', { timeout: 60_000 }, () => {
  const run = async (...args: string[]): Promise<{ code: number; lines: string[]; files: Map<string, string> }> => {
    const lines: string[] = [];
    const files = new Map<string, string>();
    const code = await runCli(args, {
      print: (line) => lines.push(line),
      writeFile: (path, text) => files.set(path, text),
      cpuMs: () => process.cpuUsage().user / 1000,
      readFile: (path) => files.get(path) ?? '',
      runWorker: async (worker, onLine) => {
        for (const line of (await run(...worker)).lines) onLine(line);
      },
      loadWorkload: () => Promise.reject(new Error('none')),
    });
    return { code, lines, files };
  };

  test('prints the hash and the speed of a seed and writes its trace', async () => {
    const { code, lines, files } = await run('--seed', '3', '--seconds', '5', '--trace', 'trace.json');
    expect(code).toBe(0);
    expect(lines.some((line) => /^hash [0-9a-f]{16}$/.test(line))).toBe(true);
    expect(lines.some((line) => /^\d+ times faster than real time$/.test(line))).toBe(true);
    expect(lines.some((line) => /^\d+ events per second$/.test(line))).toBe(true);
    const trace = JSON.parse(files.get('trace.json') ?? '') as { seed: number; events: unknown[] };
    expect(trace.seed).toBe(3);
    expect(trace.events.length).toBeGreaterThan(100);
  });

  test('gives the same for the same seeds, however many workers share them', async () => {
    const alone = await run('--seeds', '3', '--from', '70', '--seconds', '1');
    const shared = await run('--seeds', '3', '--from', '70', '--seconds', '1', '--workers', '2');
    const told = (lines: readonly string[]): string[] => lines.filter((line) => !/per second|times faster/.test(line));
    expect(told(shared.lines)).toEqual(told(alone.lines));
    expect(alone.lines.some((line) => line.startsWith('3 seeds, 0 failed, '))).toBe(true);
    expect([alone.code, shared.code]).toEqual([0, 0]);
  });

  test('says what is wrong with its arguments', async () => {
    expect((await run('--seeds')).code).toBe(2);
    expect((await run('--speed', '3')).code).toBe(2);
    expect((await run('--help')).code).toBe(0);
  });
});
