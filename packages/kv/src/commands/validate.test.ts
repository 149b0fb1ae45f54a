import { describe, expect, test } from 'vitest';
import { commandReply } from './command-reply.ts';
import { commandTable, findCommand, keyPositions } from './command-table.ts';
import { addInt64, parseInteger } from './integers.ts';
import { validate } from './validate.ts';

const words = (line: string): Buffer[] =>
  line.split(' ').map((word) => Buffer.from(word === '""' ? '' : word, 'latin1'));

describe('what is wrong on its own is refused with the words of Redis', () => {
  const integer = 'ERR value is not an integer or out of range';
  const syntax = 'ERR syntax error';
  test.each([
    ['set a b foo', syntax],
    ['set a b ex', syntax],
    ['set a b ex x', integer],
    ['set a b ex 0', "ERR invalid expire time in 'set' command"],
    ['set a b ex -1', "ERR invalid expire time in 'set' command"],
    ['set a b ex 9223372036854775807', "ERR invalid expire time in 'set' command"],
    ['set a b ex 10 px 10', syntax],
    ['set a b keepttl ex 10', syntax],
    ['set a b nx xx', syntax],
    ['set a b nx ifeq c', syntax],
    ['set a b ifeq', syntax],
    ['setex a 0 v', "ERR invalid expire time in 'setex' command"],
    ['psetex a x v', integer],
    ['getex a persist ex 1', syntax],
    ['getex a keepttl', syntax],
    ['expire a x', integer],
    ['expire a 1 foo', 'ERR Unsupported option foo'],
    ['expire a 1 nx gt', 'ERR NX and XX, GT or LT options at the same time are not compatible'],
    ['expire a 1 gt lt', 'ERR GT and LT options at the same time are not compatible'],
    ['expire a 9223372036854776', "ERR invalid expire time in 'expire' command"],
    ['expireat a -9223372036854776', "ERR invalid expire time in 'expireat' command"],
    ['pexpire a 9223372036854775807', "ERR invalid expire time in 'pexpire' command"],
    ['incrby a 01', integer],
    ['decrby a -9223372036854775808', 'ERR decrement would overflow'],
    ['incrbyfloat a x', 'ERR value is not a valid float'],
    ['getrange a x 1', integer],
    ['setrange a -1 x', 'ERR offset is out of range'],
    ['setrange a 8388608 x', 'ERR string exceeds maximum allowed size (proto-max-bulk-len)'],
    ['mset a b c', "ERR wrong number of arguments for 'mset' command"],
    ['msetnx a b c', "ERR wrong number of arguments for 'msetnx' command"],
    ['copy a b foo', syntax],
    ['copy a b db 1', 'ERR Copying to another database is not allowed in cluster mode'],
    ['scan x', 'ERR invalid cursor'],
    ['scan 18446744073709551616', 'ERR invalid cursor'],
    ['scan 0 count 0', syntax],
    ['scan 0 count x', integer],
    ['scan 0 match', syntax],
    ['flushall foo', syntax],
    ['flushall async sync', syntax],
    ['config foo', "ERR unknown subcommand 'foo'. Try CONFIG HELP."],
    ['config get', "ERR wrong number of arguments for 'config|get' command"],
    ['client', "ERR wrong number of arguments for 'client' command"],
    ['foo bar baz', "ERR unknown command 'foo', with args beginning with: 'bar' 'baz' "],
    ['__proto__ a', "ERR unknown command '__proto__', with args beginning with: 'a' "],
    ['constructor', "ERR unknown command 'constructor', with args beginning with: "],
    ['nori.countkeysinslot 16384', 'ERR Invalid or out of range slot'],
  ])('%s', (line, error) => {
    expect(validate(words(line))).toBe(error);
  });

  test.each(commandTable.map((spec) => [spec.name, spec.arity] as const))('wrong arity of %s', (name, arity) => {
    const command = (count: number): Buffer[] =>
      Array.from({ length: count }, (_, at) => Buffer.from(at === 0 ? name : '1'));
    const wrong = [command(Math.abs(arity) - 1), command(arity > 0 ? arity + 1 : 0)].filter((args) => args.length > 0);
    const error = `ERR wrong number of arguments for '${name}' command`;
    expect(wrong.map((args) => validate(args))).toEqual(wrong.map(() => error));
  });
});

