import { expect, test } from 'vitest';
import { encodeReply, type Protocol, type Reply } from './reply.ts';
import { arrayResult, bulkResult, decodeResult, nullResult, okResult, scanResult, toProtocol } from './result.ts';

const rows: readonly (readonly [Reply, string, string])[] = [
  [null, '$-1\r\n', '_\r\n'],
  ['é', '$2\r\né\r\n', '$2\r\né\r\n'],
  [Buffer.from('a\r\nb'), '$4\r\na\r\nb\r\n', '$4\r\na\r\nb\r\n'],
  [7, ':7\r\n', ':7\r\n'],
  [9223372036854775807n, ':9223372036854775807\r\n', ':9223372036854775807\r\n'],
  [true, ':1\r\n', '#t\r\n'],
  [{ double: 1.5 }, '$3\r\n1.5\r\n', ',1.5\r\n'],
  [{ double: -Infinity }, '$4\r\n-inf\r\n', ',-inf\r\n'],
  [{ simple: 'OK' }, '+OK\r\n', '+OK\r\n'],
  [{ verbatim: 'hi' }, '$2\r\nhi\r\n', '=6\r\ntxt:hi\r\n'],
  [[1, [null]], '*2\r\n:1\r\n*1\r\n$-1\r\n', '*2\r\n:1\r\n*1\r\n_\r\n'],
  [{ map: [['a', 1]] }, '*2\r\n$1\r\na\r\n:1\r\n', '%1\r\n$1\r\na\r\n:1\r\n'],
  [{ set: [1] }, '*1\r\n:1\r\n', '~1\r\n:1\r\n'],
];

test.each(rows)('a reply has a form in both protocols (row %#)', (reply, resp2, resp3) => {
  expect(encodeReply(reply, 2).toString()).toBe(resp2);
  expect(encodeReply(reply, 3).toString()).toBe(resp3);
});

test('an echoed name can never split a reply', () => {
  expect(encodeReply({ error: 'ERR no\r\n+OK\r\n' }, 2).toString()).toBe('-ERR no  +OK  \r\n');
  expect(encodeReply({ simple: 'a\nb' }, 3).toString()).toBe('+a b\r\n');
});

const sent = (result: Uint8Array, protocol: Protocol): string => Buffer.from(toProtocol(result, protocol)).toString();

test('results are RESP2 as they are, and RESP3 with their nulls replaced', () => {
  expect(sent(okResult, 3)).toBe('+OK\r\n');
  expect(sent(nullResult, 2)).toBe('$-1\r\n');
  expect(sent(nullResult, 3)).toBe('_\r\n');
  // A value that looks like a null is none.
  const values = arrayResult(['$-1\r\n', null, Buffer.alloc(2000, '$-1\r\n'), null]);
  expect(sent(values, 2)).toContain('\r\n$-1\r\n');
  const text = `$2000\r\n${'$-1\r\n'.repeat(400)}\r\n`;
  expect(sent(values, 3)).toBe(`*4\r\n$5\r\n$-1\r\n\r\n_\r\n${text}_\r\n`);
});

test('results decode into the values they were made of', () => {
  const bytes = (text: string): Buffer => Buffer.from(text);
  expect(decodeResult(arrayResult(['a', null]))).toEqual([bytes('a'), null]);
  expect(decodeResult(bulkResult(bytes('x\r\n')))).toEqual(bytes('x\r\n'));
  expect(decodeResult(scanResult('17', ['k', '']))).toEqual([bytes('17'), [bytes('k'), bytes('')]]);
});
