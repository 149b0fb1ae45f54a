import type { Reply } from '../resp/reply.ts';
import { type ClientInfo, clientLine } from './client-info.ts';
import { clientNameError, isClientName } from './client-name.ts';
import type { NodeContext } from './node-context.ts';

const ok: Reply = { simple: 'OK' };

/** CLIENT and its subcommands. */
export function clientReply(args: readonly Buffer[], client: ClientInfo, context: NodeContext): Reply {
  const textAt = (at: number): string => args[at]?.toString('utf8', 0, 1024) ?? '';
  switch (textAt(1).toLowerCase()) {
    case 'setinfo':
      return setInfo(client, textAt(2).toLowerCase(), textAt(3));
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
      return { verbatim: [...context.clients()].map((one) => `${clientLine(one, Date.now())}\n`).join('') };
    case 'no-evict':
    case 'no-touch':
      return /^(on|off)$/i.test(textAt(2)) ? ok : { error: 'ERR syntax error' };
    case 'help':
      return [
        'CLIENT <subcommand> [<arg> ...]. Subcommands are:',
        'GETNAME, ID, INFO, LIST, NO-EVICT <on|off>, NO-TOUCH <on|off>, SETINFO <option> <value>, SETNAME <name>',
      ];
    case 'maint_notifications':
      return { error: 'ERR maintenance notifications are not supported' };
    default:
      return { error: 'ERR unknown CLIENT subcommand' };
  }
}

function setInfo(client: ClientInfo, option: string, value: string): Reply {
  if (!isClientName(value)) return { error: `ERR ${option} cannot contain spaces, newlines or special characters.` };
  if (option === 'lib-name') client.libraryName = value;
  else if (option === 'lib-ver') client.libraryVersion = value;
  else return { error: `ERR Unrecognized option '${option.slice(0, 64)}'` };
  return ok;
}
