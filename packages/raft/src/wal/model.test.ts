import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.test-support.ts';
import { command, flushed, openWal, settle, stories, vote } from '../../test/support/wal-world.test-support.ts';
import { Prng } from '../base/prng.ts';
import type { Entry } from '../core/types.ts';
import { noBase, noHardState } from '../codec/record.ts';
import type { RecoveredGroup } from './replay.ts';

type Step =
  | {
      readonly do: 'append';
      readonly group: number;
      readonly back: number;
      readonly count: number;
      readonly size: number;
    }
  | { readonly do: 'vote' | 'compact' | 'destroy' | 'reset'; readonly group: number; readonly by: number }
  | { readonly do: 'flush' | 'idle' | 'close' }
  | { readonly do: 'crash'; readonly power: boolean; readonly seed: number };

const group = fc.integer({ min: 1, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      group,
      back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
      count: fc.integer({ min: 1, max: 6 }),
      size: fc.nat(900),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('vote' as const, 'compact' as const), group, by: fc.nat(8) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('destroy' as const, 'reset' as const), group, by: fc.nat(3) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('idle' as const, 'close' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), power: fc.boolean(), seed: fc.nat() }) },
);

/** What the log should say: plain groups in a map, copied at each flush. */
class Model {
  groups = new Map<number, RecoveredGroup>();
  flushed = new Map<number, RecoveredGroup>();
  private term = 0;

  copy(): Map<number, RecoveredGroup> {
    return new Map([...this.groups].map(([id, group]) => [id, { ...group, entries: [...group.entries] }]));
  }

  get(id: number): RecoveredGroup | undefined {
    return this.groups.get(id);
  }

  nextTerm(): number {
    this.term += 1;
    return this.term;
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 4096, spareSegments: 1 };
  let { wal, clock } = await openWal(disk, options);
  const model = new Model();
  const restart = async (): Promise<void> => {
    const opened = await openWal(disk, options);
    wal = opened.wal;
    clock = opened.clock;
    // Records that were staged and not flushed are gone: nothing is written before a flush asks for it.
    expect(stories(opened.groups)).toBe(stories(model.flushed));
    model.groups = opened.groups;
    model.flushed = model.copy();
  };
  for (const item of steps) {
    switch (item.do) {
      case 'append':
        append(model, wal, item);
        break;
      case 'vote':
      case 'compact':
      case 'destroy':
      case 'reset':
        change(model, wal, item);
        break;
      case 'flush':
        await flushed(wal);
        model.flushed = model.copy();
        break;
      case 'idle':
        clock.advance(200);
        await settle();
        break;
      case 'close':
        model.flushed = model.copy();
        await wal.close();
        await restart();
        break;
      default:
        if (item.power) disk.powerCut(new Prng(item.seed));
        else disk.kill();
        await restart();
    }
  }
}

function append(model: Model, wal: Awaited<ReturnType<typeof openWal>>['wal'], item: Step & { do: 'append' }): void {
  let known = model.get(item.group);
  if (known === undefined) {
    wal.createGroup(item.group);
    known = {
      group: item.group,
      hardState: noHardState,
      entries: [],
      base: noBase,
      destroyed: false,
      quarantine: null,
      wholeFrom: 0,
    };
    model.groups.set(item.group, known);
  }
  if (known.destroyed) return;
  const first = known.base.index + 1 + Math.max(0, known.entries.length - item.back);
  const term = model.nextTerm();
  const entries: Entry[] = [];
  for (let at = 0; at < item.count; at += 1) entries.push(command(first + at, term, 'e'.repeat(item.size)));
  wal.append(item.group, entries);
  known.entries.length = first - known.base.index - 1;
  known.entries.push(...entries);
}

function change(
  model: Model,
  wal: Awaited<ReturnType<typeof openWal>>['wal'],
  item: Step & { do: 'vote' | 'compact' | 'destroy' | 'reset' },
): void {
  const known = model.get(item.group);
  if (known === undefined || known.destroyed) return;
  const term = model.nextTerm();
  if (item.do === 'vote') {
    wal.setHardState(item.group, vote(term));
    model.groups.set(item.group, { ...known, hardState: vote(term) });
  } else if (item.do === 'destroy') {
    if (item.by > 0) return;
    wal.destroyGroup(item.group);
    model.groups.set(item.group, { ...known, entries: [], destroyed: true });
  } else {
    const base = { index: known.base.index + item.by, term, timeMs: 7 };
    if (item.do === 'compact') wal.compact(item.group, base);
    else wal.reset(item.group, base);
    model.groups.set(item.group, { ...known, base, entries: item.do === 'reset' ? [] : known.entries.slice(item.by) });
  }
}

test('through any life of appends, votes, compactions and crashes the log says what a plain map says', {
  timeout: 60_000,
}, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), run), {
    numRuns: 300,
    seed: 20_240_607,
  });
});
