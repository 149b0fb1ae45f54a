import { CommandError, invalidExpire } from './errors.ts';
import { int64Max, int64Min, parseInteger } from './integers.ts';

/**
 * Times are numbers of milliseconds, so they end where numbers stop being exact, in the year 287396; a later one that
 * Redis would take is kept as that. A relative time leaves room for the log time that is added when it is applied.
 */
const expireMsMax: number = Number.MAX_SAFE_INTEGER - 2 ** 45;

/** When a value expires: never mentioned, kept as it is, removed, at a time, or after a time from the entry's log time. */
export interface Expiry {
  readonly kind: 'none' | 'keep' | 'persist' | 'at' | 'after';
  readonly ms: number;
}

const noExpiry: Expiry = { kind: 'none', ms: 0 };
const keepExpiry: Expiry = { kind: 'keep', ms: 0 };
const removeExpiry: Expiry = { kind: 'persist', ms: 0 };

export interface SetOptions {
  readonly condition: 'always' | 'absent' | 'present' | 'equals';
  readonly expected: Buffer | null;
  readonly get: boolean;
  readonly expiry: Expiry;
}

export const plainSet: SetOptions = { condition: 'always', expected: null, get: false, expiry: noExpiry };

export interface ExpireUnit {
  /** From now, and not since 1970. */
  readonly relative: boolean;
  /** Its length in ms. */
  readonly scale: number;
}

const units: ReadonlyMap<string, ExpireUnit> = new Map([
  ['ex', { relative: true, scale: 1000 }],
  ['px', { relative: true, scale: 1 }],
  ['exat', { relative: false, scale: 1000 }],
  ['pxat', { relative: false, scale: 1 }],
]);

/** A time that must be positive, as SET, SETEX and GETEX want it; a string is an error. */
export function parseExpiry(command: string, unit: ExpireUnit, argument: Buffer): Expiry | string {
  const expiry = parseAnyExpiry(command, unit, argument);
  return typeof expiry !== 'string' && expiry.ms <= 0 ? invalidExpire(command) : expiry;
}

const relativeMsMax = int64Max - 2n ** 45n;

/** The same, for times that may lie in the past. */
function parseAnyExpiry(command: string, unit: ExpireUnit, argument: Buffer): Expiry | string {
  const value = parseInteger(argument.toString('latin1'));
  if (value === null) return CommandError.notInteger;
  const ms = Number(value) * unit.scale;
  if (Math.abs(ms) > expireMsMax) {
    const exactMs = BigInt(value) * BigInt(unit.scale);
    if (exactMs > (unit.relative ? relativeMsMax : int64Max) || exactMs < int64Min) return invalidExpire(command);
  }
  return { kind: unit.relative ? 'after' : 'at', ms: Math.min(Math.max(ms, -expireMsMax), expireMsMax) };
}

interface Draft {
  condition: SetOptions['condition'];
  expected: Buffer | null;
  get: boolean;
  /** The option word that chose the expiry, or ''. */
  unit: string;
  amount: Buffer | null;
}

/** Options of SET, from position `from`; a string is an error. */
export function parseSetOptions(args: readonly Buffer[], from: number): SetOptions | string {
  if (args.length === from) return plainSet;
  const draft: Draft = { condition: 'always', expected: null, get: false, unit: '', amount: null };
  for (let at = from; at < args.length; ) {
    const read = readSetOption(args, at, draft);
    if (read === 0) return CommandError.syntax;
    at += read;
  }
  const expiry = finishExpiry('set', draft);
  if (typeof expiry === 'string') return expiry;
  return { condition: draft.condition, expected: draft.expected, get: draft.get, expiry };
}

/** Reads one option into the draft and answers how many arguments it took; 0: it does not fit. */
function readSetOption(args: readonly Buffer[], at: number, draft: Draft): number {
  const word = (args[at] as Buffer).toString('latin1', 0, 8).toLowerCase();
  const condition = word === 'nx' ? 'absent' : word === 'xx' ? 'present' : word === 'ifeq' ? 'equals' : null;
  if (condition !== null) {
    if (draft.condition !== 'always' && (draft.condition !== condition || condition === 'equals')) return 0;
    draft.condition = condition;
    if (condition !== 'equals') return 1;
    draft.expected = args[at + 1] ?? null;
    return draft.expected === null ? 0 : 2;
  }
  if (word === 'get') {
    draft.get = true;
    return 1;
  }
  return readExpiryOption(args, at, draft, word, 'keepttl');
}

/** Options of GETEX, from position `from`; a string is an error. */
export function parseGetexOptions(args: readonly Buffer[], from: number): Expiry | string {
  const draft: Draft = { condition: 'always', expected: null, get: false, unit: '', amount: null };
  for (let at = from; at < args.length; ) {
    const word = (args[at] as Buffer).toString('latin1', 0, 8).toLowerCase();
    const read = readExpiryOption(args, at, draft, word, 'persist');
    if (read === 0) return CommandError.syntax;
    at += read;
  }
  return finishExpiry('getex', draft);
}

