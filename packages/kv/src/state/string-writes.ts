import { CommandError, wrongArity } from '../commands/errors.ts';
import { addInt64, parseInteger } from '../commands/integers.ts';
import { addDecimals, decimalBytesMax, formatDecimal, infinite, parseDecimal } from '../commands/long-double.ts';
import {
  type ExpireUnit,
  expireUnits,
  parseExpiry,
  parseGetexOptions,
  parseSetOptions,
  plainSet,
  type SetOptions,
} from '../commands/options.ts';
import { bulkResult, errorResult, integerResult, nullResult, okResult, type Result } from '../resp/result.ts';
import type { Entry } from './entry.ts';
import { expireMsOf, type Handler, parsed, unreachable } from './handler.ts';
import type { Place, Store } from './store.ts';
import { copyInto, equalsBytes, ownValue, toValue, type Value, valueText } from './value.ts';

const at = (args: readonly Buffer[], index: number): Buffer => args[index] as Buffer;
const valueResult = (entry: Entry | undefined): Result => (entry === undefined ? nullResult : bulkResult(entry.value));

function holds(options: SetOptions, entry: Entry | undefined): boolean {
  switch (options.condition) {
    case 'always':
      return true;
    case 'absent':
      return entry === undefined;
    case 'present':
      return entry !== undefined;
    case 'equals':
      return entry !== undefined && equalsBytes(entry.value, options.expected as Buffer);
    default:
      return unreachable(options.condition);
  }
}

export const set: Handler = (store, args) => {
  const options = args.length === 2 ? plainSet : parseSetOptions(args, 2);
  if (typeof options === 'string') return errorResult(options);
  const place = store.locate(at(args, 0));
  const { entry } = place;
  const done = holds(options, entry);
  if (done) store.write(place, toValue(at(args, 1)), expireMsOf(options.expiry, store, entry?.expireMs ?? 0));
  if (options.get) return valueResult(entry);
  return done ? okResult : nullResult;
};

export const setnx: Handler = (store, args) => {
  const place = store.locate(at(args, 0));
  if (place.entry !== undefined) return integerResult(0);
  store.write(place, toValue(at(args, 1)), 0);
  return integerResult(1);
};

export const setWithLifetime =
  (command: 'setex' | 'psetex'): Handler =>
  (store, args) => {
    const unit = expireUnits.get(command) as ExpireUnit;
    return parsed(parseExpiry(command, unit, at(args, 1)), (expiry) => {
      store.write(store.locate(at(args, 0)), toValue(at(args, 2)), expireMsOf(expiry, store, 0));
      return okResult;
    });
  };

export const getset: Handler = (store, args) => {
  const place = store.locate(at(args, 0));
  store.write(place, toValue(at(args, 1)), 0);
  return valueResult(place.entry);
};

export const getdel: Handler = (store, args) => {
  const entry = store.find(at(args, 0));
  if (entry !== undefined) store.remove(entry);
  return valueResult(entry);
};

export const getex: Handler = (store, args) => {
  const place = store.locate(at(args, 0));
  const { entry } = place;
  // Redis does not look at the time either when there is no key.
  if (entry === undefined) return nullResult;
  return parsed(parseGetexOptions(args, 1), (expiry) => {
    if (expiry.kind !== 'none') store.write(place, entry.value, expireMsOf(expiry, store, entry.expireMs));
    return bulkResult(entry.value);
  });
};

function writePairs(store: Store, args: readonly Buffer[]): void {
  for (let key = 0; key < args.length; key += 2)
    store.write(store.locate(at(args, key)), toValue(at(args, key + 1)), 0);
}

export const mset: Handler = (store, args) => {
  if (args.length % 2 !== 0) return errorResult(wrongArity('mset'));
  writePairs(store, args);
  return okResult;
};

export const msetnx: Handler = (store, args) => {
  if (args.length % 2 !== 0) return errorResult(wrongArity('msetnx'));
  for (let key = 0; key < args.length; key += 2) if (store.find(at(args, key)) !== undefined) return integerResult(0);
  writePairs(store, args);
  return integerResult(1);
};