test.each([
  'SET a b NX GET EX 10',
  'set a b ifeq c get pxat 1',
  'set a b EX 1 ex 2',
  'getex a',
  'expire a -5 xx gt',
  'getex a ex 0',
  'pexpireat a 9223372036854775807',
  'incrbyfloat a -1.5e3',
  'incrbyfloat a 0x1.8p-1',
  'scan ""',
  'copy a b replace db 0',
  'setrange a 5000000000 ""',
  'scan 9007199254740993 match * count 5 type string',
  'set "" ""',
  'CONFIG get save',
  'Command Docs',
])('%s is accepted', (line) => {
  expect(validate(words(line))).toBeNull();
});

test('keys and values have limits of their own', () => {
  const limits = { keyBytesMax: 4, valueBytesMax: 8 };
  expect(validate(words('set four 12345678'), limits)).toBeNull();
  expect(validate(words('set fives 1'), limits)).toBe('ERR key is larger than the limit of 4 bytes');
  expect(validate(words('set four 123456789'), limits)).toBe('ERR value is larger than the limit of 8 bytes');
  expect(validate(words('mset a 1 fives 2'), limits)).toBe('ERR key is larger than the limit of 4 bytes');
  expect(validate(words('del a b fives'), limits)).toBe('ERR key is larger than the limit of 4 bytes');
  expect(validate(words('rename a fives'), limits)).toBe('ERR key is larger than the limit of 4 bytes');
});

test('a pattern has a limit, since it is tried on every key', () => {
  const error = 'ERR pattern is larger than the limit of 1024 bytes';
  expect(validate([Buffer.from('KEYS'), Buffer.alloc(1025, '*')])).toBe(error);
  expect(validate([...words('scan 0 match'), Buffer.alloc(1025, '*')])).toBe(error);
  expect(validate([Buffer.from('KEYS'), Buffer.alloc(1024, '*')])).toBeNull();
});

test('an echoed name cannot be long', () => {
  const error = validate([Buffer.alloc(100_000, 'x'), Buffer.alloc(100_000, 'y'), Buffer.from('z')]) as string;
  expect(error.length).toBeLessThan(400);
});

test('no two commands share a name or a number in the log', () => {
  expect(new Set(commandTable.map((spec) => spec.name)).size).toBe(commandTable.length);
  const opcodes = commandTable.map((spec) => spec.opcode).filter((opcode) => opcode !== 0);
  expect(new Set(opcodes).size).toBe(opcodes.length);
});

test('keys stand where the table says', () => {
  const positions = (line: string): number[] => {
    const args = words(line);
    const spec = findCommand(String(args[0]));
    return spec === undefined ? [] : keyPositions(spec, args.length);
  };
  expect(positions('get a')).toEqual([1]);
  expect(positions('mset a 1 b 2')).toEqual([1, 3]);
  expect(positions('DEL a b c')).toEqual([1, 2, 3]);
  expect(positions('rename a b')).toEqual([1, 2]);
  expect(positions('scan 0')).toEqual([]);
});

test('COMMAND answers from the table', () => {
  expect(commandReply(words('command count'))).toBe(commandTable.length);
  expect(commandReply(words('command info get nosuch'))).toEqual([expect.arrayContaining(['get', 2]), null]);
  expect(commandReply(words('command getkeys mset a 1 b 2'))).toEqual([Buffer.from('a'), Buffer.from('b')]);
  expect(commandReply(words('command getkeys ping'))).toEqual({ error: 'ERR The command has no key arguments' });
  expect(commandReply(words('command docs nosuch'))).toEqual({ map: [] });
});

test('integers are 64 bits, exact, and as strict as those of Redis', () => {
  for (const text of [
    '',
    '-',
    '+1',
    '01',
    '-0',
    '-01',
    ' 1',
    '1 ',
    '1.0',
    '9223372036854775808',
    '99999999999999999999',
  ])
    expect([text, parseInteger(text)]).toEqual([text, null]);
  expect(parseInteger('-9223372036854775808')).toBe(-9223372036854775808n);
  expect(parseInteger('9007199254740991')).toBe(9007199254740991);
  expect(parseInteger('9007199254740993')).toBe(9007199254740993n);
  expect(addInt64(9007199254740991, 2)).toBe(9007199254740993n);
  expect(addInt64(9223372036854775807n, 1)).toBeNull();
  expect(addInt64(9007199254740993n, -9007199254740993n)).toBe(0);
});
