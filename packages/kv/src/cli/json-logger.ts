import { pino } from 'pino';
import type { Logger } from '../server/logger.ts';

/** JSON lines on standard output, written at once: the last line before a crash is the one that matters. */
export function jsonLogger(options: { readonly level: string; readonly name: string }): Logger {
  return pino(
    { level: options.level, base: { node: options.name }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 1, sync: true }),
  );
}