const integerBytesMax = 20;
/** The text of a value that may be a number; what is too long to be one is not even looked at. */
const shortText = (value: Value, bytesMax: number): string => (value.length > bytesMax ? '' : valueText(value));

function add(store: Store, key: Buffer, amount: number | bigint): Result {
  const place = store.locate(key);
  const { entry } = place;
  const current = entry === undefined ? 0 : parseInteger(shortText(entry.value, integerBytesMax));
  if (current === null) return errorResult(CommandError.notInteger);
  const sum = addInt64(current, amount);
  if (sum === null) return errorResult(CommandError.overflow);
  store.write(place, String(sum), entry?.expireMs ?? 0);
  return integerResult(sum);
}

export const incr: Handler = (store, args) => add(store, at(args, 0), 1);
export const decr: Handler = (store, args) => add(store, at(args, 0), -1);

export const incrby: Handler = (store, args) => {
  const amount = parseInteger(at(args, 1).toString('latin1'));
  return amount === null ? errorResult(CommandError.notInteger) : add(store, at(args, 0), amount);
};

export const decrby: Handler = (store, args) => {
  const amount = parseInteger(at(args, 1).toString('latin1'));
  return amount === null ? errorResult(CommandError.notInteger) : add(store, at(args, 0), -amount);
};

export const incrbyfloat: Handler = (store, args) => {
  const place = store.locate(at(args, 0));
  const { entry } = place;
  const current = parseDecimal(entry === undefined ? '0' : shortText(entry.value, decimalBytesMax));
  const amount = parseDecimal(at(args, 1).toString('latin1'));
  if (current === null || amount === null) return errorResult(CommandError.notFloat);
  const sum = current === infinite || amount === infinite ? null : addDecimals(current, amount);
  if (sum === null) return errorResult(CommandError.notFinite);
  const value = formatDecimal(sum);
  store.write(place, ownValue(Buffer.from(value, 'latin1')), entry?.expireMs ?? 0);
  return bulkResult(value);
};

/** The limit under which the command was accepted; it travels as the last argument (see commands/command-codec.ts). */
const limitOf = (args: readonly Buffer[], index: number): number => Number(args[index]?.toString('latin1') ?? 0);

function rewrite(
  store: Store,
  place: Place,
  bytes: number,
  patch: { readonly at: number; readonly bytes: Buffer },
): Value {
  const old = place.entry?.value ?? '';
  const grown = Buffer.allocUnsafeSlow(bytes);
  copyInto(grown, 0, old);
  if (patch.at > old.length) grown.fill(0, old.length, patch.at);
  grown.set(patch.bytes, patch.at);
  const value = ownValue(grown);
  store.write(place, value, place.entry?.expireMs ?? 0);
  return value;
}

export const append: Handler = (store, args) => {
  const place = store.locate(at(args, 0));
  const tail = at(args, 1);
  const length = place.entry?.value.length ?? 0;
  if (length + tail.length > limitOf(args, 2)) return errorResult(CommandError.tooLong);
  if (place.entry !== undefined && tail.length === 0) return integerResult(length);
  return integerResult(rewrite(store, place, length + tail.length, { at: length, bytes: tail }).length);
};

export const setrange: Handler = (store, args) => {
  const offset = parseInteger(at(args, 1).toString('latin1'));
  if (offset === null) return errorResult(CommandError.notInteger);
  if (offset < 0) return errorResult(CommandError.offset);
  const place = store.locate(at(args, 0));
  const patch = at(args, 2);
  const length = place.entry?.value.length ?? 0;
  if (patch.length === 0) return integerResult(length);
  const end = Number(offset) + patch.length;
  if (end > limitOf(args, 3)) return errorResult(CommandError.tooLong);
  return integerResult(rewrite(store, place, Math.max(length, end), { at: Number(offset), bytes: patch }).length);
};
