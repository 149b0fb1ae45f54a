import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CommandFormatError, decodeCommand, encodeCommand, encodeRefused, encodeTransaction } from './command-codec.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const words = (...args: string[]): Buffer[] => args.map((word) => Buffer.from(word));

test('the bytes of a command in the log never change', () => {
  expect(hex(encodeCommand(words('SET', 'key', 'v')))).toBe('010102036b65790176');
  expect(hex(encodeCommand(words('get', '')))).toBe('01400100');
  expect(hex(encodeCommand([...words('SET', 'k'), Buffer.alloc(300)])).slice(0, 14)).toBe('010102016bac02');
  // APPEND carries the limit it was accepted under.
  expect(hex(encodeCommand(words('APPEND', 'k', 'v'), { keyBytesMax: 1, valueBytesMax: 12 }))).toBe(
    '011103016b0176023132',
  );
});

test('the bytes of a transaction in the log never change', () => {
  const transaction = encodeTransaction([encodeCommand(words('get', 'k')), encodeRefused('no')]);
  expect(hex(transaction)).toBe('011d02050140 01016b06010001026e6f'.replace(' ', ''));
});

test('a command decodes into the arguments it was made of', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 200 }), (args) => {
      const decoded = decodeCommand(
        encodeCommand([Buffer.from('DEL'), ...args.map((argument) => Buffer.from(argument))]),
      );
      expect(decoded.opcode).toBe(8);
      expect(decoded.args.map(hex)).toEqual(args.map(hex));
    }),
  );
});

test('a command of another version, cut short or too long is refused, never guessed at', () => {
  const command = encodeCommand(words('SET', 'key', 'value'));
  for (let end = 0; end < command.length; end += 1)
    expect(() => decodeCommand(command.subarray(0, end))).toThrow(CommandFormatError);
  expect(() => decodeCommand(Buffer.concat([command, Buffer.of(0)]))).toThrow(CommandFormatError);
  expect(() => decodeCommand(Buffer.concat([Buffer.of(2), command.subarray(1)]))).toThrow(CommandFormatError);
  expect(() => decodeCommand(Buffer.from('01010fffffffffffffffffff01', 'hex'))).toThrow(CommandFormatError);
  expect(() => encodeCommand(words('PING'))).toThrow(CommandFormatError);
});
