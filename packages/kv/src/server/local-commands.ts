import { createHash, timingSafeEqual } from 'node:crypto';
import { commandReply } from '../commands/command-reply.ts';
import type { CommandSpec } from '../commands/command-table.ts';
import { CommandError } from '../commands/errors.ts';
import { parseInteger } from '../commands/integers.ts';
import { slotCount, slotOf } from '../commands/key-slot.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import { redisIdOf } from '../router/topology.ts';
import { clientReply } from './client-command.ts';
import { clientNameError, isClientName } from './client-name.ts';
import { clusterInfoText, clusterNodesText, clusterShards, clusterSlots } from './cluster-text.ts';
import { configReply } from './config-command.ts';
import { infoText, redisVersion } from './info-text.ts';
import { scriptReply } from './script-command.ts';
import type { ClientInfo } from './client-info.ts';
import type { NodeContext } from './node-context.ts';

/** A local command that has to ask a group after all, as another command. */
export interface DatabaseRequest {
  readonly database: Buffer[];
}

export function isDatabaseRequest(reply: Reply | DatabaseRequest): reply is DatabaseRequest {
  return typeof reply === 'object' && reply !== null && 'database' in reply;
}

const ok: Reply = { simple: 'OK' };
const notInteger = CommandError.notInteger;

const textAt = (args: readonly Buffer[], at: number): string => args[at]?.toString('utf8', 0, 1024) ?? '';
const wordAt = (args: readonly Buffer[], at: number): string => textAt(args, at).toLowerCase();

/** Commands this node answers by itself. Arity and subcommand were checked. */
export function localReply(
  spec: CommandSpec,
  args: Buffer[],
  client: ClientInfo,
  context: NodeContext,
): Reply | DatabaseRequest {
  switch (spec.name) {
    case 'ping':
      if (args.length > 2) return { error: "ERR wrong number of arguments for 'ping' command" };
      return args[1] ?? { simple: 'PONG' };
    case 'echo':
      return args[1] as Buffer;
    case 'hello':
      return hello(args, client, context);
    case 'auth':
      return auth(args, client, context);
    case 'select':
      return select(textAt(args, 1));
    case 'quit':
      client.closeAfterReplies();
      return ok;
    case 'reset':
      return reset(client, context);
    case 'readonly':
      client.readOnly = true;
      return ok;
    case 'readwrite':
      client.readOnly = false;
      return ok;
    case 'asking':
      client.asking = true;
      return ok;
    case 'time':
      return time();
    case 'wait':
      return wait(args, context);
    case 'info':
      return {
        verbatim: infoText(
          args.slice(1).map((section) => section.toString('latin1').toLowerCase()),
          context,
        ),
      };
    case 'command':
      return commandReply(args);
    case 'client':
      return clientReply(args, client, context);
    case 'config':
      return configReply(args, context);
    case 'function':
    case 'script':
      return scriptReply(args);
    case 'cluster':
      return cluster(args, context);
    default:
      return { error: `ERR ${spec.name} is not supported` };
  }
}

