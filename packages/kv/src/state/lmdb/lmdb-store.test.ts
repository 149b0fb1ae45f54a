import { crc32 } from 'node:zlib';
import type { AppliedEntry } from 'nori-raft';
import { afterAll, describe, expect, test } from 'vitest';
import { apply, ask, encode, LmdbWorld } from '../../../test/support/lmdb-world.ts';
import { KvStateMachine } from '../kv-state-machine.ts';
import type { LmdbEnvironment } from './environment.ts';
import { headKey } from './layout.ts';
import type { LmdbStore } from './lmdb-store.ts';

const world = new LmdbWorld();
afterAll(() => world.close(), 60_000);

const at = (index: number): { index: number; term: number } => ({ index, term: 3 });
const entry = (index: number, line: string, timeMs = 1000): AppliedEntry => ({
  index,
  term: 3,
  timeMs,
  command: encode(line),
});
async function imageOf(...lines: string[]): Promise<KvStateMachine> {
  const machine = new KvStateMachine();
  await apply(
    machine,
    lines.map((line, number) => entry(number + 1, line)),
  );
  return machine;
}

/** What another process would find. */
function reopened(path: string): LmdbEnvironment {
  return world.open({ path: world.copyOf(path) });
}

describe('a restored image', () => {
  test('and its position are there after a crash, in place of what was before', async () => {
    const path = world.freshPath();
    const environment = world.open({ path });
    const machine = new KvStateMachine({ store: environment.store(1) });
    await apply(machine, [entry(1, 'set old 1 px 500'), entry(2, 'set both 1')]);
    const image = await imageOf('set both 2', 'set new 3 px 700');
    await machine.restore(image.snapshot(), at(90));
    expect(machine.durablePosition()).toEqual(at(90));
    const other = new KvStateMachine({ store: reopened(path).store(1) });
    expect(other.digest()).toBe(image.digest());
    expect(other.durablePosition()).toEqual(at(90));
    expect(other.nextDeadlineMs()).toBe(1700);
  });

  test('is forgotten by a reset, for good and with its position', async () => {
    const path = world.freshPath();
    const environment = world.open({ path });
    const machine = new KvStateMachine({ store: environment.store(1) });
    const other = new KvStateMachine({ store: environment.store(2) });
    await apply(other, [entry(1, 'set kept 1')]);
    await machine.restore((await imageOf('set gone 1', 'set soon 2 px 700')).snapshot(), at(90));
    await machine.reset();
    const fresh = new KvStateMachine();
    expect([machine.count, machine.digest(), machine.durablePosition()]).toEqual([0, fresh.digest(), null]);
    const found = reopened(path);
    const again = new KvStateMachine({ store: found.store(1) });
    expect([again.digest(), again.durablePosition(), again.nextDeadlineMs()]).toEqual([fresh.digest(), null, null]);
    expect(new KvStateMachine({ store: found.store(2) }).digest()).toBe(other.digest());
    // It takes up a log from the start.
    await apply(machine, [entry(1, 'set new 1')]);
    expect(machine.digest()).toBe((await imageOf('set new 1')).digest());
  });

  test('that a crash cut short has changed nothing', async () => {
    const path = world.freshPath();
    const environment = world.open({ path });
    const store = environment.store(1);
    const machine = new KvStateMachine({ store });
    await apply(machine, [entry(1, 'set old 1')]);
    const digest = machine.digest();
    await environment.written(store);
    const next = store.successor();
    next.write(next.locate(Buffer.from('new')), '2', 0);
    // Filled so far that some of it is in the tree.
    await environment.written(next as LmdbStore);
    const after = reopened(path);
    const other = new KvStateMachine({ store: after.store(1) });
    expect(other.digest()).toBe(digest);
    expect(other.durablePosition()).toEqual(at(1));
    // And the half is not mistaken for anything later on.
    const image = await imageOf('set k v');
    await other.restore(image.snapshot(), at(5));
    expect(other.digest()).toBe(image.digest());
    next.discard();
    expect(machine.digest()).toBe(digest);
  });

  test('that is damaged leaves the machine as it was', async () => {
    const environment = world.open();
    const machine = new KvStateMachine({ store: environment.store(1) });
    await apply(machine, [entry(1, 'set old 1')]);
    async function* damaged(): AsyncIterable<Uint8Array> {
      for await (const piece of (await imageOf('set k v')).snapshot()) yield piece.subarray(0, piece.length - 1);
    }
    await expect(machine.restore(damaged(), at(9))).rejects.toThrow(/snapshot/);
    expect(ask(machine, 'get old')).toContain('1');
    await apply(machine, [entry(2, 'incr old')]);
    expect(ask(machine, 'get old')).toContain('2');
  });

  test('without a position does not outlive the process: nobody could say where to go on', async () => {
    const path = world.freshPath();
    const environment = world.open({ path });
    const machine = new KvStateMachine({ store: environment.store(1) });
    await machine.restore((await imageOf('set k v')).snapshot());
    expect(ask(machine, 'get k')).toContain('v');
    const other = new KvStateMachine({ store: reopened(path).store(1) });
    expect([other.count, other.durablePosition()]).toEqual([0, null]);
  });
});

