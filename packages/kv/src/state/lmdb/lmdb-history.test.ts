import { deepEqual, equal } from 'node:assert/strict';
import { cpSync } from 'node:fs';
import * as fc from 'fast-check';
import type { AppliedEntry } from 'nori-raft';
import { afterAll, expect, test } from 'vitest';
import { apply, ask, encode, LmdbWorld } from '../../../test/support/lmdb-world.ts';
import { KvStateMachine } from '../kv-state-machine.ts';
import { MemoryStore } from '../memory-store.ts';
import type { LmdbEnvironment } from './environment.ts';
import type { LmdbStore } from './lmdb-store.ts';

const world = new LmdbWorld();
afterAll(() => world.close(), 60_000);

/** Every key a scan meets, in pages of `count`. The store is asked: its pages are what is judged here. */
function scanned(
  store: { scan(cursor: number, count: number): { keys: readonly string[]; cursor: number } },
  count: number,
): string[] {
  const keys: string[] = [];
  let cursor = 0;
  do {
    const page = store.scan(cursor, count);
    keys.push(...page.keys);
    ({ cursor } = page);
  } while (cursor !== 0);
  return keys.sort();
}

/** The same history in memory and on disk. */
class Pair {
  readonly memory = new MemoryStore();
  readonly expected: KvStateMachine = new KvStateMachine({ store: this.memory });
  readonly entries: AppliedEntry[] = [];
  path: string = world.freshPath();
  environment: LmdbEnvironment;
  store: LmdbStore;
  machine: KvStateMachine;
  timeMs = 1_700_000_000_000;
  /** Entries that were replayed after crashes, because only memory had had what they did. */
  replayed = 0;
  readonly #gatherMs: number;

  constructor(gatherMs: number) {
    this.#gatherMs = gatherMs;
    this.environment = world.open({ path: this.path, gatherMs });
    this.store = this.environment.store(7);
    this.machine = new KvStateMachine({ store: this.store });
  }

  async run(lines: readonly string[], laterMs: number): Promise<void> {
    const batch = lines.map((line) => {
      this.timeMs += laterMs;
      const index = (this.entries.at(-1)?.index ?? 0) + 1;
      const entry = { index, term: 3, timeMs: this.timeMs, command: encode(line) };
      this.entries.push(entry);
      return entry;
    });
    deepEqual(await apply(this.machine, batch), await apply(this.expected, batch));
  }

  passTime(ms: number): void {
    this.timeMs += ms;
    this.machine.advanceTime(this.timeMs);
    this.expected.advanceTime(this.timeMs);
  }

