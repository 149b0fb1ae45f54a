/**
 * Where a command is carried out. write: proposed to the log of its group. read: a query to a group. local: answered
 * by the node that the client talks to.
 */
export type CommandKind = 'write' | 'read' | 'local';

/**
 * How a command of several keys, or of none, is spread over groups, and how their answers become one. one: a single
 * group. sum, ok, values: each group gets its own keys (sum: add the integers; ok: all must succeed; values: put the
 * array elements back into the order of the keys). each-*: every group gets the command (sum and ok as before;
 * concat: join the arrays; any: one group that has an answer; scan: group after group, see state/scan.ts; digest: one
 * answer per group). none: no group.
 */
export type Spread =
  | 'one'
  | 'sum'
  | 'ok'
  | 'values'
  | 'each-sum'
  | 'each-ok'
  | 'each-concat'
  | 'each-any'
  | 'each-scan'
  | 'each-digest'
  | 'none';

export interface CommandSpec {
  readonly name: string;
  /** The command's number in the log and in queries, or 0 when it goes to no group. Never changed, never used again. */
  readonly opcode: number;
  /** Arguments with the name; negative: at least that many. */
  readonly arity: number;
  readonly kind: CommandKind;
  readonly flags: readonly string[];
  readonly firstKey: number;
  /** Negative counts from the end. */
  readonly lastKey: number;
  readonly keyStep: number;
  readonly spread: Spread;
  readonly group: string;
  readonly summary: string;
  /** Arity by name, for commands whose second word says what they do. */
  readonly subcommands: ReadonlyMap<string, number> | null;
}

const specs: CommandSpec[] = [];
type Keys = readonly [firstKey: number, lastKey: number, keyStep: number];
const oneKey: Keys = [1, 1, 1];
const allKeys: Keys = [1, -1, 1];
const twoKeys: Keys = [1, 2, 1];
const pairs: Keys = [1, -1, 2];
const noKeys: Keys = [0, 0, 0];

interface Extra {
  readonly keys?: Keys;
  readonly spread?: Spread;
  readonly group?: string;
  readonly flags?: readonly string[];
}

function stored(kind: 'write' | 'read', row: readonly [number, string, number, string], extra: Extra = {}): void {
  const [opcode, name, arity, summary] = row;
  const [firstKey, lastKey, keyStep] = extra.keys ?? oneKey;
  specs.push({
    name,
    opcode,
    arity,
    kind,
    firstKey,
    lastKey,
    keyStep,
    summary,
    subcommands: null,
    flags: [kind === 'write' ? 'write' : 'readonly', ...(extra.flags ?? [])],
    spread: extra.spread ?? 'one',
    group: extra.group ?? 'string',
  });
}
const write = (row: readonly [number, string, number, string], extra?: Extra): void => stored('write', row, extra);
const read = (row: readonly [number, string, number, string], extra?: Extra): void => stored('read', row, extra);

function local(
  name: string,
  arity: number,
  summary: string,
  extra: Extra = {},
  subcommands?: [string, number][],
): void {
  const [firstKey, lastKey, keyStep] = noKeys;
  specs.push({
    name,
    opcode: 0,
    arity,
    kind: 'local',
    firstKey,
    lastKey,
    keyStep,
    spread: 'none',
    summary,
    flags: extra.flags ?? ['loading', 'stale', 'fast'],
    group: extra.group ?? 'connection',
    subcommands: subcommands === undefined ? null : new Map(subcommands),
  });
}

const generic: Extra = { group: 'generic' };
const server: Extra = { group: 'server', keys: noKeys };
const cluster: Extra = { group: 'cluster' };
const grows: Extra = { flags: ['denyoom'] };

