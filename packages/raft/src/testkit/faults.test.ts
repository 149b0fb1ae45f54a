import { describe, expect, test } from 'vitest';
import type { HostConfig } from '../host/options.ts';
import type { Checker } from './checker.ts';
import type { ClientOptions } from './clients.ts';
import { Role } from '../core/types.ts';
import { scenarios } from './scenarios.ts';
import type { FaultKind, FaultRates } from './faults.ts';
import { type SimulationResult, simulate } from './simulation.ts';
import type { TraceLine } from './timeline.ts';

const run = async (options: {
  readonly seed: number;
  readonly faults: FaultRates;
  readonly seconds?: number;
  readonly clients?: ClientOptions;
  readonly host?: Partial<HostConfig>;
}): Promise<SimulationResult> => {
  const result = await simulate({ nodes: 3, groups: 1, seconds: 6, ...options });
  const kinds = Object.keys(options.faults).join(' and ');
  expect(result.violation, `seed ${options.seed} with ${kinds}: ${result.violation?.message}`).toBeNull();
  return result;
};

/** What a few seeds of one kind of fault must have done to somebody. */
const strikes: readonly [kind: FaultKind, sights: readonly string[]][] = [
  ['misdirectedWrite', ['write misdirected', 'damaged disk refused']],
  ['staleSector', ['sector went stale', 'damaged disk refused']],
  ['zeroedSector', ['sector zeroed', 'damaged disk refused']],
  ['bitFlip', ['bit flipped', 'damaged disk refused']],
  ['wipe', ['PeerRefused: DISK_REPLACED']],
  ['pause', ['pause of more than 2 s']],
  ['messageChaos', ['message came more than 2 s late', 'message doubled', 'message held back']],
  ['slowDisk', ['sync of more than 400 ms']],
  ['hungDisk', ['sync that hung']],
  ['deadDisk', ['sync that hung']],
];

describe('faults strike', { timeout: 180_000 }, () => {
  test.each(strikes)('%s: %j', async (kind, sights) => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 12 && sights.some((sight) => !seen.has(sight)); seed += 1) {
      const result = await run({ seed, faults: { [kind]: 12 } });
      for (const sight of result.sights.keys()) seen.add(sight);
    }
    expect([...seen]).toEqual(expect.arrayContaining([...sights]));
  });

  test('a disk that was full takes writes again once there is room, without a restart', async () => {
    const clients = { count: 8, thinkMsMax: 100 };
    // A log that is compacted goes on in its own segments.
    const host = { snapshotEntries: 1_000_000, walBytesMax: 1 << 30 };
    const { sights } = await run({ seed: 2, faults: { diskFull: 30 }, seconds: 12, clients, host });
    expect(sights.get('DiskFull')).toBeGreaterThan(0);
    expect(sights.get('DiskRoom')).toBe(sights.get('DiskFull'));
  });

  test('messages come after the restart of the node they were sent to', async () => {
    const { sights } = await run({ seed: 1, faults: { messageChaos: 30, crash: 30 }, seconds: 20 });
    expect(sights.get('message came after a restart')).toBeGreaterThan(0);
  });
});

/** One fault, for 4 s from the third second on, on a cluster that nothing else happens to. */
const alone = async (kind: FaultKind, witness?: Checker): Promise<readonly TraceLine[]> => {
  const schedule = [{ kind, atMs: 3000, forMs: 4000, seed: 5 }];
  const looking = witness === undefined ? {} : { witness };
  const result = await simulate({ nodes: 5, groups: 1, seconds: 8, seed: 1, schedule, traced: true, ...looking });
  expect(result.violation?.message).toBeUndefined();
  return result.trace ?? [];
};