test('what a flush or a restore gave up is deleted in the background', async () => {
  const environment = world.open({ gatherMs: 1 });
  const store = environment.store(1);
  const machine = new KvStateMachine({ store });
  for (let round = 0; round < 3; round += 1) {
    const lines = Array.from({ length: 3000 }, (_, number) => `set k${number} v px 5000`);
    await apply(
      machine,
      [...lines, 'flushall'].map((line, number) => entry(round * 4000 + number + 1, line)),
    );
    await environment.written(store);
  }
  await machine.restore((await imageOf('set k v')).snapshot(), at(50_000));
  for (let wait = 0; wait < 500 && environment.tree.getKeysCount() > 2; wait += 1)
    await new Promise((wake) => setTimeout(wake, 5));
  // The head, and one key.
  expect(environment.tree.getKeysCount()).toBe(2);
});

test('who reads an image while the tree is closed is told, and holds nothing of it', async () => {
  const environment = world.open();
  const store = environment.store(1);
  const machine = new KvStateMachine({ store });
  const value = 'v'.repeat(1000);
  await apply(
    machine,
    Array.from({ length: 500 }, (_, key) => entry(key + 1, `set k${key} ${value}`)),
  );
  await environment.written(store);
  const image = machine.snapshot()[Symbol.asyncIterator]();
  await image.next();
  await image.next();
  await environment.close();
  const rest = async (): Promise<void> => {
    while ((await image.next()).done !== true);
  };
  await expect(rest()).rejects.toThrow('the tree was closed');
});

test('groups share a tree and nothing else', async () => {
  const environment = world.open();
  const machines = [1, 2, 258].map((group) => new KvStateMachine({ store: environment.store(group) }));
  for (const [number, machine] of machines.entries()) await apply(machine, [entry(1, `set k ${number}`)]);
  await apply(machines[1] as KvStateMachine, [entry(2, 'flushall')]);
  expect(machines.map((machine) => machine.count)).toEqual([1, 0, 1]);
  expect(ask(machines[2] as KvStateMachine, 'get k')).toContain('2');
});

test('with too much in memory the next command waits for the disk', async () => {
  const environment = world.open({ gatherBytesMax: 2 ** 30, pendingBytesMax: 20_000 });
  const store = environment.store(1);
  const machine = new KvStateMachine({ store });
  expect(machine.apply([entry(1, 'set k v')])).toBeInstanceOf(Array);
  const waiting = machine.apply([entry(2, `set k ${'v'.repeat(30_000)}`)]);
  expect(waiting).toBeInstanceOf(Promise);
  expect(await waiting).toHaveLength(1);
  expect(store.pendingBytes).toBe(0);
  expect(machine.durablePosition()).toEqual(at(2));
});

test('a batch that the machine could not finish is never written', async () => {
  const path = world.freshPath();
  const environment = world.open({ path, gatherMs: 1 });
  const machine = new KvStateMachine({ store: environment.store(1) });
  await apply(machine, [entry(1, 'set k 1')]);
  const unknown = { index: 3, term: 3, timeMs: 1000, command: Uint8Array.of(1, 250, 0) };
  expect(() => machine.apply([entry(2, 'incr k'), unknown])).toThrow(/unknown/);
  await environment.close();
  const other = new KvStateMachine({ store: world.open({ path }).store(1) });
  expect(other.durablePosition()?.index ?? 0).toBeLessThan(2);
  expect(ask(other, 'get k')).not.toContain('2');
});

test('a store of a newer version is refused', async () => {
  const path = world.freshPath();
  const environment = world.open({ path });
  const store = environment.store(1);
  await apply(new KvStateMachine({ store }), [entry(1, 'set k 1')]);
  await environment.written(store);
  const record = Buffer.from(environment.tree.getBinary(headKey(1)) as Buffer);
  record.writeUInt32LE(3, 0);
  record.writeUInt32LE(crc32(record.subarray(0, -4)), record.length - 4);
  await environment.tree.put(headKey(1), record);
  expect(() => reopened(path)).toThrow('store format 3 is not supported, only 2 is');
});