write([1, 'set', -3, 'Sets a value, with conditions and an expiry time if wanted.'], grows);
write([2, 'setnx', 3, 'Sets a value only when the key does not exist.'], grows);
write([3, 'setex', 4, 'Sets a value and its lifetime in seconds.'], grows);
write([4, 'psetex', 4, 'Sets a value and its lifetime in milliseconds.'], grows);
write([5, 'getset', 3, 'Sets a value and returns the previous one.'], grows);
write([6, 'getdel', 2, 'Returns a value and deletes the key.'], { flags: ['fast'] });
write([7, 'getex', -2, 'Returns a value and changes its expiry time.'], { flags: ['fast'] });
write([8, 'del', -2, 'Deletes keys.'], { ...generic, keys: allKeys, spread: 'sum' });
write([9, 'unlink', -2, 'Deletes keys.'], { ...generic, keys: allKeys, spread: 'sum', flags: ['fast'] });
write([10, 'mset', -3, 'Sets several values.'], { ...grows, keys: pairs, spread: 'ok' });
write([11, 'msetnx', -3, 'Sets several values, only when none of the keys exists.'], { ...grows, keys: pairs });
write([12, 'incr', 2, 'Adds one to an integer.'], { flags: ['denyoom', 'fast'] });
write([13, 'incrby', 3, 'Adds to an integer.'], { flags: ['denyoom', 'fast'] });
write([14, 'incrbyfloat', 3, 'Adds to a decimal number.'], { flags: ['denyoom', 'fast'] });
write([15, 'decr', 2, 'Subtracts one from an integer.'], { flags: ['denyoom', 'fast'] });
write([16, 'decrby', 3, 'Subtracts from an integer.'], { flags: ['denyoom', 'fast'] });
write([17, 'append', 3, 'Appends to a value.'], { flags: ['denyoom', 'fast'] });
write([18, 'setrange', 4, 'Overwrites part of a value.'], grows);
write([19, 'expire', -3, 'Sets the lifetime of a key in seconds.'], generic);
write([20, 'pexpire', -3, 'Sets the lifetime of a key in milliseconds.'], generic);
write([21, 'expireat', -3, 'Sets the expiry time of a key in seconds since 1970.'], generic);
write([22, 'pexpireat', -3, 'Sets the expiry time of a key in milliseconds since 1970.'], generic);
write([23, 'persist', 2, 'Removes the expiry time of a key.'], generic);
write([24, 'rename', 3, 'Renames a key within its slot.'], { ...generic, keys: twoKeys });
write([25, 'renamenx', 3, 'Renames a key within its slot, unless the new name exists.'], { ...generic, keys: twoKeys });
write([28, 'copy', -3, 'Copies a key within its slot.'], { ...generic, keys: twoKeys, flags: ['denyoom'] });
write([26, 'flushall', -1, 'Deletes all keys.'], { ...server, spread: 'each-ok' });
write([27, 'flushdb', -1, 'Deletes all keys.'], { ...server, spread: 'each-ok' });

read([64, 'get', 2, 'Returns a value.'], { flags: ['fast'] });
read([65, 'mget', -2, 'Returns several values.'], { keys: allKeys, spread: 'values', flags: ['fast'] });
read([66, 'exists', -2, 'Counts which of the keys exist.'], {
  ...generic,
  keys: allKeys,
  spread: 'sum',
  flags: ['fast'],
});
read([67, 'touch', -2, 'Counts which of the keys exist.'], {
  ...generic,
  keys: allKeys,
  spread: 'sum',
  flags: ['fast'],
});
read([68, 'strlen', 2, 'Returns the length of a value.'], { flags: ['fast'] });
read([69, 'getrange', 4, 'Returns part of a value.']);
read([70, 'substr', 4, 'Returns part of a value.']);
read([71, 'type', 2, 'Returns the type of a key.'], generic);
read([72, 'ttl', 2, 'Returns the remaining lifetime in seconds.'], generic);
read([73, 'pttl', 2, 'Returns the remaining lifetime in milliseconds.'], generic);
read([74, 'expiretime', 2, 'Returns the expiry time in seconds since 1970.'], generic);
read([75, 'pexpiretime', 2, 'Returns the expiry time in milliseconds since 1970.'], generic);
read([76, 'scan', -2, 'Iterates over the keys.'], { ...generic, keys: noKeys, spread: 'each-scan' });
read([77, 'keys', 2, 'Returns all keys that match a pattern.'], { ...generic, keys: noKeys, spread: 'each-concat' });
read([78, 'randomkey', 1, 'Returns any key.'], { ...generic, keys: noKeys, spread: 'each-any' });
read([79, 'dbsize', 1, 'Returns the number of keys.'], { ...server, spread: 'each-sum', flags: ['fast'] });
read([80, 'nori.digest', 1, 'Returns the digest of each shard.'], {
  ...server,
  spread: 'each-digest',
  flags: ['admin'],
});
read([81, 'nori.countkeysinslot', 2, 'Counts the keys of a slot.'], { ...server, flags: ['admin'] });
read([82, 'nori.getkeysinslot', 3, 'Returns keys of a slot.'], { ...server, flags: ['admin'] });

