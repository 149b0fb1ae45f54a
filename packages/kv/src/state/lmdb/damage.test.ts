import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AppliedEntry } from 'nori-raft';
import { afterAll, describe, expect, test } from 'vitest';
import { apply, ask, encode, LmdbWorld } from '../../../test/support/lmdb-world.ts';
import { until } from '../../../test/support/until.ts';
import { KvStateMachine } from '../kv-state-machine.ts';
import type { LmdbEnvironment, LmdbOptions } from './environment.ts';
import { headKey } from './layout.ts';

const world = new LmdbWorld();
afterAll(() => world.close(), 60_000);

const entry = (index: number, line: string, timeMs = 1000): AppliedEntry => ({
  index,
  term: 3,
  timeMs,
  command: encode(line),
});

/** A closed store of one group: keys k0 to k99, of which every tenth has a lifetime, and one that is too long for a tree. */
async function stored(harm: (environment: LmdbEnvironment) => void | Promise<unknown>): Promise<string> {
  const path = world.freshPath();
  const environment = world.open({ path });
  const store = environment.store(1);
  const lines = Array.from({ length: 100 }, (_, at) => `set k${at} value-${at}${at % 10 === 0 ? ' px 60000' : ''}`);
  lines.push(`set ${'long'.repeat(400)} value`);
  await apply(
    new KvStateMachine({ store }),
    lines.map((line, at) => entry(at + 1, line)),
  );
  await environment.written(store);
  await harm(environment);
  await environment.close();
  return path;
}

/** The tree's key of a key of the shard, and its record. */
function recordOf(environment: LmdbEnvironment, key: string): { treeKey: Buffer; record: Buffer } {
  const keys = [...environment.tree.getKeys()] as Buffer[];
  const name = Buffer.from(`\0${key}`);
  const treeKey = keys.find((found) => found[8] === 2 && found.subarray(15).equals(name)) as Buffer;
  return { treeKey, record: Buffer.from(environment.tree.getBinary(treeKey) as Buffer) };
}

function expiriesIn(environment: LmdbEnvironment): readonly Buffer[] {
  return ([...environment.tree.getKeys()] as Buffer[]).filter((key) => key[8] === 1);
}

async function flipRecord(environment: LmdbEnvironment, key: string, at: number): Promise<unknown> {
  const { treeKey, record } = recordOf(environment, key);
  record.writeUInt8(record.readUInt8(at) ^ 0x20, at);
  return environment.tree.put(treeKey, record);
}

function flipped(path: string, text: string): void {
  const file = join(path, 'data.mdb');
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at))
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x20, at);
  writeFileSync(file, bytes);
}

interface Opened {
  readonly machine: KvStateMachine;
  readonly why: readonly string[];
}

function opened(path: string, options: Partial<LmdbOptions> = {}): Opened {
  const why: string[] = [];
  const environment = world.open({ path, onDamaged: (said) => void why.push(said), ...options });
  return { machine: new KvStateMachine({ store: environment.store(1) }), why };
}

const empty = (machine: KvStateMachine): void => {
  expect([machine.count, machine.durablePosition()]).toEqual([0, null]);
};

