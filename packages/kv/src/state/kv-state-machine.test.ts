import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCommand, encodeTransaction } from '../commands/command-codec.ts';
import { commandTable, findCommand } from '../commands/command-table.ts';
import { toProtocol } from '../resp/result.ts';
import { KvStateMachine } from './kv-state-machine.ts';

const startMs = 1_700_000_000_000;
const limits = { keyBytesMax: 100, valueBytesMax: 2000 };

/** One shard and its log time. */
class Shard {
  readonly machine: KvStateMachine = new KvStateMachine({ random: () => 0.5 });
  timeMs: number = startMs;
  #index = 0;

  ask(...args: (string | Uint8Array)[]): string {
    const words = args.map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : Buffer.from(word)));
    const command = encodeCommand(words, limits);
    const read = findCommand(String(args[0]))?.kind === 'read';
    const result = read ? this.machine.query(command) : this.apply(command);
    return Buffer.from(toProtocol(result, 2)).toString('latin1');
  }

  apply(command: Uint8Array): Uint8Array {
    this.#index += 1;
    const results = this.machine.apply([{ index: this.#index, term: 1, timeMs: this.timeMs, command }]);
    return (results as readonly Uint8Array[])[0] as Uint8Array;
  }

  run(line: string): string {
    return this.ask(...line.split(' '))
      .replaceAll('\r\n', ' ')
      .trim();
  }
}

/** Each line is a command, then `=>`, then the reply; the lines of one story share a shard. */
const stories: Record<string, string> = {
  'SET without options always sets': `
    set a 1 => +OK
    get a => $1 1
    set a 2 => +OK
    get a => $1 2`,
  'SET NX sets only what is absent, XX only what is there': `
    set a 1 xx => $-1
    exists a => :0
    set a 1 nx => +OK
    set a 2 nx => $-1
    get a => $1 1
    set a 3 xx get => $1 1
    set b 3 nx get => $-1
    get b => $1 3`,
  'SET IFEQ sets only over the expected value': `
    set a 2 ifeq 1 => $-1
    exists a => :0
    set a 1 => +OK
    set a 3 IFEQ 2 => $-1
    get a => $1 1
    set a 2 ifeq 1 ex 100 => +OK
    ttl a => :100
    set a 9 ifeq 1 get => $1 2
    get a => $1 2
    set a 3 ifeq 2 get keepttl => $1 2
    ttl a => :100
    get a => $1 3`,
  'SET drops the expiry time unless KEEPTTL keeps it': `
    set a 1 ex 100 => +OK
    set a 2 keepttl => +OK
    ttl a => :100
    set a 3 => +OK
    ttl a => :-1`,
  'GETEX changes the expiry time and nothing else': `
    set a 1 => +OK
    getex b ex 0 => $-1
    getex a ex 0 => -ERR invalid expire time in 'getex' command
    getex a px 5000 => $1 1
    pttl a => :5000
    getex a => $1 1
    pttl a => :5000
    getex a persist => $1 1
    pttl a => :-1
    getex a exat 1 => $1 1
    get a => $-1
    getex a => $-1`,
  'EXPIRE has conditions': `
    expire a 10 => :0
    set a 1 => +OK
    expire a 10 xx => :0
    expire a 10 gt => :0
    expire a 10 lt => :1
    expire a 10 nx => :0
    expire a 10 gt => :0
    expire a 20 gt => :1
    expire a 30 lt => :0
    expire a 5 xx lt => :1
    ttl a => :5
    persist a => :1
    persist a => :0
    expire a -1 => :1
    exists a => :0`,
  'times are told in both units': `
    set a 1 pxat 1700000001500 => +OK
    pttl a => :1500
    ttl a => :2
    pexpiretime a => :1700000001500
    expiretime a => :1700000002
    ttl b => :-2
    expiretime b => :-2`,
  'integers are exact in 64 bits': `
    incr n => :1
    incrby n 9007199254740991 => :9007199254740992
    incr n => :9007199254740993
    get n => $16 9007199254740993
    set n 9223372036854775806 => +OK
    incr n => :9223372036854775807
    incr n => -ERR increment or decrement would overflow
    get n => $19 9223372036854775807
    decrby n 9223372036854775807 => :0
    decr n => :-1
    set n x => +OK
    incr n => -ERR value is not an integer or out of range
    get n => $1 x`,
  'INCRBYFLOAT counts as Redis does': `
    set f 10.50 => +OK
    incrbyfloat f 0.1 => $4 10.6
    incrbyfloat f -5 => $3 5.6
    set f 5.0e3 => +OK
    incrbyfloat f 2.0e2 => $4 5200
    incrbyfloat f 0x1.8p1 => $4 5203
    incrbyfloat f -3 => $4 5200
    incrbyfloat f inf => -ERR increment would produce NaN or Infinity
    incrbyfloat g 3.14159265358979323846 => $19 3.14159265358979324
    incrbyfloat h 1e-20 => $1 0
    set f x => +OK
    incrbyfloat f 1 => -ERR value is not a valid float`,
  'counters keep their expiry time': `
    set n 1 ex 10 => +OK
    incr n => :2
    incrbyfloat n 1 => $1 3
    append n 4 => :2
    setrange n 0 9 => :2
    ttl n => :10`,
  'ranges count from both ends': `
    set a hello => +OK
    getrange a 0 -1 => $5 hello
    getrange a -3 -2 => $2 ll
    getrange a 3 100 => $2 lo
    getrange a 4 3 => $0
    substr a 1 1 => $1 e
    getrange none 0 -1 => $0
    strlen a => :5
    setrange a 1 ipp => :5
    get a => $5 hippo`,
  'values grow up to the limit and not beyond it': `
    setrange a 1999 x => :2000
    append a y => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
    setrange a 2000 y => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
    strlen a => :2000`,
  'MSETNX sets all or nothing': `
    msetnx a 1 b 2 => :1
    msetnx b 3 c 4 => :0
    mget a b c => *3 $1 1 $1 2 $-1
    mset a 5 a 6 => +OK
    get a => $1 6`,
  'RENAME moves value and expiry time': `
    rename {t}a {t}b => -ERR no such key
    set {t}a 1 ex 100 => +OK
    set {t}b 2 => +OK
    renamenx {t}a {t}b => :0
    rename {t}a {t}b => +OK
    get {t}b => $1 1
    ttl {t}b => :100
    exists {t}a => :0
    rename {t}b {t}b => +OK
    renamenx {t}b {t}b => :0
    copy {t}b {t}c => :1
    copy {t}a {t}c => :0
    copy {t}b {t}b => -ERR source and destination objects are the same`,
  'the rest of the least set': `
    setnx a 1 => :1
    setnx a 2 => :0
    getset a 3 => $1 1
    setex b 10 x => +OK
    psetex c 10 y => +OK
    exists a a b nosuch => :3
    touch a nosuch => :1
    type a => +string
    type nosuch => +none
    dbsize => :3
    getdel a => $1 3
    getdel a => $-1
    del a b c => :2
    randomkey => $-1
    set z 1 => +OK
    randomkey => $1 z
    keys * => *1 $1 z
    flushall => +OK
    dbsize => :0
    nori.digest => $16 0000000000000000`,
};

describe('commands', () => {
  test.each(Object.entries(stories))('%s', (_name, story) => {
    const shard = new Shard();
    for (const line of story.trim().split('\n')) {
      const [command, reply] = line.trim().split(' => ') as [string, string];
      expect([command, shard.run(command)]).toEqual([command, reply]);
    }
  });

  test('each command that goes to a group has a handler that answers, and none takes too few arguments for granted', () => {
    for (const spec of commandTable.filter((spec) => spec.opcode !== 0)) {
      const shard = new Shard();
      const command = encodeCommand([Buffer.from(spec.name)]);
      const answer = spec.kind === 'read' ? shard.machine.query(command) : shard.apply(command);
      expect([spec.name, answer]).toEqual([spec.name, expect.any(Uint8Array)]);
    }
  });
});

test('any bytes are a key, and any bytes a value', () => {
  const shard = new Shard();
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  for (const key of ['', '__proto__', 'constructor', 'toString', '\x00', '{}', '\r\n', every.toString('latin1')]) {
    expect(shard.ask('exists', key)).toBe(':0\r\n');
    expect(shard.ask('set', key, every)).toBe('+OK\r\n');
    expect(shard.ask('get', key)).toBe(`$256\r\n${every.toString('latin1')}\r\n`);
  }
  expect(shard.run('dbsize')).toBe(':8');
});

test('what was stored does not change when the bytes it came in are overwritten', () => {
  const shard = new Shard();
  for (const size of [10, 1500]) {
    const command = encodeCommand([Buffer.from('SET'), Buffer.from('k'), Buffer.alloc(size, 'v')]);
    shard.apply(command);
    command.fill(0, 2);
    expect(shard.ask('get', 'k')).toBe(`$${size}\r\n${'v'.repeat(size)}\r\n`);
  }
});

describe('time', () => {
  test('a key expires by log time alone, before the entry that carries the time is carried out', () => {
    const shard = new Shard();
    shard.run('set a 1 px 100');
    shard.run('set b 1 px 200');
    expect(shard.machine.nextDeadlineMs()).toBe(startMs + 100);
    shard.timeMs = startMs + 99;
    expect(shard.run('set c 1')).toBe('+OK');
    expect(shard.run('get a')).toBe('$1 1');
    shard.timeMs = startMs + 100;
    expect(shard.run('set a 2 xx')).toBe('$-1');
    expect(shard.machine.nextDeadlineMs()).toBe(startMs + 200);
    shard.machine.advanceTime(startMs + 500);
    expect(shard.run('get b')).toBe('$-1');
    expect(shard.machine.nextDeadlineMs()).toBeNull();
    expect(shard.run('dbsize')).toBe(':1');
  });

  test('log time never goes back', () => {
    const shard = new Shard();
    shard.run('set a 1 px 100');
    shard.machine.advanceTime(startMs + 50);
    shard.timeMs = startMs;
    shard.run('set b 1 px 100');
    expect(shard.run('pexpiretime b')).toBe(`:${startMs + 150}`);
  });

  test('whatever is written and expires, the next deadline is the soonest expiry time', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 8 }),
      ms: fc.integer({ min: 0, max: 50 }),
      what: fc.constantFrom('set', 'expire', 'persist', 'del', 'wait', 'incr'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const shard = new Shard();
        const model = new Map<string, number>();
        for (const { key: number, ms, what } of steps) {
          const key = `k${number}`;
          if (what === 'wait') shard.timeMs += ms;
          for (const [held, expireMs] of model) if (expireMs <= shard.timeMs) model.delete(held);
          shard.machine.advanceTime(shard.timeMs);
          if (what === 'set') {
            shard.run(ms === 0 ? `set ${key} 1` : `set ${key} 1 px ${ms}`);
            model.set(key, ms === 0 ? Infinity : shard.timeMs + ms);
          } else if (what === 'expire') {
            shard.run(`pexpire ${key} ${ms}`);
            if (model.has(key)) model.set(key, shard.timeMs + ms);
            if (ms === 0) model.delete(key);
          } else if (what === 'persist') {
            shard.run(`persist ${key}`);
            if (model.has(key)) model.set(key, Infinity);
          } else if (what === 'del') {
            shard.run(`del ${key}`);
            model.delete(key);
          } else if (what === 'incr') {
            shard.run(`incr ${key}`);
            if (!model.has(key)) model.set(key, Infinity);
          }
          const soonest = Math.min(...model.values());
          expect(shard.machine.nextDeadlineMs()).toBe(soonest === Infinity ? null : soonest);
          expect(shard.machine.count).toBe(model.size);
        }
      }),
    );
  });
});