local('ping', -1, 'Answers.', { flags: ['fast'] });
local('echo', 2, 'Returns its argument.', { flags: ['loading', 'stale', 'fast'] });
local('hello', -1, 'Chooses the protocol version.', { flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth'] });
local('auth', -2, 'Authenticates the connection.', { flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth'] });
local('select', 2, 'Chooses a database; there is only 0.');
local('quit', -1, 'Closes the connection.', { flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth'] });
local('reset', 1, 'Resets the connection.', { flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth'] });
const transactions: Extra = { group: 'transactions', flags: ['noscript', 'loading', 'stale', 'fast'] };
local('multi', 1, 'Begins a transaction over keys of one slot.', transactions);
local('exec', 1, 'Carries out a transaction: all of it at once, or nothing.', transactions);
local('discard', 1, 'Gives a transaction up.', transactions);
local('readonly', 1, 'Lets this node answer reads from its own state.', cluster);
local('readwrite', 1, 'Makes reads linearizable again.', cluster);
local('asking', 1, 'Announces that a redirect is followed.', cluster);
local('time', 1, 'Returns the time of this node: seconds since 1970 and microseconds.', { group: 'server' });
local('wait', 3, 'Returns how many replicas hold the last write.', { group: 'generic', flags: ['noscript'] });
local('info', -1, 'Returns facts about this node.', { group: 'server', flags: ['loading', 'stale'] });
local('command', -1, 'Describes the commands.', { group: 'server', flags: ['loading', 'stale'] }, [
  ['count', 2],
  ['docs', -2],
  ['getkeys', -4],
  ['help', 2],
  ['info', -2],
  ['list', -2],
]);
local('client', -2, 'Describes and names connections.', { flags: ['noscript', 'loading', 'stale'] }, [
  ['caching', 3],
  ['getname', 2],
  ['getredir', 2],
  ['help', 2],
  ['id', 2],
  ['info', 2],
  ['kill', -3],
  ['list', -2],
  ['maint_notifications', -2],
  ['no-evict', 3],
  ['no-touch', 3],
  ['reply', 3],
  ['setinfo', 4],
  ['setname', 3],
  ['tracking', -3],
  ['trackinginfo', 2],
  ['unblock', -3],
  ['unpause', 2],
]);
const scripting: Extra = { group: 'scripting', flags: ['noscript'] };
local('function', -2, 'There are no functions.', scripting, [
  ['flush', -2],
  ['list', -2],
]);
local('script', -2, 'There are no scripts.', scripting, [
  ['exists', -3],
  ['flush', -2],
]);
local('config', -2, 'Reads the configuration.', { group: 'server', flags: ['admin', 'noscript', 'loading', 'stale'] }, [
  ['get', -3],
  ['help', 2],
  ['resetstat', 2],
  ['rewrite', 2],
  ['set', -4],
]);
local('cluster', -2, 'Describes the cluster.', { group: 'cluster', flags: ['loading', 'stale'] }, [
  ['countkeysinslot', 3],
  ['getkeysinslot', 4],
  ['help', 2],
  ['info', 2],
  ['keyslot', 3],
  ['myid', 2],
  ['myshardid', 2],
  ['nodes', 2],
  ['shards', 2],
  ['slots', 2],
]);

export const commandTable: readonly CommandSpec[] = specs;

// Clients send names in capitals or in small letters: both are found without folding.
const byName = new Map<string, CommandSpec>();
for (const spec of specs) {
  byName.set(spec.name, spec);
  byName.set(spec.name.toUpperCase(), spec);
}
const nameBytesMax = Math.max(...specs.map((spec) => spec.name.length));

export function findCommand(name: string): CommandSpec | undefined {
  if (name.length > nameBytesMax) return undefined;
  return byName.get(name) ?? byName.get(name.toLowerCase());
}

/** Positions of the keys in `args` (the name is at 0). */
export function keyPositions(spec: CommandSpec, argumentCount: number): number[] {
  if (spec.firstKey === 0) return [];
  const last = spec.lastKey < 0 ? argumentCount + spec.lastKey : spec.lastKey;
  const positions: number[] = [];
  for (let at = spec.firstKey; at <= last && at < argumentCount; at += spec.keyStep) positions.push(at);
  return positions;
}
