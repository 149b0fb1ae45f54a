import { CommandError, invalidExpire } from './errors.ts';
import { parseInteger } from './integers.ts';

/**
 * Times are numbers of milliseconds, so they end where numbers stop being exact (in the year 287396). A relative time
 * leaves room for the log time that is added when it is applied.
 */
export const expireMsMax: number = Number.MAX_SAFE_INTEGER - 2 ** 45;

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

const units: ReadonlyMap<string, { readonly relative: boolean; readonly scale: number }> = new Map([
  ['ex', { relative: true, scale: 1000 }],
  ['px', { relative: true, scale: 1 }],
  ['exat', { relative: false, scale: 1000 }],
  ['pxat', { relative: false, scale: 1 }],
]);

/** A time that must be positive, as SET, SETEX and GETEX want it; a string is an error. */
export function parseExpiry(
  command: string,
  unit: { readonly relative: boolean; readonly scale: number },
  argument: Buffer,
): Expiry | string {
  const value = parseInteger(argument.toString('latin1'));
  if (value === null) return CommandError.notInteger;
  const ms = Number(value) * unit.scale;
  if (ms <= 0 || ms > expireMsMax) return invalidExpire(command);
  return { kind: unit.relative ? 'after' : 'at', ms };
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

export const expireUnits: ReadonlyMap<string, { readonly relative: boolean; readonly scale: number }> = new Map([
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
  const value = parseInteger((args[from] as Buffer).toString('latin1'));
  if (value === null) return CommandError.notInteger;
  const unit = expireUnits.get(command) as { readonly relative: boolean; readonly scale: number };
  const ms = Number(value) * unit.scale;
  if (ms > expireMsMax || ms < -(2 ** 63)) return invalidExpire(command);
  return { ...given, expiry: { kind: unit.relative ? 'after' : 'at', ms: Math.max(ms, -expireMsMax) } };
}

export interface ScanOptions {
  readonly cursor: number;
  readonly match: string | null;
  readonly count: number;
  readonly type: string | null;
}

/** The cursor at position `from`, then the options of SCAN; a string is an error. */
export function parseScanOptions(args: readonly Buffer[], from: number): ScanOptions | string {
  const cursor = (args[from] as Buffer).toString('latin1');
  if (!/^\d{1,20}$/.test(cursor)) return CommandError.invalidCursor;
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
      count = Number(parsed);
    } else return CommandError.syntax;
  }
  return { cursor: Number(cursor), match, count, type };
}