/** `HELLO [2|3 [AUTH user password] [SETNAME name]]`. Nothing changes when any part is refused. */
function hello(args: Buffer[], client: ClientInfo, context: NodeContext): Reply {
  let protocol: Protocol = client.protocol;
  if (args.length > 1) {
    const asked = parseInteger(textAt(args, 1));
    if (asked === null) return { error: 'ERR Protocol version is not an integer or out of range' };
    if (asked !== 2 && asked !== 3) return { error: 'NOPROTO unsupported protocol version' };
    protocol = asked;
  }
  let authenticated = client.authenticated;
  let { name } = client;
  for (let at = 2; at < args.length; ) {
    const option = wordAt(args, at);
    if (option === 'auth' && at + 2 < args.length) {
      if (!passwordMatches(args[at + 1] as Buffer, args[at + 2] as Buffer, context))
        return wrongPassword(client, context);
      authenticated = true;
      at += 3;
    } else if (option === 'setname' && at + 1 < args.length) {
      name = textAt(args, at + 1);
      at += 2;
    } else return { error: `ERR Syntax error in HELLO option '${textAt(args, at).slice(0, 64)}'` };
  }
  if (!authenticated) {
    return {
      error:
        'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    };
  }
  if (!isClientName(name)) return { error: clientNameError };
  authenticate(client);
  client.protocol = protocol;
  client.name = name;
  return {
    map: [
      ['server', 'redis'],
      ['version', redisVersion],
      ['proto', protocol],
      ['id', client.clientId],
      ['mode', 'cluster'],
      ['role', 'master'],
      ['modules', []],
    ],
  };
}

function auth(args: Buffer[], client: ClientInfo, context: NodeContext): Reply {
  if (args.length > 3) return { error: 'ERR syntax error' };
  if (context.password === null && args.length === 2) {
    return {
      error:
        'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
    };
  }
  const user = args.length === 3 ? (args[1] as Buffer) : Buffer.from('default');
  if (!passwordMatches(user, args.at(-1) as Buffer, context)) return wrongPassword(client, context);
  authenticate(client);
  return ok;
}

const digestOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/**
 * Takes the same time whatever was guessed: digests of equal length are compared, to their end. Where none is set, any
 * password of the one user is right, as for the user of a fresh Redis.
 */
function passwordMatches(user: Buffer, password: Buffer, context: NodeContext): boolean {
  const equal =
    context.password === null || timingSafeEqual(digestOf(password), digestOf(Buffer.from(context.password)));
  return equal && user.toString('latin1') === 'default';
}

const wrongPasswordsMax = 10;
const wrongPasswords = new WeakMap<ClientInfo, number>();

/** Guessing goes on a new connection after a few tries: each costs a handshake. */
function wrongPassword(client: ClientInfo, context: NodeContext): Reply {
  const tries = (wrongPasswords.get(client) ?? 0) + 1;
  wrongPasswords.set(client, tries);
  if (tries >= wrongPasswordsMax && context.password !== null) client.closeAfterReplies();
  return { error: 'WRONGPASS invalid username-password pair or user is disabled.' };
}

function authenticate(client: ClientInfo): void {
  client.authenticated = true;
  client.parser.authenticated = true;
}

function select(index: string): Reply {
  const database = parseInteger(index);
  if (database === null) return { error: notInteger };
  if (database === 0) return ok;
  return { error: 'ERR SELECT is not allowed in cluster mode' };
}

function reset(client: ClientInfo, context: NodeContext): Reply {
  client.protocol = 2;
  client.name = '';
  client.readOnly = false;
  client.asking = false;
  client.replies = 'on';
  client.authenticated = context.password === null;
  client.parser.authenticated = client.authenticated;
  return { simple: 'RESET' };
}

function time(): Reply {
  const nowMs = Date.now();
  return [String(Math.floor(nowMs / 1000)), String((nowMs % 1000) * 1000)];
}

/**
 * How many replicas hold what this connection wrote. Every write it was answered is on a majority of the voters, so
 * that many, without the leader, can be promised at once; more are not waited for.
 */
function wait(args: readonly Buffer[], context: NodeContext): Reply {
  const [replicas, timeoutMs] = [parseInteger(textAt(args, 1)), parseInteger(textAt(args, 2))];
  if (replicas === null) return { error: notInteger };
  if (timeoutMs === null) return { error: 'ERR timeout is not an integer or out of range' };
  if (timeoutMs < 0) return { error: 'ERR timeout is negative' };
  const voters = context.router?.host.groupStatus(1).voters.length ?? 1;
  return Math.floor(voters / 2);
}

function cluster(args: readonly Buffer[], context: NodeContext): Reply | DatabaseRequest {
  const view = context.view();
  const map = context.router?.map;
  switch (wordAt(args, 1)) {
    case 'keyslot':
      return slotOf(args[2] as Buffer);
    case 'myid':
    case 'myshardid':
      return redisIdOf(context.id);
    case 'countkeysinslot':
      return slotCommand('nori.countkeysinslot', args);
    case 'getkeysinslot':
      return slotCommand('nori.getkeysinslot', args);
    case 'help':
      return [
        'CLUSTER <subcommand> [<arg> ...]. Subcommands are:',
        'COUNTKEYSINSLOT <slot>, GETKEYSINSLOT <slot> <count>, INFO, KEYSLOT <key>, MYID, MYSHARDID, NODES, SHARDS, SLOTS',
      ];
    default:
  }
  if (view === null || map === undefined) return { error: 'LOADING the node is reading its log; try again shortly' };
  switch (wordAt(args, 1)) {
    case 'info':
      return { verbatim: clusterInfoText(view, map) };
    case 'nodes':
      return { verbatim: clusterNodesText(view, map) };
    case 'shards':
      return clusterShards(view);
    case 'slots':
      return clusterSlots(view);
    default:
      return { error: 'ERR unknown CLUSTER subcommand' };
  }
}

const slotOrCountError = 'ERR Invalid slot or number of keys';

function slotCommand(name: string, args: readonly Buffer[]): Reply | DatabaseRequest {
  const numbers = args.slice(2).map((number) => parseInteger(number.toString('latin1')));
  if (numbers.includes(null)) return { error: notInteger };
  const [slot, count] = numbers as (number | bigint)[];
  if (typeof slot !== 'number' || slot < 0 || slot >= slotCount)
    return { error: count === undefined ? 'ERR Invalid slot' : slotOrCountError };
  if (count !== undefined && count < 0) return { error: slotOrCountError };
  return { database: [Buffer.from(name), ...args.slice(2)] };
}
