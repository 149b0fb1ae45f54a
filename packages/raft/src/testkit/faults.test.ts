import { describe, expect, test } from 'vitest';
import type { Checker } from './checker.ts';
import type { ClientOptions } from './clients.ts';
import { Role } from '../core/types.ts';
import { scenarios } from './scenarios.ts';
import type { FaultKind, FaultRates } from './faults.ts';
import { type SimulationResult, simulate } from './simulation.ts';

const run = async (options: {
  readonly seed: number;
  readonly faults: FaultRates;
  readonly seconds?: number;
  readonly clients?: ClientOptions;
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

describe('faults strike', { timeout: 60_000 }, () => {
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
    const { sights } = await run({ seed: 1, faults: { diskFull: 12 }, seconds: 30, clients });
    expect(sights.get('DiskFull')).toBeGreaterThan(0);
    expect(sights.get('DiskRoom')).toBe(sights.get('DiskFull'));
  });

  test('messages come after the restart of the node they were sent to', async () => {
    const { sights } = await run({ seed: 1, faults: { messageChaos: 30, crash: 30 }, seconds: 20 });
    expect(sights.get('message came after a restart')).toBeGreaterThan(0);
  });
});

describe('named scenarios', { timeout: 60_000 }, () => {
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
