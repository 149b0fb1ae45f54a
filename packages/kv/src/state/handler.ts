import type { Expiry } from '../commands/options.ts';
import { errorResult, type Result } from '../resp/result.ts';
import type { Store } from './store.ts';

/** The end of a switch that names every kind: a new kind does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

/** Carries out one command. The arguments come without the command's name and have been validated before. */
export type Handler = (store: Store, args: readonly Buffer[]) => Result;

/**
 * What a parser of options gave. Commands are validated before they are proposed, so an error here comes from an entry
 * that some other program wrote; it is answered, the same on every replica.
 */
export function parsed<T>(options: T | string, use: (options: T) => Result): Result {
  return typeof options === 'string' ? errorResult(options) : use(options);
}

/** The time at which a value expires, by the entry's log time; 0: never. */
export function expireMsOf(expiry: Expiry, store: Store, currentMs: number): number {
  switch (expiry.kind) {
    case 'none':
    case 'persist':
      return 0;
    case 'keep':
      return currentMs;
    case 'at':
      // A time before 1970 is as past as any, but 0 would mean "never".
      return Math.max(1, expiry.ms);
    case 'after':
      return Math.max(1, Math.min(Number.MAX_SAFE_INTEGER, store.timeMs + expiry.ms));
    default:
      return unreachable(expiry.kind);
  }
}
