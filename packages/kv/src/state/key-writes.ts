import { CommandError } from '../commands/errors.ts';
import { parseCopyOptions, parseExpireOptions } from '../commands/options.ts';
import { errorResult, integerResult, okResult } from '../resp/result.ts';
import { expireMsOf, type Handler, parsed } from './handler.ts';
import type { Store } from './store.ts';

export const del: Handler = (store, args) => {
  let deleted = 0;
  for (const key of args) {
    const entry = store.find(key);
    if (entry === undefined) continue;
    store.remove(entry);
    deleted += 1;
  }
  return integerResult(deleted);
};

/** EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT. */
export const expire =
  (command: string): Handler =>
  (store, args) =>
    parsed(parseExpireOptions(command, args, 1), (options) => {
      const place = store.locate(args[0] as Buffer);
      const { entry } = place;
      if (entry === undefined) return integerResult(0);
      const currentMs = entry.expireMs === 0 ? Infinity : entry.expireMs;
      const nextMs = expireMsOf(options.expiry, store, 0);
      const refused =
        (options.nx && entry.expireMs !== 0) ||
        (options.xx && entry.expireMs === 0) ||
        (options.gt && nextMs <= currentMs) ||
        (options.lt && nextMs >= currentMs);
      if (refused) return integerResult(0);
      store.write(place, entry.value, nextMs);
      return integerResult(1);
    });

export const persist: Handler = (store, args) => {
  const place = store.locate(args[0] as Buffer);
  const { entry } = place;
  if (entry === undefined || entry.expireMs === 0) return integerResult(0);
  store.write(place, entry.value, 0);
  return integerResult(1);
};

function move(store: Store, args: readonly Buffer[], replace: boolean): 'missing' | 'taken' | 'moved' {
  const source = store.find(args[0] as Buffer);
  if (source === undefined) return 'missing';
  const target = store.locate(args[1] as Buffer);
  // Not the same object: a store on disk makes one for each question.
  if (target.key === source.key) return replace ? 'moved' : 'taken';
  if (target.entry !== undefined && !replace) return 'taken';
  store.remove(source);
  store.write(target, source.value, source.expireMs);
  return 'moved';
}

export const rename: Handler = (store, args) =>
  move(store, args, true) === 'missing' ? errorResult(CommandError.noSuchKey) : okResult;

export const renamenx: Handler = (store, args) => {
  const outcome = move(store, args, false);
  return outcome === 'missing' ? errorResult(CommandError.noSuchKey) : integerResult(outcome === 'moved' ? 1 : 0);
};

export const copy: Handler = (store, args) =>
  parsed(parseCopyOptions(args, 2), ({ replace }) => {
    const source = store.find(args[0] as Buffer);
    const target = store.locate(args[1] as Buffer);
    if ((args[0] as Buffer).equals(args[1] as Buffer)) return errorResult(CommandError.sameObject);
    if (source === undefined || (target.entry !== undefined && !replace)) return integerResult(0);
    store.write(target, source.value, source.expireMs);
    return integerResult(1);
  });

export const flush: Handler = (store) => {
  store.clear();
  return okResult;
};
