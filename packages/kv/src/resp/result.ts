import type { Protocol, Reply } from './reply.ts';
import { singleLine } from './reply.ts';

/**
 * A result: what the state machine answers. One tag byte, then the reply in RESP2. The tag says whether the same bytes
 * are right for RESP3 too, so that the server can nearly always send them as they are.
 */
export type Result = Uint8Array;

export const ResultTag = { neutral: 0, holdsNull: 1 } as const;

/** A stored value, short ones as latin1 strings (see state/value.ts). */
type Payload = string | Uint8Array;

const text = (reply: string): Buffer => Buffer.from(`\0${reply}\r\n`, 'latin1');

export const okResult: Result = text('+OK');
export const nullResult: Result = Buffer.from('\x01$-1\r\n', 'latin1');
export const emptyArrayResult: Result = text('*0');
const smallIntegers: readonly Buffer[] = Array.from({ length: 1026 }, (_, at) => text(`:${at - 2}`));

export function simpleResult(reply: string): Result {
  return text(`+${singleLine(reply)}`);
}

export function errorResult(message: string): Result {
  return text(`-${singleLine(message)}`);
}

export function integerResult(value: number | bigint): Result {
  return (typeof value === 'number' ? smallIntegers[value + 2] : undefined) ?? text(`:${value}`);
}

export function bulkResult(value: Payload): Result {
  if (typeof value === 'string') return Buffer.from(`\0$${value.length}\r\n${value}\r\n`, 'latin1');
  const header = `\0$${value.length}\r\n`;
  const whole = Buffer.allocUnsafe(header.length + value.length + 2);
  whole.write(header, 0, 'latin1');
  whole.set(value, header.length);
  whole.write('\r\n', header.length + value.length, 'latin1');
  return whole;
}

export function arrayResult(values: readonly (Payload | null)[]): Result {
  return joinResult(`*${values.length}\r\n`, values);
}

/** What SCAN answers: `[cursor, [key, ...]]`. */
export function scanResult(cursor: string, keys: readonly string[]): Result {
  return joinResult(`*2\r\n$${cursor.length}\r\n${cursor}\r\n*${keys.length}\r\n`, keys);
}

/** One array of whole results. */
export function concatResult(results: readonly Result[]): Result {
  const holdsNull = results.some((result) => result[0] === ResultTag.holdsNull);
  const header = Buffer.from(`${holdsNull ? '\x01' : '\0'}*${results.length}\r\n`, 'latin1');
  return Buffer.concat([header, ...results.map((result) => result.subarray(1))]);
}

function joinResult(header: string, values: readonly (Payload | null)[]): Result {
  const parts: Buffer[] = [];
  const pieces: string[] = [header];
  let tag: number = ResultTag.neutral;
  for (const value of values) {
    if (value === null) {
      tag = ResultTag.holdsNull;
      pieces.push('$-1\r\n');
    } else if (typeof value === 'string') pieces.push(`$${value.length}\r\n${value}\r\n`);
    else {
      parts.push(Buffer.from(`${pieces.join('')}$${value.length}\r\n`, 'latin1'), value as Buffer);
      pieces.length = 0;
      pieces.push('\r\n');
    }
  }
  parts.push(Buffer.from(pieces.join(''), 'latin1'));
  return Buffer.concat([Buffer.of(tag), ...parts]);
}

export function isErrorResult(result: Result): boolean {
  return result[1] === 0x2d;
}

const null3 = Buffer.from('_\r\n');

/** The bytes to send on a connection that speaks `protocol`. */
export function toProtocol(result: Result, protocol: Protocol): Uint8Array {
  if (protocol === 2 || result[0] === ResultTag.neutral) return result.subarray(1);
  if (result.length === nullResult.length) return null3;
  const reply = Buffer.from(result.buffer, result.byteOffset + 1, result.length - 1);
  const parts: Buffer[] = [];
  let kept = 0;
  for (let at = 0; at < reply.length; ) {
    const lineEnd = reply.indexOf('\r\n', at, 'latin1') + 2;
    if (reply[at] === 0x24 && reply[at + 1] === 0x2d) {
      parts.push(reply.subarray(kept, at), null3);
      kept = lineEnd;
      at = lineEnd;
    } else at = reply[at] === 0x24 ? lineEnd + Number(reply.toString('latin1', at + 1, lineEnd - 2)) + 2 : lineEnd;
  }
  parts.push(reply.subarray(kept));
  return Buffer.concat(parts);
}

/** A result as a value, for merging the answers of several shards and for HTTP. Bulk strings are views of `result`. */
export function decodeResult(result: Result): Reply {
  const reader = { bytes: Buffer.from(result.buffer, result.byteOffset, result.length), at: 1 };
  return readReply(reader);
}

/** Reads one reply of the kinds that results hold. */
function readReply(reader: { readonly bytes: Buffer; at: number }): Reply {
  const { bytes } = reader;
  const kind = bytes[reader.at];
  const lineEnd = bytes.indexOf('\r\n', reader.at, 'latin1');
  const head = bytes.toString('latin1', reader.at + 1, lineEnd);
  reader.at = lineEnd + 2;
  switch (kind) {
    case 0x2b:
      return { simple: head };
    case 0x2d:
      return { error: head };
    case 0x3a:
      return Number.isSafeInteger(Number(head)) ? Number(head) : BigInt(head);
    case 0x24: {
      if (head === '-1') return null;
      const from = reader.at;
      reader.at = from + Number(head) + 2;
      return bytes.subarray(from, reader.at - 2);
    }
    case 0x2a:
      return Array.from({ length: Number(head) }, () => readReply(reader));
    default:
      throw new Error('a result holds a reply of an unknown kind');
  }
}
