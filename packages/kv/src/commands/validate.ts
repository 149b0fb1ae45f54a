import { type CommandSpec, findCommand, keyPositions } from './command-table.ts';
import { CommandError, wrongArity } from './errors.ts';
import { int64Min, parseInteger } from './integers.ts';
import { type CommandLimits, defaultCommandLimits } from './limits.ts';
import { parseDecimal } from './long-double.ts';
import {
  expireUnits,
  parseCopyOptions,
  parseExpireOptions,
  parseExpiry,
  parseGetexOptions,
  parseScanOptions,
  parseSetOptions,
} from './options.ts';

type Check = (args: readonly Buffer[], spec: CommandSpec, limits: CommandLimits) => string | null;

const isInteger = (argument: Buffer | undefined): boolean =>
  argument !== undefined && parseInteger(argument.toString('latin1')) !== null;
const refused = (parsed: unknown): string | null => (typeof parsed === 'string' ? parsed : null);
const evenPairs: Check = (args, spec) => (args.length % 2 === 1 ? null : wrongArity(spec.name));
const setWithLifetime: Check = (args, spec) => {
  const unit = expireUnits.get(spec.name);
  return unit === undefined ? null : refused(parseExpiry(spec.name, unit, args[2] as Buffer));
};
const expire: Check = (args, spec) => refused(parseExpireOptions(spec.name, args, 2));
const integerAt =
  (...positions: readonly number[]): Check =>
  (args) =>
    positions.every((at) => isInteger(args[at])) ? null : CommandError.notInteger;

/** What can be known to be wrong without looking at the data, so that it never reaches the log. */
const checks: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['set', (args) => refused(parseSetOptions(args, 3))],
  ['setex', setWithLifetime],
  ['psetex', setWithLifetime],
  ['getex', checkGetex],
  ['mset', evenPairs],
  ['msetnx', evenPairs],
  ['incrby', integerAt(2)],
  ['decrby', checkDecrement],
  [
    'incrbyfloat',
    (args) => (parseDecimal((args[2] as Buffer).toString('latin1')) === null ? CommandError.notFloat : null),
  ],
  ['setrange', checkSetRange],
  ['expire', expire],
  ['pexpire', expire],
  ['expireat', expire],
  ['pexpireat', expire],
  ['getrange', integerAt(2, 3)],
  ['substr', integerAt(2, 3)],
  ['copy', (args) => refused(parseCopyOptions(args, 3))],
  ['scan', (args) => refused(parseScanOptions(args, 1)) ?? checkPattern(args)],
  ['keys', checkPattern],
  ['flushall', checkFlush],
  ['flushdb', checkFlush],
  ['nori.countkeysinslot', checkSlot],
  ['nori.getkeysinslot', checkSlot],
]);

/**
 * Whether a command makes sense on its own: name, arity, options, numbers, sizes. Null, or the text of the error that
 * Redis would answer, without the leading `-`.
 */
export function validate(args: readonly Buffer[], limits: CommandLimits = defaultCommandLimits): string | null {
  const spec = findCommand((args[0] as Buffer).toString('latin1', 0, 64));
  if (spec === undefined) return unknownCommand(args);
  const arity = checkArity(args, spec);
  if (arity !== null) return arity;
  if (spec.kind === 'local') return null;
  return checks.get(spec.name)?.(args, spec, limits) ?? checkSizes(args, spec, limits);
}

function unknownCommand(args: readonly Buffer[]): string {
  let shown = '';
  for (let at = 1; at < args.length && shown.length < 128; at += 1)
    shown += `'${(args[at] as Buffer).toString('utf8', 0, 128 - shown.length)}' `;
  return `ERR unknown command '${(args[0] as Buffer).toString('utf8', 0, 128)}', with args beginning with: ${shown}`;
}

const fits = (arity: number, count: number): boolean => (arity < 0 ? count >= -arity : count === arity);

/** A string is the error. */
export function checkArity(args: readonly Buffer[], spec: CommandSpec): string | null {
  if (!fits(spec.arity, args.length)) return wrongArity(spec.name);
  if (spec.subcommands === null || args.length === 1) return null;
  const given = args[1] as Buffer;
  const name = given.toString('latin1', 0, 64).toLowerCase();
  const arity = spec.subcommands.get(name);
  if (arity === undefined)
    return `ERR unknown subcommand '${given.toString('utf8', 0, 128)}'. Try ${spec.name.toUpperCase()} HELP.`;
  return fits(arity, args.length) ? null : wrongArity(`${spec.name}|${name}`);
}

function checkSizes(args: readonly Buffer[], spec: CommandSpec, limits: CommandLimits): string | null {
  for (const at of spec.keyStep === 1 && spec.lastKey === 1 ? [1] : keyPositions(spec, args.length)) {
    if ((args[at] as Buffer).length > limits.keyBytesMax)
      return `ERR key is larger than the limit of ${limits.keyBytesMax} bytes`;
  }
  for (const argument of args) {
    if (argument.length > limits.valueBytesMax)
      return `ERR value is larger than the limit of ${limits.valueBytesMax} bytes`;
  }
  return null;
}

/** A time that is wrong is an error only when the key exists, so that is for the state machine to say. */
function checkGetex(args: readonly Buffer[]): string | null {
  return parseGetexOptions(args, 2) === CommandError.syntax ? CommandError.syntax : null;
}

function checkDecrement(args: readonly Buffer[]): string | null {
  const amount = parseInteger((args[2] as Buffer).toString('latin1'));
  if (amount === null) return CommandError.notInteger;
  return amount === int64Min ? CommandError.decrementOverflow : null;
}

function checkSetRange(args: readonly Buffer[], _spec: CommandSpec, limits: CommandLimits): string | null {
  const offset = parseInteger((args[2] as Buffer).toString('latin1'));
  if (offset === null) return CommandError.notInteger;
  if (offset < 0) return CommandError.offset;
  const bytes = (args[3] as Buffer).length;
  return bytes > 0 && Number(offset) + bytes > limits.valueBytesMax ? CommandError.tooLong : null;
}

/** Matching takes pattern times key steps for every key, and nothing else runs meanwhile. */
const patternBytesMax = 1024;

function checkPattern(args: readonly Buffer[]): string | null {
  const fit = args.every((argument) => argument.length <= patternBytesMax);
  return fit ? null : `ERR pattern is larger than the limit of ${patternBytesMax} bytes`;
}

function checkFlush(args: readonly Buffer[]): string | null {
  const mode = args[1]?.toString('latin1', 0, 8).toLowerCase();
  return args.length === 1 || (args.length === 2 && (mode === 'async' || mode === 'sync')) ? null : CommandError.syntax;
}

function checkSlot(args: readonly Buffer[]): string | null {
  const slot = parseInteger((args[1] as Buffer).toString('latin1'));
  if (slot === null || slot < 0 || slot > 16383) return CommandError.invalidSlot;
  if (args.length === 2) return null;
  const count = parseInteger((args[2] as Buffer).toString('latin1'));
  return count === null || count < 0 ? 'ERR Invalid number of keys' : null;
}