test('an entry this version does not understand halts the group instead of being skipped', () => {
  const shard = new Shard();
  expect(() => shard.apply(Buffer.from([1, 200, 0]))).toThrow('unknown to this version');
  expect(() => shard.apply(Buffer.from([9, 1, 0]))).toThrow('not supported');
  expect(() => shard.machine.query(encodeCommand([Buffer.from('SET'), Buffer.from('a'), Buffer.from('b')]))).toThrow(
    'unknown to this version',
  );
});

test('a query changes nothing', () => {
  const shard = new Shard();
  shard.run('set a 1 px 5');
  const before = shard.machine.digest();
  for (const line of ['get a', 'ttl a', 'scan 0', 'keys *', 'randomkey', 'touch a', 'nori.getkeysinslot 15495 5'])
    shard.run(line);
  expect(shard.machine.digest()).toBe(before);
});

describe('the digest', () => {
  test('is the same however the same keys came about, and other when anything differs', () => {
    const left = new Shard();
    const right = new Shard();
    for (const line of ['set a 1', 'set b 2 px 500', 'set gone 1', 'del gone', 'append a 2']) left.run(line);
    for (const line of ['set b 7', 'set a 12', 'set b 2 px 500']) right.run(line);
    expect(left.machine.digest()).toBe(right.machine.digest());
    expect(left.run('nori.digest')).toBe(`$16 ${right.machine.digest()}`);
    const seen = new Set([left.machine.digest()]);
    for (const line of ['set c ""', 'set a 13', 'set a 12 px 500', 'pexpire b 501', 'rename a 1', 'set 1 a', 'del 1']) {
      right.run(line);
      expect([line, seen.has(right.machine.digest())]).toEqual([line, false]);
      seen.add(right.machine.digest());
    }
  });

  test('tells a value of any length from one with a single bit flipped', () => {
    for (const size of [1, 3, 4, 100, 1024, 1025, 1999]) {
      const shard = new Shard();
      const seen = new Set<string>();
      for (let at = -1; at < size; at += Math.ceil(size / 50)) {
        const value = Buffer.alloc(size, 7);
        if (at >= 0) value[at] = 6;
        shard.ask('set', 'k', value);
        expect(seen.has(shard.machine.digest())).toBe(false);
        seen.add(shard.machine.digest());
      }
    }
  });

  test('never mixes up where a key ends and its value begins', () => {
    const of = (key: string, value: string): string => {
      const shard = new Shard();
      shard.ask('set', key, value);
      return shard.machine.digest();
    };
    expect(of('ab', 'c')).not.toBe(of('a', 'bc'));
    expect(of('', 'abc')).not.toBe(of('abc', ''));
  });
});