describe('a fault does what its name says:', { timeout: 180_000 }, () => {
  test('strobe stops a node for nine parts of ten', async () => {
    let stoppedMs = 0;
    let since = 0;
    for (const { what, atMs } of await alone('strobe')) {
      if (what === 'paused') since = atMs;
      if (what === 'resumed') stoppedMs += atMs - since;
    }
    expect(stoppedMs / 4000).toBeCloseTo(0.9, 1);
  });

  test('suspend stops the monotonic clock, and the wall clock goes on', async () => {
    const before = new Map<string, { readonly nowMs: number; readonly wallMs: number }>();
    const seen: { readonly nowMs: number; readonly wallMs: number }[] = [];
    await alone('suspend', {
      name: 'witness',
      afterEvent: ({ machines }) => {
        for (const { id, clock, paused } of machines) {
          const now = { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
          const start = before.get(id);
          if (!paused) before.set(id, now);
          else if (start !== undefined)
            seen.push({ nowMs: now.nowMs - start.nowMs, wallMs: now.wallMs - start.wallMs });
        }
      },
    });
    expect(Math.max(...seen.map(({ nowMs }) => nowMs))).toBeLessThan(100);
    expect(Math.max(...seen.map(({ wallMs }) => wallMs))).toBeGreaterThan(3500);
  });

  test('swizzle cuts nodes off one after another and brings them back in another order', async () => {
    const trace = await alone('swizzle');
    const order = (wanted: string): unknown[] =>
      trace.flatMap(({ what, detail }) => (what === wanted ? [(detail['from'] as string[])[0]] : []));
    const moments = new Set(trace.flatMap(({ what, atMs }) => (what === 'cut' ? [atMs] : [])));
    expect(moments.size).toBeGreaterThan(1);
    expect(order('cut').length).toBe(moments.size);
    expect(new Set(order('mended'))).toEqual(new Set(order('cut')));
    expect(order('mended')).not.toEqual(order('cut'));
  });

  test.each([
    ['ring', 5],
    ['star', 6],
  ] as const)('%s cuts %i of ten pairs', async (kind, pairs) => {
    const cuts = (await alone(kind)).filter(({ what }) => what === 'cut');
    expect(cuts.length).toBe(pairs);
  });

  test('drift changes the speed of clocks again and again, within 2 %', async () => {
    const { trace } = await simulate({
      nodes: 3,
      groups: 1,
      seconds: 8,
      seed: 1,
      faults: { drift: 120 },
      traced: true,
    });
    const drifts = (trace ?? []).flatMap(({ what, detail }) =>
      what === 'clock drifts' ? [detail['drift'] as number] : [],
    );
    expect(new Set(drifts).size).toBeGreaterThan(5);
    expect(Math.max(...drifts.map(Math.abs))).toBeLessThanOrEqual(0.02);
    expect(Math.max(...drifts.map(Math.abs))).toBeGreaterThan(0.01);
  });

  test('wall clocks jump by hours and by a year, both ways', async () => {
    const { trace } = await simulate({
      nodes: 3,
      groups: 1,
      seconds: 8,
      seed: 2,
      faults: { wallStep: 300 },
      traced: true,
    });
    const steps = (trace ?? []).flatMap(({ what, detail }) =>
      what === 'wall clock stepped' ? [detail['byMs'] as number] : [],
    );
    expect(steps).toEqual(expect.arrayContaining([3_600_000, -3_600_000, 31_536_000_000, -31_536_000_000]));
  });
});

describe('named scenarios', { timeout: 180_000 }, () => {
  test('election-storm: a single leader per term throughout, and clocks that never agree', async () => {
    const leaders = new Map<number, Set<string>>();
    const skews = new Set<number>();
    const witness: Checker = {
      name: 'witness',
      afterEvent(world, machine) {
        const raft = machine.raft(1);
        skews.add(machine.skewMs);
        if (raft?.role === Role.leader) leaders.set(raft.term, (leaders.get(raft.term) ?? new Set()).add(raft.id));
      },
    };
    const { violation } = await simulate({ ...scenarios['election-storm']?.options(1), seed: 1, witness });
    expect(violation?.message).toBeUndefined();
    expect([...leaders.values()].filter(({ size }) => size > 1)).toEqual([]);
    expect(leaders.size).toBeGreaterThan(10);
    expect(Math.max(...skews) - Math.min(...skews)).toBeGreaterThan(350);
  });

  test.each(['bridge', 'ring', 'star'])('%s: whoever a majority sees leads, and terms stand still', async (name) => {
    const { violation, acknowledged } = await simulate({ ...scenarios[name]?.options(2), seed: 2 });
    expect(violation?.message).toBeUndefined();
    expect(acknowledged).toBeGreaterThan(500);
  });
});
