import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestParser } from './request-parser.ts';

const encode = (args: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${args.length}\r\n`),
    ...args.flatMap((argument) => [Buffer.from(`$${argument.length}\r\n`), argument, Buffer.from('\r\n')]),
  ]);

function drain(parser: RequestParser): string[][] {
  const commands: string[][] = [];
  for (let args = parser.next(); args !== null; args = parser.next())
    commands.push(args.map((argument) => argument.toString('latin1')));
  return commands;
}

function parse(bytes: Buffer, cuts: readonly number[], parser: RequestParser = new RequestParser()): string[][] {
  const commands: string[][] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A chunk of its own each time, as node:net gives it.
    parser.push(Buffer.from(bytes.subarray(from, cut)));
    commands.push(...drain(parser));
    from = cut;
  }
  return commands;
}

const mixture = Buffer.concat([
  encode([Buffer.from('SET'), Buffer.from('key'), Buffer.from([0, 13, 10, 255, 36, 42])]),
  Buffer.from('GET "a b" \'c\\\'d\' "\\x41\\n\\q"\r\n\r\n  \nPING\n'),
  Buffer.from('*0\r\n*-1\r\n'),
  encode([Buffer.from('ECHO'), Buffer.alloc(0)]),
  encode([Buffer.from('SET'), Buffer.from('big'), Buffer.alloc(3000, 'x')]),
  encode([Buffer.from('GET'), Buffer.from('__proto__')]),
]);
const expected = [
  ['SET', 'key', '\x00\r\n\xff$*'],
  ['GET', 'a b', "c'd", 'A\nq'],
  ['PING'],
  ['ECHO', ''],
  ['SET', 'big', 'x'.repeat(3000)],
  ['GET', '__proto__'],
];

test('a request means the same wherever it is cut in two', () => {
  expect(parse(mixture, [])).toEqual(expected);
  for (let cut = 0; cut <= mixture.length; cut += 1)
    expect({ cut, commands: parse(mixture, [cut]) }).toEqual({ cut, commands: expected });
});

test('a request means the same byte by byte, and in random pieces', () => {
  const everywhere = Array.from({ length: mixture.length }, (_, at) => at);
  expect(parse(mixture, everywhere)).toEqual(expected);
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 }), { maxLength: 20 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 50 })),
      (commands, sizes) => {
        const bytes = Buffer.concat(commands.map((args) => encode(args.map((argument) => Buffer.from(argument)))));
        const cuts: number[] = [];
        for (let at = 0; at < bytes.length; at += sizes.next().value) cuts.push(at);
        const strings = commands.map((args) => args.map((argument) => Buffer.from(argument).toString('latin1')));
        expect(parse(bytes, cuts)).toEqual(strings);
      },
    ),
  );
});

test('arguments stay what they were while later requests come in', () => {
  const parser = new RequestParser();
  const kept: Buffer[][] = [];
  for (const byte of mixture) {
    parser.push(Buffer.of(byte));
    for (let args = parser.next(); args !== null; args = parser.next()) kept.push(args);
  }
  expect(kept.map((args) => args.map((argument) => argument.toString('latin1')))).toEqual(expected);
});

test('a pipeline of 20 000 commands in one chunk is parsed whole', () => {
  const one = encode([Buffer.from('INCR'), Buffer.from('n')]);
  expect(parse(Buffer.concat(Array.from({ length: 20_000 }, () => one)), [])).toHaveLength(20_000);
});

test('a large value that comes in small pieces is copied a bounded number of times', () => {
  const value = Buffer.alloc(4 * 1024 * 1024, 'v');
  const bytes = encode([Buffer.from('SET'), Buffer.from('k'), value]);
  const cuts = Array.from({ length: Math.floor(bytes.length / 1000) }, (_, at) => (at + 1) * 1000);
  const [command] = parse(bytes, cuts);
  expect(command?.[2]).toHaveLength(value.length);
});

describe('what cannot be a request ends the stream with an error', () => {
  const long = 'x'.repeat(70_000);
  test.each([
    ['*x\r\n', 'invalid multibulk length'],
    ['*+1\r\n', 'invalid multibulk length'],
    ['*0x10\r\n', 'invalid multibulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*\r\n', 'invalid multibulk length'],
    ['*1\n$4\nPING\n', 'invalid multibulk length'],
    ['*1048577\r\n', 'invalid multibulk length'],
    ['*2147483648\r\n', 'invalid multibulk length'],
    ['*99999999999999999999\r\n', 'invalid multibulk length'],
    [`*${'1'.repeat(70_000)}`, 'invalid multibulk length'],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    ['*1\r\n$x\r\n', 'invalid bulk length'],
    ['*1\r\n$ 4\r\n', 'invalid bulk length'],
    ['*1\r\n$9223372036854775807\r\n', 'invalid bulk length'],
    ['*1\r\n$18446744073709551616\r\n', 'invalid bulk length'],
    ['*1\r\n$8454145\r\n', 'invalid bulk length'],
    ['*1\r\n+PING\r\n', "expected '$', got '+'"],
    ['*1\r\n*1\r\n$4\r\nPING\r\n', "expected '$', got '*'"],
    ['*1\r\n$4\r\nPINGxx', 'expected CRLF after a bulk string'],
    ['*1\r\n$4\r\nPING!\r\n', 'expected CRLF after a bulk string'],
    [long, 'too big inline request'],
    [`${long}\r\n`, 'too big inline request'],
    ['GET "open\r\n', 'unbalanced quotes in request'],
    ['GET "a"b\r\n', 'unbalanced quotes in request'],
    ['POST / HTTP/1.1\r\n', 'HTTP request on the Redis port'],
    ['Host: localhost\r\n', 'HTTP request on the Redis port'],
  ])('%j', (bytes, error) => {
    for (const cuts of [[], [1], [bytes.length - 1]]) {
      const parser = new RequestParser();
      expect(parse(Buffer.from(bytes), cuts, parser)).toEqual([]);
      expect(parser.error).toBe(`ERR Protocol error: ${error}`);
      parser.push(Buffer.from('*1\r\n$4\r\nPING\r\n'));
      expect(parser.next()).toBeNull();
    }
  });

  test('what came before the damage is still answered', () => {
    const parser = new RequestParser();
    expect(parse(Buffer.from('PING\r\n*1\r\n$4\r\nPING\r\n*1\r\n!'), [], parser)).toEqual([['PING'], ['PING']]);
    expect(parser.error).toBe("ERR Protocol error: expected '$', got '!'");
  });

  test('all arguments of one command together have a limit', () => {
    const parser = new RequestParser({ limits: { commandBytesMax: 10 } });
    parse(Buffer.from('*3\r\n$6\r\nabcdef\r\n$5\r\n'), [], parser);
    expect(parser.error).toBe('ERR Protocol error: too big command');
  });

  test('random bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parse(Buffer.from(bytes), [Math.floor(bytes.length / 2)])).not.toThrow();
      }),
    );
  });
});

test('before AUTH only small requests are taken, and the limits widen in the middle of a pipeline', () => {
  const strangers = [
    ['*11\r\n', 'unauthenticated multibulk length'],
    ['*1\r\n$16385\r\n', 'unauthenticated bulk length'],
  ] as const;
  for (const [bytes, error] of strangers) {
    const parser = new RequestParser({ authenticated: false });
    parse(Buffer.from(bytes), [], parser);
    expect(parser.error).toBe(`ERR Protocol error: ${error}`);
  }
  const parser = new RequestParser({ authenticated: false });
  const many = encode(Array.from({ length: 20 }, () => Buffer.from('x')));
  parser.push(Buffer.concat([encode([Buffer.from('AUTH'), Buffer.from('secret')]), many]));
  expect(parser.next()).toHaveLength(2);
  parser.authenticated = true;
  expect(parser.next()).toHaveLength(20);
});

test('an announced length costs nothing until its bytes arrive', () => {
  const parser = new RequestParser();
  parser.push(Buffer.from('*1048576\r\n$8454144\r\n'));
  expect(parser.next()).toBeNull();
  expect(parser.error).toBeNull();
});
