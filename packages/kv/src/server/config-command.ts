import { compileGlob } from '../commands/glob.ts';
import type { Reply } from '../resp/reply.ts';
import { type NodeContext, serverStats } from './node-context.ts';

const patternLengthMax = 256;

/** CONFIG for the names that clients and tools ask for. */
export function configReply(args: readonly Buffer[], context: NodeContext): Reply {
  switch (args[1]?.toString('latin1').toLowerCase()) {
    case 'get': {
      const patterns = args.slice(2).map((pattern) => pattern.toString('latin1', 0, patternLengthMax));
      return { map: chosen(patterns, context) };
    }
    case 'set':
      return setReply(
        args.slice(2).map((word) => word.toString('latin1', 0, patternLengthMax)),
        context,
      );
    case 'rewrite':
      return { error: 'ERR The server is running without a config file' };
    case 'resetstat':
      Object.assign(context.stats, serverStats());
      return { simple: 'OK' };
    default:
      return ['CONFIG <subcommand> [<arg> ...]. Subcommands are:', 'GET <pattern> [<pattern> ...], RESETSTAT'];
  }
}

/** A name is given back in the letters it was asked by, as Redis does; a pattern gives the names it fits. */
function chosen(patterns: readonly string[], context: NodeContext): [string, string][] {
  const found = new Map<string, string>();
  for (const pattern of patterns) {
    const lower = pattern.toLowerCase();
    const fits = compileGlob(lower);
    for (const [name, value] of values(context)) {
      if (!fits(name) || [...found.keys()].some((other) => other.toLowerCase() === name)) continue;
      found.set(name === lower ? pattern : name, value);
    }
  }
  return [...found];
}

/** What is so already may be set: tools do it to be sure. Anything else is a matter of flags and a restart. */
function setReply(words: readonly string[], context: NodeContext): Reply {
  if (words.length % 2 === 1) return { error: 'ERR syntax error' };
  const current = new Map(values(context));
  for (let at = 0; at < words.length; at += 2) {
    const name = (words[at] as string).toLowerCase();
    const value = current.get(name);
    if (value === undefined)
      return { error: `ERR Unknown option or number of arguments for CONFIG SET - '${words[at]}'` };
    if (value !== words[at + 1]) {
      return {
        error: `ERR CONFIG SET failed (possibly related to argument '${words[at]}') - can't set immutable config: change the flags of nori-kv serve and restart the node`,
      };
    }
  }
  return { simple: 'OK' };
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
