import { type CommandSpec, findCommand } from './command-table.ts';
import { type CommandLimits, defaultCommandLimits } from './limits.ts';

/**
 * A command in the log, or a query: version, opcode, number of arguments, then each argument with its length before
 * it. The name is not among the arguments. Lengths are varints of seven bits a byte, the low ones first.
 */
export const commandVersion = 1;

/** A command this version does not understand. A replica must stop on it, never skip it. */
export class CommandFormatError extends Error {
  override readonly name = 'CommandFormatError';
}

export interface DecodedCommand {
  readonly opcode: number;
  /** Views of the payload, without the command's name. */
  readonly args: Buffer[];
}

/**
 * Commands that make a value grow carry the limit they were accepted under: were it read from each replica's own
 * configuration, replicas with different ones would part.
 */
const carriesLimit = new Set(['append', 'setrange']);

export function encodeCommand(args: readonly Buffer[], limits: CommandLimits = defaultCommandLimits): Buffer {
  const spec = findCommand((args[0] as Buffer).toString('latin1', 0, 64));
  if (spec === undefined || spec.opcode === 0) throw new CommandFormatError('the command goes to no group');
  return encodeFor(spec, args, limits);
}

/** The same, for a caller that has looked the command up. */
export function encodeFor(spec: CommandSpec, args: readonly Buffer[], limits: CommandLimits): Buffer {
  const limit = carriesLimit.has(spec.name) ? Buffer.from(String(limits.valueBytesMax)) : null;
  return encodeParts(spec.opcode, args, { from: 1, limit });
}

/**
 * The number of a transaction in the log: its arguments are whole commands, reads among them, carried out one after the
 * other with nothing between. It is no command of the table, since no client can send it.
 */
export const transactionOpcode = 29;

/** In the place of a command that makes no sense: what it is answered is known, and the others are carried out. */
export const refusedOpcode = 0;

export function encodeRefused(error: string): Buffer {
  return encodeParts(refusedOpcode, [Buffer.from(error)], { from: 0, limit: null });
}

export function encodeTransaction(commands: readonly Uint8Array[]): Buffer {
  return encodeParts(transactionOpcode, commands, { from: 0, limit: null });
}

function encodeParts(
  opcode: number,
  args: readonly Uint8Array[],
  { from, limit }: { readonly from: number; readonly limit: Buffer | null },
): Buffer {
  const count = args.length - from + (limit === null ? 0 : 1);
  let bytes = 2 + varintBytes(count) + (limit === null ? 0 : limit.length + 1);
  for (let at = from; at < args.length; at += 1) {
    const { length } = args[at] as Uint8Array;
    bytes += varintBytes(length) + length;
  }
  // Not from the pool: the payload lives as long as the entry, and must not keep strangers alive.
  const payload = Buffer.allocUnsafeSlow(bytes);
  payload[0] = commandVersion;
  payload[1] = opcode;
  let at = writeVarint(payload, 2, count);
  for (let index = from; index < args.length; index += 1) at = writeBytes(payload, at, args[index] as Uint8Array);
  if (limit !== null) writeBytes(payload, at, limit);
  return payload;
}

export function decodeCommand(payload: Uint8Array): DecodedCommand {
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (bytes[0] !== commandVersion)
    throw new CommandFormatError(`command format ${bytes[0] ?? 'missing'} is not supported, only ${commandVersion} is`);
  const reader = { bytes, at: 2 };
  const count = readVarint(reader);
  if (count > bytes.length) throw new CommandFormatError(cutShort);
  const args: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const length = readVarint(reader);
    const end = reader.at + length;
    if (end > bytes.length) throw new CommandFormatError(cutShort);
    args.push(bytes.subarray(reader.at, end));
    reader.at = end;
  }
  if (reader.at !== bytes.length) throw new CommandFormatError('a command is longer than it says');
  return { opcode: bytes[1] as number, args };
}

const cutShort = 'a command is cut short';

function readVarint(reader: { readonly bytes: Buffer; at: number }): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.bytes[reader.at];
    if (byte === undefined || scale > 2 ** 42) throw new CommandFormatError(cutShort);
    reader.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

function writeVarint(target: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) {
    target[at] = (rest % 128) + 128;
    at += 1;
  }
  target[at] = rest;
  return at + 1;
}

function writeBytes(target: Buffer, from: number, bytes: Uint8Array): number {
  const at = writeVarint(target, from, bytes.length);
  target.set(bytes, at);
  return at + bytes.length;
}