test('no transaction makes replicas build more of a reply than they can hold: what is beyond is left out, and written', () => {
  const shard = new Shard();
  shard.ask('set', 'a', 'x'.repeat(1000));
  const encode = (...words: (string | Buffer)[]): Uint8Array =>
    encodeCommand(
      words.map((word) => Buffer.from(word)),
      { keyBytesMax: 100, valueBytesMax: 9 << 20 },
    );
  const replies = (...commands: Uint8Array[]): string[] =>
    Buffer.from(toProtocol(shard.apply(encodeTransaction(commands)), 2))
      .toString('latin1')
      .split('\r\n');
  // As text these values would be longer than a string of the engine may be.
  const many = encodeCommand(Array.from({ length: 600_001 }, (_, at) => Buffer.from(at === 0 ? 'mget' : 'a')));
  expect(replies(many, encode('incr', 'n'))).toEqual(['*2', expect.stringMatching(/^-ERR the replies/), ':1', '']);
  shard.apply(encode('set', 'big', Buffer.alloc(9 << 20)));
  const [, , first, second, third] = replies(encode('get', 'big'), encode('getdel', 'big'), encode('exists', 'big'));
  expect(first).toHaveLength(9 << 20);
  expect(second).toMatch(/^-ERR the replies/);
  expect(third).toBe(':0');
});
