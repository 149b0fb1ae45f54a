import type { Reply } from '../resp/reply.ts';

const flushErrors: Readonly<Record<string, string>> = {
  function: 'ERR FUNCTION FLUSH only supports SYNC|ASYNC option',
  script: 'ERR SCRIPT FLUSH only support SYNC|ASYNC option',
};

/**
 * FUNCTION and SCRIPT where there are none: what tools ask to be sure that they begin with nothing. Loading and running
 * is refused.
 */
export function scriptReply(args: readonly Buffer[]): Reply {
  const word = (at: number): string => args[at]?.toString('latin1', 0, 16).toLowerCase() ?? '';
  switch (word(1)) {
    case 'flush': {
      const mode = word(2);
      if (args.length === 2 || (args.length === 3 && (mode === 'sync' || mode === 'async'))) return { simple: 'OK' };
      return { error: flushErrors[word(0)] ?? '' };
    }
    case 'exists':
      return args.slice(2).map(() => 0);
    case 'list':
      return [];
    default:
      return { error: 'ERR scripts and functions are not supported' };
  }
}
