import { parseInteger } from '../commands/integers.ts';
import type { Reply } from '../resp/reply.ts';
import { type ClientInfo, clientLine } from './client-info.ts';
import { killClients } from './client-kill.ts';
import { clientNameError, isClientName } from './client-name.ts';
import { isClientType, unknownClientType } from './client-type.ts';
import type { NodeContext } from './node-context.ts';

const ok: Reply = { simple: 'OK' };
const syntaxError: Reply = { error: 'ERR syntax error' };

/** CLIENT and its subcommands. */
export function clientReply(args: readonly Buffer[], client: ClientInfo, context: NodeContext): Reply {
  const textAt = (at: number): string => args[at]?.toString('utf8', 0, 1024) ?? '';
  const wordAt = (at: number): string => textAt(at).toLowerCase();
  switch (wordAt(1)) {
    case 'setinfo':
      return setInfo(client, wordAt(2), textAt(3));
    case 'setname':
      if (!isClientName(textAt(2))) return { error: clientNameError };
      client.name = textAt(2);
      return ok;
    case 'getname':
      return client.name === '' ? null : client.name;
    case 'id':
      return client.clientId;
    case 'info':
      return { verbatim: `${clientLine(client, Date.now())}\n` };
    case 'list':
      return listClients(args.slice(2).map(String), context);
    case 'kill':
      return killClients(args.slice(2).map(String), client, context);
    case 'no-evict':
    case 'no-touch':
      return /^(on|off)$/.test(wordAt(2)) ? ok : syntaxError;
    case 'reply':
      return setReplies(client, wordAt(2));
    // Nobody blocks here, and nobody is paused.
    case 'unblock':
      if (args.length > 3 && !/^(timeout|error)$/.test(wordAt(3)))
        return { error: 'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR' };
      return parseInteger(textAt(2)) === null ? { error: 'ERR value is not an integer or out of range' } : 0;
    case 'unpause':
      return ok;
    case 'help':
      return [
        'CLIENT <subcommand> [<arg> ...]. Subcommands are:',
        'GETNAME, GETREDIR, ID, INFO, KILL, LIST, NO-EVICT <on|off>, NO-TOUCH <on|off>, REPLY <on|off|skip>, SETINFO <option> <value>, SETNAME <name>, TRACKINGINFO, UNBLOCK, UNPAUSE',
      ];
    case 'maint_notifications':
      return { error: 'ERR maintenance notifications are not supported' };
    default:
      return trackingReply(wordAt(1), args.length === 3 ? wordAt(2) : '');
  }
}

/** Keys are not tracked for clients that cache: what there is to say about it is that it is off. */
function trackingReply(subcommand: string, mode: string): Reply {
  switch (subcommand) {
    case 'tracking':
      return mode === 'off' ? ok : { error: 'ERR CLIENT TRACKING is not supported' };
    case 'caching':
      return {
        error:
          'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
      };
    case 'getredir':
      return -1;
    case 'trackinginfo':
      return {
        map: [
          ['flags', { set: ['off'] }],
          ['redirect', -1],
          ['prefixes', []],
        ],
      };
    default:
      return { error: 'ERR unknown CLIENT subcommand' };
  }
}

/** `LIST`, `LIST TYPE type`, `LIST ID id ...`. */
function listClients(words: readonly string[], context: NodeContext): Reply {
  const option = words[0]?.toLowerCase();
  let chosen = [...context.clients()];
  if (option === 'type' && words.length === 2) {
    const type = (words[1] as string).toLowerCase();
    if (!isClientType(type)) return { error: unknownClientType(words[1] as string) };
    if (type !== 'normal') chosen = [];
  } else if (option === 'id' && words.length > 1) {
    const ids = words.slice(1).map(parseInteger);
    if (ids.includes(null)) return { error: 'ERR Invalid client ID' };
    chosen = chosen.filter(({ clientId }) => ids.includes(clientId));
  } else if (option !== undefined) return syntaxError;
  return { verbatim: chosen.map((one) => `${clientLine(one, Date.now())}\n`).join('') };
}

function setReplies(client: ClientInfo, mode: string): Reply {
  if (mode === 'on' || mode === 'off') client.replies = mode;
  else if (mode !== 'skip') return syntaxError;
  else if (client.replies !== 'off') client.replies = 'skip';
  return ok;
}

function setInfo(client: ClientInfo, option: string, value: string): Reply {
  if (!isClientName(value)) return { error: `ERR ${option} cannot contain spaces, newlines or special characters.` };
  if (option === 'lib-name') client.libraryName = value;
  else if (option === 'lib-ver') client.libraryVersion = value;
  else return { error: `ERR Unrecognized option '${option.slice(0, 64)}'` };
  return ok;
}
