import type { Reply } from '../resp/reply.ts';
import type { NodeContext } from './node-context.ts';

const patternLengthMax = 256;

/** CONFIG GET for the names that clients and tools ask for. CONFIG SET is refused: a node is configured when it starts. */
export function configReply(args: readonly Buffer[], context: NodeContext): Reply {
  switch (args[1]?.toString('latin1').toLowerCase()) {
    case 'get': {
      const patterns = args
        .slice(2)
        .map((pattern) => globOf(pattern.toString('latin1', 0, patternLengthMax).toLowerCase()));
      const found = values(context).filter(([name]) => patterns.some((pattern) => pattern.test(name)));
      return { map: found };
    }
    case 'resetstat':
      return { simple: 'OK' };
    case 'help':
      return ['CONFIG <subcommand> [<arg> ...]. Subcommands are:', 'GET <pattern> [<pattern> ...], RESETSTAT'];
    default:
      return { error: 'ERR CONFIG SET is not supported: change the flags of nori-kv serve and restart the node' };
  }
}

/** What is true here, in Redis's words: writes are on disk before they are acknowledged, and nothing is evicted. */
function values(context: NodeContext): readonly (readonly [string, string])[] {
  return [
    ['appendfsync', 'always'],
    ['appendonly', 'yes'],
    ['bind', context.announced.resp.slice(0, context.announced.resp.lastIndexOf(':'))],
    ['cluster-enabled', 'yes'],
    ['cluster-require-full-coverage', 'no'],
    ['databases', '1'],
    ['maxclients', String(context.clientsMax)],
    ['maxmemory', '0'],
    ['maxmemory-policy', 'noeviction'],
    ['port', context.announced.resp.slice(context.announced.resp.lastIndexOf(':') + 1)],
    ['proto-max-bulk-len', String(context.limits.valueBytesMax)],
    ['save', ''],
    ['timeout', String(Math.floor(context.clientIdleMs / 1000))],
  ];
}

/** `*` and `?` only; collapsing runs of stars keeps a pattern of many from taking forever. */
function globOf(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/\*+/g, '*')
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '[^]*?')
    .replaceAll('?', '[^]');
  return new RegExp(`^${source}$`);
}