  /** What is on disk now is what a crash would leave: another process finds it there, and replays the rest. */
  async crash(): Promise<void> {
    const path = world.freshPath();
    // A cycle that is at work would tear the copy. With the long time nothing was written since the last `write`.
    if (this.#gatherMs === 1) await this.environment.close();
    cpSync(this.path, path, { recursive: true });
    this.path = path;
    this.environment = world.open({ path, gatherMs: this.#gatherMs });
    this.store = this.environment.store(7);
    this.machine = new KvStateMachine({ store: this.store });
    const from = this.machine.durablePosition()?.index ?? 0;
    this.replayed += this.entries.length - from;
    await apply(this.machine, this.entries.slice(from));
    this.machine.advanceTime(this.timeMs);
  }

  mustBeAlike(): void {
    equal(this.machine.digest(), this.expected.digest());
    equal(this.machine.count, this.expected.count);
    equal(this.machine.nextDeadlineMs(), this.expected.nextDeadlineMs());
    for (const count of [1, 7, 1000]) deepEqual(scanned(this.store, count), scanned(this.memory, 1000));
    deepEqual([...this.store.keys()].sort(), [...this.memory.keys()].sort());
    for (const key of this.memory.keys()) equal(ask(this.machine, `get ${key}`), ask(this.expected, `get ${key}`));
    for (let slot = 0; slot < 16_384; slot += 1) {
      const count = this.memory.countInSlot(slot);
      if (count === 0) continue;
      equal(this.store.countInSlot(slot), count);
      deepEqual(this.store.keysInSlot(slot, 1000).sort(), this.memory.keysInSlot(slot, 1000).sort());
    }
    const random = this.store.randomKey(Math.random);
    equal(
      random === undefined ? 0 : ask(this.expected, `exists ${random}`),
      random === undefined ? this.expected.count : '\0:1\r\n',
    );
  }
}

const long = 'x'.repeat(3000);
const key = fc.oneof(
  fc.integer({ min: 0, max: 12 }).map((number) => `k${number}`),
  fc.integer({ min: 0, max: 12 }).map((number) => `{tag}${number}`),
  fc.integer({ min: 0, max: 2 }).map((number) => `{tag}${long}${number}`),
);
const tagged = fc.oneof(
  fc.integer({ min: 0, max: 12 }).map((number) => `{tag}${number}`),
  fc.integer({ min: 0, max: 2 }).map((number) => `{tag}${long}${number}`),
);
const value = fc.oneof(fc.integer({ min: 0, max: 99 }).map(String), fc.constantFrom('v'.repeat(900), 'w'.repeat(5000)));
const command = fc.oneof(
  fc.tuple(key, value).map(([name, text]) => `set ${name} ${text}`),
  fc.tuple(key, value, fc.integer({ min: 1, max: 400 })).map(([name, text, ms]) => `set ${name} ${text} px ${ms}`),
  fc.tuple(fc.constantFrom('incr', 'getdel', 'persist', 'del', 'getex'), key).map((words) => words.join(' ')),
  fc.tuple(key, fc.integer({ min: -5, max: 300 })).map(([name, ms]) => `pexpire ${name} ${ms}`),
  fc.tuple(key, value).map(([name, text]) => `append ${name} ${text}`),
  fc.tuple(tagged, tagged).map(([from, to]) => `rename ${from} ${to}`),
  fc.tuple(tagged, tagged).map(([from, to]) => `copy ${from} ${to} replace`),
  fc.tuple(tagged, tagged, value).map(([one, other, text]) => `mset ${one} ${text} ${other} 2`),
);
type Step = readonly [
  kind: 'apply' | 'flush' | 'time' | 'pause' | 'write' | 'crash' | 'image',
  lines: readonly string[],
  ms: number,
];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('apply', 'apply', 'apply', 'apply', 'apply', 'flush', 'time', 'pause', 'write', 'crash', 'image'),
  fc.array(command, { minLength: 1, maxLength: 12 }),
  fc.nat(60),
);

async function take(pair: Pair, [kind, lines, ms]: Step): Promise<void> {
  switch (kind) {
    case 'apply':
      return pair.run(lines, ms);
    case 'flush':
      return ms % 4 === 0 ? pair.run(['flushall', lines[0] as string], 1) : undefined;
    case 'time':
      return pair.passTime(ms * 5);
    case 'pause':
      return new Promise((wake) => setTimeout(wake, ms / 10));
    case 'write':
      return pair.environment.written(pair.store);
    case 'crash':
      return pair.crash();
    case 'image': {
      const image = pair.machine.snapshot();
      const digest = pair.machine.digest();
      const copy = new KvStateMachine();
      await Promise.all([copy.restore(image), pair.run(lines, 0)]);
      equal(copy.digest(), digest);
    }
  }
}

test('on disk and in memory the same history gives the same answers, through writes, flushes, expiry, images and crashes', {
  timeout: 120_000,
}, async () => {
  let replayed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.constantFrom(1, 100_000), async (steps, gatherMs) => {
      const pair = new Pair(gatherMs);
      for (const one of steps) await take(pair, one);
      pair.mustBeAlike();
      await pair.crash();
      pair.mustBeAlike();
      replayed += pair.replayed;
    }),
    { numRuns: 30 },
  );
  expect(replayed).toBeGreaterThan(50);
});
