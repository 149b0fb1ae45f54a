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
import { compileGlob } from './glob.ts';
import { type Handler, parsed } from './handler.ts';
import { scan as scanKeys } from './scan.ts';

export const get: Handler = (store, args) => {
  const entry = store.find(args[0] as Buffer);
  return entry === undefined ? nullResult : bulkResult(entry.value);
};

export const mget: Handler = (store, args) => arrayResult(args.map((key) => store.find(key)?.value ?? null));

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
    const page = scanKeys(store.slots, options.cursor, options.count);
    if (options.type !== null && options.type !== 'string') return scanResult(String(page.cursor), []);
    const { match } = options;
    const keys = match === null || match === '*' ? page.keys : page.keys.filter(compileGlob(match));
    return scanResult(String(page.cursor), keys);
  });

export const keys: Handler = (store, args) => {
  const pattern = (args[0] as Buffer).toString('latin1');
  const matches = pattern === '*' ? (): boolean => true : compileGlob(pattern);
  const found: string[] = [];
  for (const slot of store.slots.values()) for (const key of slot.keys()) if (matches(key)) found.push(key);
  return arrayResult(found);
};

export const dbsize: Handler = (store) => integerResult(store.count);

/** Any key, by a chance that the caller brings, since this answers queries and never changes what is stored. */
export const randomkey =
  (random: () => number): Handler =>
  (store) => {
    let at = Math.floor(random() * store.count);
    for (const slot of store.slots.values()) {
      if (at >= slot.size) {
        at -= slot.size;
        continue;
      }
      for (const key of slot.keys()) {
        if (at === 0) return bulkResult(key);
        at -= 1;
      }
    }
    return nullResult;
  };

export const digest: Handler = (store) => bulkResult(store.digest);

export const countKeysInSlot: Handler = (store, args) =>
  integerResult(store.slots.get(Number((args[0] as Buffer).toString('latin1')))?.size ?? 0);

export const getKeysInSlot: Handler = (store, args) => {
  const slot = store.slots.get(Number((args[0] as Buffer).toString('latin1')));
  const countMax = Number((args[1] as Buffer).toString('latin1'));
  const found: string[] = [];
  for (const key of slot?.keys() ?? []) {
    if (found.length >= countMax) break;
    found.push(key);
  }
  return arrayResult(found);
};