describe('a tree that is not as it was written is found out when it is opened, and starts empty', () => {
  test.each<[string, (environment: LmdbEnvironment) => Promise<unknown>, RegExp]>([
    ['a value', (environment) => flipRecord(environment, 'k7', 22), /the record of k7 is not/],
    ['a lifetime', (environment) => flipRecord(environment, 'k10', 6), /the record of k10 is not/],
    ['its length', (environment) => flipRecord(environment, 'k7', 19), /the record of k7 is not/],
    [
      'a missing key',
      (environment) => environment.tree.remove(recordOf(environment, 'k7').treeKey),
      /100 keys, not the 101/,
    ],
    [
      'a missing lifetime',
      (environment) => environment.tree.remove(expiriesIn(environment)[3] as Buffer),
      /the lifetimes of 1 keys are not noted/,
    ],
    [
      'a lifetime of nothing',
      (environment) => {
        const [first] = expiriesIn(environment) as [Buffer];
        const other = Buffer.from(first);
        other.write('nothing', other.length - 2);
        return environment.tree.put(Buffer.concat([other, Buffer.from('x')]), Buffer.of(0));
      },
      /a key that it does not find/,
    ],
    [
      'a place in the order',
      (environment) => {
        const { treeKey, record } = recordOf(environment, 'k7');
        const elsewhere = Buffer.from(treeKey);
        elsewhere.writeUInt8(elsewhere.readUInt8(12) ^ 1, 12);
        void environment.tree.put(elsewhere, record);
        return environment.tree.remove(treeKey);
      },
      /k7 is not where it was written/,
    ],
    [
      'a head',
      (environment) => {
        const head = Buffer.from(environment.tree.getBinary(headKey(1)) as Buffer);
        head.writeUInt8(head.readUInt8(9) ^ 1, 9);
        return environment.tree.put(headKey(1), head);
      },
      /what group 1 has come to is not/,
    ],
  ])('%s', async (_what, harm, message) => {
    const { machine, why } = opened(await stored(harm));
    expect(why.join()).toMatch(message);
    empty(machine);
    expect(await apply(machine, [entry(1, 'set k7 again')])).toEqual(['\0+OK\r\n']);
  });

  test('a flipped bit in the file', async () => {
    const path = await stored(() => undefined);
    flipped(path, 'value-33');
    const { machine, why } = opened(path);
    expect(why.join()).toMatch(/the record of k33 is not/);
    empty(machine);
  });

  test('a tree that the process died of twice', async () => {
    const path = await stored(() => undefined);
    writeFileSync(join(path, 'opening'), '2');
    const { machine, why } = opened(path);
    expect(why.join()).toMatch(/the process died 2 times/);
    empty(machine);
  });
});

test('a tree that is as it was written is gone on from, be it after one death', async () => {
  const path = await stored(() => undefined);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'opening'), '1');
  const { machine, why } = opened(path);
  expect(why).toEqual([]);
  expect([machine.count, machine.durablePosition()?.index]).toEqual([101, 101]);
  expect(ask(machine, 'get k33')).toBe('\0$8\r\nvalue-33\r\n');
});

describe('a store that is too large to be looked at first', () => {
  test('answers nothing that was not written, and nothing at all from then on', async () => {
    const { machine } = opened(await stored((environment) => flipRecord(environment, 'k7', 22)), { checkMs: 0 });
    expect(ask(machine, 'get k8')).toBe('\0$7\r\nvalue-8\r\n');
    expect(() => ask(machine, 'get k7')).toThrow('the record of k7 is not what was written');
    expect(() => ask(machine, 'get k8')).toThrow('the record of k7 is not what was written');
    await expect(apply(machine, [entry(102, 'set k8 1')])).rejects.toThrow('the record of k7');
  });

  test('builds on nothing that was not written', async () => {
    const { machine } = opened(await stored((environment) => flipRecord(environment, 'k7', 22)), { checkMs: 0 });
    await expect(apply(machine, [entry(102, 'append k7 more')])).rejects.toMatchObject({ code: 'STATE_DAMAGED' });
  });

  test('is looked at meanwhile, and misses what is gone', async () => {
    const path = await stored((environment) => environment.tree.remove(recordOf(environment, 'k7').treeKey));
    const { machine, why } = opened(path, { checkMs: 0 });
    expect(why).toEqual([]);
    const noticed = (): string | null => {
      try {
        ask(machine, 'get k8');
        return null;
      } catch (error) {
        return String(error);
      }
    };
    expect(await until('the patrol', noticed)).toMatch(/100 keys, not the 101/);
  });

  test('gives no image that is not what was written', async () => {
    const path = await stored((environment) => environment.tree.remove(recordOf(environment, 'k7').treeKey));
    const { machine } = opened(path, { checkMs: 0 });
    const read = async (): Promise<void> => {
      for await (const _piece of machine.snapshot());
    };
    await expect(read()).rejects.toMatchObject({ code: 'STATE_DAMAGED' });
  });

  test('is empty after a restart, and whole after a reset', async () => {
    const path = await stored((environment) => flipRecord(environment, 'k7', 22));
    const { machine } = opened(path, { checkMs: 0 });
    expect(() => ask(machine, 'get k7')).toThrow('the record of k7');
    await until('the head to be gone', () => opened(world.copyOf(path)).machine.count === 0);
    await machine.reset();
    await apply(machine, [entry(1, 'set k7 new')]);
    expect(ask(machine, 'get k7')).toBe('\0$3\r\nnew\r\n');
  });
});