function readExpiryOption(args: readonly Buffer[], at: number, draft: Draft, word: string, bare: string): number {
  // Redis lets an option be repeated, and the last one counts, but refuses two different ones.
  if (draft.unit !== '' && draft.unit !== word) return 0;
  if (word === bare) {
    draft.unit = word;
    return 1;
  }
  if (!units.has(word) || at + 1 >= args.length) return 0;
  draft.unit = word;
  draft.amount = args[at + 1] as Buffer;
  return 2;
}

function finishExpiry(command: string, draft: Draft): Expiry | string {
  if (draft.unit === '') return noExpiry;
  if (draft.unit === 'keepttl') return keepExpiry;
  if (draft.unit === 'persist') return removeExpiry;
  const unit = units.get(draft.unit);
  if (unit === undefined || draft.amount === null) return CommandError.syntax;
  return parseExpiry(command, unit, draft.amount);
}

export const expireUnits: ReadonlyMap<string, ExpireUnit> = new Map([
  ['setex', { relative: true, scale: 1000 }],
  ['psetex', { relative: true, scale: 1 }],
  ['expire', { relative: true, scale: 1000 }],
  ['pexpire', { relative: true, scale: 1 }],
  ['expireat', { relative: false, scale: 1000 }],
  ['pexpireat', { relative: false, scale: 1 }],
]);

export interface ExpireOptions {
  readonly nx: boolean;
  readonly xx: boolean;
  readonly gt: boolean;
  readonly lt: boolean;
  /** May lie in the past, which deletes the key. */
  readonly expiry: Expiry;
}

/** The time and conditions of EXPIRE and its relatives, the time at position `from`; a string is an error. */
export function parseExpireOptions(command: string, args: readonly Buffer[], from: number): ExpireOptions | string {
  const given = { nx: false, xx: false, gt: false, lt: false };
  for (let at = from + 1; at < args.length; at += 1) {
    const argument = args[at] as Buffer;
    const word = argument.toString('latin1', 0, 8).toLowerCase();
    if (word !== 'nx' && word !== 'xx' && word !== 'gt' && word !== 'lt')
      return `ERR Unsupported option ${argument.toString('utf8', 0, 128)}`;
    given[word] = true;
  }
  if (given.nx && (given.xx || given.gt || given.lt))
    return 'ERR NX and XX, GT or LT options at the same time are not compatible';
  if (given.gt && given.lt) return 'ERR GT and LT options at the same time are not compatible';
  const expiry = parseAnyExpiry(command, expireUnits.get(command) as ExpireUnit, args[from] as Buffer);
  return typeof expiry === 'string' ? expiry : { ...given, expiry };
}

export interface CopyOptions {
  readonly replace: boolean;
}

/** As many as a Redis has by default. There is only 0 here, as in a Redis Cluster. */
const redisDatabases = 16;

/** Options of COPY, from position `from`; a string is an error. */
export function parseCopyOptions(args: readonly Buffer[], from: number): CopyOptions | string {
  let replace = false;
  let other = false;
  for (let at = from; at < args.length; at += 1) {
    const word = (args[at] as Buffer).toString('latin1', 0, 8).toLowerCase();
    if (word === 'replace') replace = true;
    else if (word === 'db' && at + 1 < args.length) {
      const database = parseInteger((args[at + 1] as Buffer).toString('latin1'));
      if (database === null) return CommandError.notInteger;
      if (database < 0 || database >= redisDatabases) return CommandError.noSuchDatabase;
      other ||= database !== 0;
      at += 1;
    } else return CommandError.syntax;
  }
  return other ? CommandError.otherDatabase : { replace };
}

export interface ScanOptions {
  readonly cursor: number;
  readonly match: string | null;
  readonly count: number;
  readonly type: string | null;
}

/** The cursor at position `from`, then the options of SCAN; a string is an error. */
export function parseScanOptions(args: readonly Buffer[], from: number): ScanOptions | string {
  const cursor = parseCursor((args[from] as Buffer).toString('latin1'));
  if (cursor === null) return CommandError.invalidCursor;
  let match: string | null = null;
  let count = 10;
  let type: string | null = null;
  for (let at = from + 1; at < args.length; at += 2) {
    const word = (args[at] as Buffer).toString('latin1', 0, 8).toLowerCase();
    const value = args[at + 1]?.toString('latin1');
    if (value === undefined) return CommandError.syntax;
    if (word === 'match') match = value;
    else if (word === 'type') type = value.toLowerCase();
    else if (word === 'count') {
      const parsed = parseInteger(value);
      if (parsed === null) return CommandError.notInteger;
      if (parsed < 1) return CommandError.syntax;
      count = Math.min(Number(parsed), Number.MAX_SAFE_INTEGER);
    } else return CommandError.syntax;
  }
  return { cursor, match, count, type };
}

const uint64Count = 2n ** 64n;

/** As strtoul reads it: nothing is 0, and below 0 it goes on from the end. A place that no scan has come to is behind all. */
export function parseCursor(text: string): number | null {
  if (text === '') return 0;
  if (!/^[+-]?\d{1,20}$/.test(text)) return null;
  const value = BigInt(text.replace('+', ''));
  if (value >= uint64Count || value <= -uint64Count) return null;
  const place = Number(value < 0n ? value + uint64Count : value);
  return Math.min(place, Number.MAX_SAFE_INTEGER);
}
