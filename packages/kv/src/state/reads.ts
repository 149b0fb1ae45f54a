import { CommandError } from '../commands/errors.ts';
import { parseInteger } from '../commands/integers.ts';
import { parseScanOptions } from '../commands/options.ts';
import {
  arrayResult,
  bulkResult,
  errorResult,
  integerResult,
  nullResult,
  scanResult,
  simpleResult,
} from '../resp/result.ts';
import { compileGlob } from '../commands/glob.ts';
import { type Handler, parsed } from './handler.ts';
import type { Store } from './store.ts';

/** Around a value in an array. */
const bulkOverheadBytes = 16;

export const get: Handler = (store, args) => {
  const entry = store.find(args[0] as Buffer);
  return entry === undefined ? nullResult : bulkResult(entry.value);
};

export const mget: Handler = (store, args) => arrayResult(args.map((key) => store.find(key)?.value ?? null));

/** How many bytes MGET would answer, roughly; it stops counting beyond `bytesMax`. A key may be named many times. */
export function mgetBytes(store: Store, keys: readonly Buffer[], bytesMax: number): number {
  let bytes = 0;
  for (const key of keys) {
    bytes += bulkOverheadBytes + (store.find(key)?.value.length ?? 0);
    if (bytes > bytesMax) break;
  }
  return bytes;
}

export const exists: Handler = (store, args) => {
  let found = 0;
  for (const key of args) if (store.find(key) !== undefined) found += 1;
  return integerResult(found);
};

export const strlen: Handler = (store, args) => integerResult(store.find(args[0] as Buffer)?.value.length ?? 0);

export const getrange: Handler = (store, args) => {
  const first = parseInteger((args[1] as Buffer).toString('latin1'));
  const last = parseInteger((args[2] as Buffer).toString('latin1'));
  if (first === null || last === null) return errorResult(CommandError.notInteger);
  const value = store.find(args[0] as Buffer)?.value ?? '';
  if (first < 0 && last < 0 && first > last) return bulkResult('');
  const from = Math.max(0, first < 0 ? value.length + Number(first) : Number(first));
  const to = Math.min(value.length - 1, Math.max(0, last < 0 ? value.length + Number(last) : Number(last)));
  if (from > to || value.length === 0) return bulkResult('');
  return bulkResult(typeof value === 'string' ? value.slice(from, to + 1) : value.subarray(from, to + 1));
};

const stringType = simpleResult('string');
const noType = simpleResult('none');
export const type: Handler = (store, args) => (store.find(args[0] as Buffer) === undefined ? noType : stringType);

/** TTL, PTTL, EXPIRETIME and PEXPIRETIME: -2 for no key, -1 for no expiry. */
const time =
  (of: (expireMs: number, timeMs: number) => number): Handler =>
  (store, args) => {
    const entry = store.find(args[0] as Buffer);
    if (entry === undefined) return integerResult(-2);
    return integerResult(entry.expireMs === 0 ? -1 : of(entry.expireMs, store.timeMs));
  };

const seconds = (ms: number): number => Math.floor((ms + 500) / 1000);
export const ttl: Handler = time((expireMs, timeMs) => seconds(expireMs - timeMs));
export const pttl: Handler = time((expireMs, timeMs) => expireMs - timeMs);
export const expiretime: Handler = time((expireMs) => seconds(expireMs));
export const pexpiretime: Handler = time((expireMs) => expireMs);

export const scan: Handler = (store, args) =>
  parsed(parseScanOptions(args, 0), (options) => {
    const page = store.scan(options.cursor, options.count);
    if (options.type !== null && options.type !== 'string') return scanResult(String(page.cursor), []);
    const { match } = options;
    const keys = match === null || match === '*' ? page.keys : page.keys.filter(compileGlob(match));
    return scanResult(String(page.cursor), keys);
  });

export const keys: Handler = (store, args) => {
  const pattern = (args[0] as Buffer).toString('latin1');
  const matches = pattern === '*' ? (): boolean => true : compileGlob(pattern);
  const found: string[] = [];
  for (const key of store.keys()) if (matches(key)) found.push(key);
  return arrayResult(found);
};

export const dbsize: Handler = (store) => integerResult(store.count);

/** The chance is the caller's, since this answers queries and never changes what is stored. */
export const randomkey =
  (random: () => number): Handler =>
  (store) => {
    const key = store.randomKey(random);
    return key === undefined ? nullResult : bulkResult(key);
  };

export const digest: Handler = (store) => bulkResult(store.digest);

const numberAt = (args: readonly Buffer[], at: number): number => Number((args[at] as Buffer).toString('latin1'));

export const countKeysInSlot: Handler = (store, args) => integerResult(store.countInSlot(numberAt(args, 0)));

export const getKeysInSlot: Handler = (store, args) =>
  arrayResult(store.keysInSlot(numberAt(args, 0), numberAt(args, 1)));
