import * as fc from 'fast-check';
import type { AppliedEntry } from 'nori-raft';
import { describe, expect, test } from 'vitest';
import { encodeCommand, encodeRefused, encodeTransaction } from '../commands/command-codec.ts';
import { KvStateMachine } from './kv-state-machine.ts';

const startMs = 1000;

const command = (line: string): Uint8Array => encodeCommand(line.split(' ').map((word) => Buffer.from(word, 'latin1')));
const entriesOf = (lines: readonly string[], timeMs: number, firstIndex = 100): AppliedEntry[] =>
  lines.map((line, at) => ({
    index: firstIndex + at,
    term: 1,
    timeMs,
    command: line === '' ? new Uint8Array(0) : command(line),
  }));

/** A shard where `forever` never expires and `soon` expires at 1,050. */
function shard(): KvStateMachine {
  const machine = new KvStateMachine();
  void machine.apply(entriesOf(['set forever 1', 'set soon 1 pxat 1050'], startMs, 1));
  return machine;
}

const conflicts = (query: string, entries: readonly AppliedEntry[]): boolean =>
  shard().conflicts(command(query), entries);

test('a transaction in limbo reaches the keys of its commands, and no others', () => {
  const parts = [command('incr a'), command('get b'), encodeRefused('ERR syntax error')];
  const entries = [{ index: 100, term: 1, timeMs: startMs, command: encodeTransaction(parts) }];
  expect(['get a', 'get b', 'get c', 'dbsize'].map((query) => conflicts(query, entries))).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

describe('a read in limbo', () => {
  test.each([
    ['get a', 'set b 1', false],
    ['get a', 'set a 1', true],
    ['get b', 'mset a 1 b 2', true],
    ['get 1', 'mset a 1 b 2', false],
    ['mget c d a', 'append a x', true],
    ['exists c d', 'append a x', false],
    ['strlen a', 'setrange a 0 x', true],
    ['getrange a 0 1', 'incrby a 5', true],
    ['getrange a 0 1', 'incrby b 0', false],
    ['type b', 'rename a b', true],
    ['type a', 'renamenx a b', true],
    ['get b', 'copy a b', true],
    ['pexpiretime a', 'persist a', true],
    ['get a', 'getex a', true],
    ['get c', 'del a b c', true],
    ['get a', 'unlink b', false],
  ])('%s, with %s in limbo: %s', (query, line, expected) => {
    expect(conflicts(query, entriesOf([line], startMs))).toBe(expected);
  });

  test('a write whose condition does not hold now may hold after another one', () => {
    const entries = entriesOf(['set other 1', 'set forever 2 ifeq nothing', 'msetnx forever 1 free 2'], startMs);
    expect(conflicts('get forever', entries)).toBe(true);
    expect(conflicts('get free', entries)).toBe(true);
    expect(conflicts('get soon', entries)).toBe(false);
  });

  test.each(['flushall', 'flushdb'])('%s conflicts with every read', (flush) => {
    for (const query of ['get a', 'ttl a', 'exists a', 'dbsize'])
      expect(conflicts(query, entriesOf([flush], startMs))).toBe(true);
  });

  test.each([
    'scan 0',
    'keys *',
    'randomkey',
    'dbsize',
    'nori.digest',
    'nori.countkeysinslot 1',
    'nori.getkeysinslot 1 10',
  ])('%s conflicts with any entry, and with none when there is none', (query) => {
    expect(conflicts(query, entriesOf(['set a 1'], startMs))).toBe(true);
    expect(conflicts(query, entriesOf([''], startMs))).toBe(true);
    expect(conflicts(query, [])).toBe(false);
  });

  test('a key conflicts with an entry whose time lets it expire, be it a command or time alone', () => {
    for (const line of ['', 'set other 1']) {
      expect(conflicts('get soon', entriesOf([line], 1049))).toBe(false);
      expect(conflicts('get soon', entriesOf([line], 1050))).toBe(true);
      expect(conflicts('exists forever soon', entriesOf([line], 1050))).toBe(true);
      expect(conflicts('get forever', entriesOf([line], 9999))).toBe(false);
    }
  });

  test('a remaining lifetime conflicts with any entry that moves time on, an expiry time does not', () => {
    expect(conflicts('pttl soon', entriesOf(['set other 1'], startMs))).toBe(false);
    expect(conflicts('pttl soon', entriesOf(['set other 1'], startMs + 1))).toBe(true);
    expect(conflicts('ttl soon', entriesOf([''], startMs + 1))).toBe(true);
    expect(conflicts('pexpiretime soon', entriesOf([''], startMs + 1))).toBe(false);
    expect(conflicts('ttl forever', entriesOf([''], startMs + 1))).toBe(false);
  });

  test('what this version does not understand conflicts with everything', () => {
    const unknown = [{ index: 9, term: 1, timeMs: startMs, command: Uint8Array.of(1, 250, 0) }];
    const cutShort = [{ index: 9, term: 1, timeMs: startMs, command: Uint8Array.of(1, 1) }];
    expect(conflicts('get a', unknown)).toBe(true);
    expect(conflicts('get a', cutShort)).toBe(true);
    expect(shard().conflicts(Uint8Array.of(1, 250, 0), entriesOf(['set a 1'], startMs))).toBe(true);
  });

  test('what was found out about one limbo is not taken for another', () => {
    const machine = shard();
    const query = command('get a');
    for (const [line, expected] of [
      ['set a 1', true],
      ['set b 1', false],
      ['set a 2', true],
    ] as const)
      expect(machine.conflicts(query, entriesOf([line], startMs))).toBe(expected);
    expect(machine.conflicts(query, [])).toBe(false);
  });
});

test('when a read does not conflict, its answer is the same after any prefix of the limbo', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  const write = fc.oneof(
    fc.tuple(key, fc.integer({ min: 1, max: 9 })).map(([name, value]) => `set ${name} ${value}`),
    fc.tuple(key, fc.integer({ min: 1, max: 90 })).map(([name, ms]) => `set ${name} 1 px ${ms}`),
    fc.tuple(key, key).map(([from, to]) => `rename ${from} ${to}`),
    fc.tuple(key, key).map(([from, to]) => `copy ${from} ${to}`),
    fc.tuple(key, key).map(([one, other]) => `msetnx ${one} 1 ${other} 2`),
    fc.tuple(key, key).map(([one, other]) => `mset ${one} 3 ${other} 4`),
    fc.tuple(key, key).map(([one, other]) => `del ${one} ${other}`),
    fc.tuple(fc.constantFrom('incr', 'getdel', 'persist', 'getex', 'decr'), key).map((words) => words.join(' ')),
    fc.tuple(key, fc.integer({ min: -5, max: 90 })).map(([name, ms]) => `pexpire ${name} ${ms}`),
    key.map((name) => `set ${name} 5 xx keepttl`),
    fc.constantFrom('flushall', ''),
  );
  const query = fc.oneof(
    fc
      .tuple(fc.constantFrom('get', 'ttl', 'pttl', 'pexpiretime', 'strlen', 'type'), key)
      .map((words) => words.join(' ')),
    fc.tuple(fc.constantFrom('mget', 'exists'), key, key).map((words) => words.join(' ')),
    fc.constantFrom('dbsize', 'keys *', 'scan 0', 'nori.digest'),
  );
  const timed = fc.tuple(write, fc.nat(30));
  let free = 0;
  fc.assert(
    fc.property(
      fc.array(timed, { maxLength: 12 }),
      fc.array(timed, { maxLength: 3 }),
      fc.array(query, { minLength: 5, maxLength: 15 }),
      (before, limbo, queries) => {
        let timeMs = startMs;
        let index = 0;
        const entry = ([line, laterMs]: readonly [string, number]): AppliedEntry => {
          timeMs += laterMs;
          index += 1;
          return entriesOf([line], timeMs, index)[0] as AppliedEntry;
        };
        const machine = new KvStateMachine();
        void machine.apply(before.map(entry));
        const entries = limbo.map(entry);
        const independent = queries.map(command).filter((payload) => !machine.conflicts(payload, entries));
        const answers = independent.map((payload) => machine.query(payload));
        free += entries.length > 0 ? answers.length : 0;
        for (const one of entries) {
          void machine.apply([one]);
          expect(independent.map((payload) => machine.query(payload))).toEqual(answers);
        }
      },
    ),
    { numRuns: 500 },
  );
  // The property would hold for a check that always says yes.
  expect(free).toBeGreaterThan(500);
});
