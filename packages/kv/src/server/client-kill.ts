import { parseInteger } from '../commands/integers.ts';
import type { Reply } from '../resp/reply.ts';
import type { ClientInfo } from './client-info.ts';
import { isClientType, unknownClientType } from './client-type.ts';
import type { NodeContext } from './node-context.ts';

type Filter = (client: ClientInfo) => boolean;

/** `CLIENT KILL address`, which answers OK, or `CLIENT KILL option value ...`, which answers how many. */
export function killClients(words: readonly string[], own: ClientInfo, context: NodeContext): Reply {
  const all = [...context.clients()];
  if (words.length === 1) {
    const found = all.filter(({ remoteAddress }) => remoteAddress === words[0]);
    for (const client of found) kill(client, own);
    return found.length > 0 ? { simple: 'OK' } : { error: 'ERR No such client' };
  }
  const filters: Filter[] = [];
  let skipOwn = true;
  for (let at = 0; at < words.length; at += 2) {
    const [option, value] = [(words[at] as string).toLowerCase(), words[at + 1]];
    if (value === undefined) return { error: 'ERR syntax error' };
    if (option === 'skipme' && /^(yes|no)$/i.test(value)) skipOwn = value.toLowerCase() === 'yes';
    else {
      const filter = filterOf(option, value);
      if (typeof filter === 'string') return { error: filter };
      filters.push(filter);
    }
  }
  const found = all.filter((client) => !(skipOwn && client === own) && filters.every((filter) => filter(client)));
  for (const client of found) kill(client, own);
  return found.length;
}

/** A string is an error. */
function filterOf(option: string, value: string): Filter | string {
  switch (option) {
    case 'id': {
      const id = parseInteger(value);
      if (id === null || id < 1) return 'ERR client-id should be greater than 0';
      return ({ clientId }) => clientId === id;
    }
    case 'addr':
      return ({ remoteAddress }) => remoteAddress === value;
    case 'laddr':
      return ({ localAddress }) => localAddress === value;
    case 'user':
      return value === 'default' ? () => true : `ERR No such user '${value.slice(0, 64)}'`;
    case 'type': {
      const type = value.toLowerCase();
      return isClientType(type) ? () => type === 'normal' : unknownClientType(value);
    }
    default:
      return 'ERR syntax error';
  }
}

/** Who kills itself still gets the answer. */
function kill(client: ClientInfo, own: ClientInfo): void {
  if (client === own) client.closeAfterReplies();
  else client.destroy();
}
