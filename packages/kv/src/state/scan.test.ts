import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCommand } from '../commands/command-codec.ts';
import { decodeResult } from '../resp/result.ts';
import { KvStateMachine } from './kv-state-machine.ts';

const encode = (...args: string[]): Buffer => encodeCommand(args.map((word) => Buffer.from(word, 'latin1')));

function apply(machine: KvStateMachine, ...args: string[]): void {
  void machine.apply([{ index: 1, term: 1, timeMs: 1, command: encode(...args) }]);
}

function page(machine: KvStateMachine, ...args: string[]): { cursor: string; keys: string[] } {
  const [cursor, keys] = decodeResult(machine.query(encode('SCAN', ...args))) as [Buffer, Buffer[]];
  return { cursor: cursor.toString(), keys: keys.map((key) => key.toString('latin1')) };
}

test('a key that exists during the whole scan is returned, whatever comes and goes meanwhile', () => {
  const names = fc.array(fc.tuple(fc.boolean(), fc.nat(400)), { minLength: 1, maxLength: 300 });
  const churn = fc.infiniteStream(fc.tuple(fc.boolean(), fc.boolean(), fc.nat(400)));
  fc.assert(
    fc.property(names, churn, fc.integer({ min: 1, max: 20 }), (stable, changes, count) => {
      const machine = new KvStateMachine();
      // Many keys of one tag share a slot, others are spread.
      const nameOf = (tagged: boolean, number: number): string => (tagged ? `{t}${number}` : `k${number}`);
      const lasting = new Set(stable.map(([tagged, number]) => nameOf(tagged, number)));
      for (const key of lasting) apply(machine, 'set', key, 'v');
      const seen = new Set<string>();
      let cursor = '0';
      let pages = 0;
      do {
        const next = page(machine, cursor, 'COUNT', String(count));
        for (const key of next.keys) seen.add(key);
        cursor = next.cursor;
        const [adds, tagged, number] = changes.next().value;
        const key = nameOf(tagged, number);
        if (adds) apply(machine, 'set', key, 'w');
        else if (!lasting.has(key)) apply(machine, 'del', key);
        pages += 1;
        expect(pages).toBeLessThan(2000);
      } while (cursor !== '0');
      expect([...lasting].filter((key) => !seen.has(key))).toEqual([]);
    }),
  );
});

test('without changes each key is returned once', () => {
  const machine = new KvStateMachine();
  const keys = Array.from({ length: 3000 }, (_, at) => (at % 2 === 0 ? `{hot}${at}` : `cold${at}`));
  for (const key of keys) apply(machine, 'set', key, 'v');
  const found: string[] = [];
  let cursor = '0';
  do {
    const next = page(machine, cursor);
    // A slot of 1500 keys comes in pages of 1500 / 64.
    expect(next.keys.length).toBeLessThanOrEqual(10 + 24);
    found.push(...next.keys);
    cursor = next.cursor;
  } while (cursor !== '0');
  expect(found.toSorted()).toEqual(keys.toSorted());
});

test('MATCH and TYPE filter, and any cursor is answered', () => {
  const machine = new KvStateMachine();
  for (const key of ['a1', 'a2', 'b1']) apply(machine, 'set', key, 'v');
  expect(page(machine, '0', 'COUNT', '100', 'MATCH', 'a*').keys.toSorted()).toEqual(['a1', 'a2']);
  expect(page(machine, '0', 'COUNT', '100', 'TYPE', 'STRING').keys).toHaveLength(3);
  expect(page(machine, '0', 'COUNT', '100', 'TYPE', 'list').keys).toHaveLength(0);
  for (const cursor of ['16383', '16384', '9007199254740993', '18446744073709551615'])
    expect(page(machine, cursor, 'COUNT', '100').cursor).toBe('0');
});
