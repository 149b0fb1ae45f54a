import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { FakeHost, failure } from '../../test/support/fake-host.ts';
import { TestClient } from '../../test/support/test-client.ts';
import type { Settings } from '../config/settings.ts';
import { createHttpApp } from '../http/app.ts';
import { KvServer } from './kv-server.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function setUp(overrides: Partial<Settings> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'nori-kv-'));
  cleanUp.push(() => rmSync(dataDir, { recursive: true }));
  const host = new FakeHost();
  host.addPeer('n2');
  host.addPeer('n3');
  const settings: Settings = {
    id: 'n1',
    dataDir,
    engine: 'memory',
    resp: '127.0.0.1:0',
    http: '127.0.0.1:0',
    peer: '127.0.0.1:7201',
    members: { n1: '127.0.0.1:7201', n2: '127.0.0.1:7202', n3: '127.0.0.1:7203' },
    shards: 4,
    bootstrap: true,
    clusterName: 'test',
    routing: 'forward',
    reads: 'lease',
    heartbeatMs: 150,
    leaseMs: 2000,
    maxClockDrift: 0.01,
    electionTimeoutMs: { min: 300, max: 600 },
    commandTimeoutMs: 300,
    keyBytesMax: 1024,
    valueBytesMax: 65_536,
    clientsMax: 100,
    clientIdleMs: 0,
    balance: false,
    priority: 100,
    snapshotLogBytes: 1 << 28,
    snapshotEntries: 1_000_000,
    snapshotTailEntries: 10_000,
    snapshotBytesPerSecond: 1 << 27,
    logLevel: 'info',
    ...overrides,
  };
  const fatal: Error[] = [];
  const server = await KvServer.start(settings, {
    version: '0.0.0',
    logger: silent,
    onFatal: (error) => fatal.push(error),
    openHost: () => Promise.resolve(host),
  });
  cleanUp.push(() => server.close());
  const port = Number(server.announced.resp.split(':')[1]);
  const client = (): TestClient => {
    const opened = new TestClient(port);
    cleanUp.push(() => opened.socket.destroy());
    return opened;
  };
  return { host, server, settings, client, fatal, app: createHttpApp(server) };
}

test('replies come in the order of the commands, whatever finishes first', async () => {
  const { host, client } = await setUp();
  const redis = client();
  await redis.ask('SET a 1');
  host.held = true;
  redis.send('SET a 2', 'GET b', 'PING', 'INCR c');
  while (host.waiting.length < 3) await new Promise((wake) => setTimeout(wake, 1));
  host.release(2);
  host.release(1);
  await new Promise((wake) => setTimeout(wake, 10));
  expect(redis.received).toBe('');
  host.release(0);
  expect(await redis.until((text) => text.endsWith(':1\r\n'))).toBe('+OK\r\n$-1\r\n+PONG\r\n:1\r\n');
});

test('a pipeline reads its own writes', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.send('SET k v', 'GET k', 'DEL k', 'GET k', 'DBSIZE');
  expect(await redis.until((text) => text.endsWith(':0\r\n'))).toBe('+OK\r\n$1\r\nv\r\n:1\r\n$-1\r\n:0\r\n');
});

test('a pipeline longer than may be in flight is answered whole', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.send(...Array.from({ length: 20_000 }, () => 'INCR n'));
  const text = await redis.until((received) => received.endsWith(':20000\r\n'), 10_000);
  expect(text.split('\r\n')).toHaveLength(20_001);
});

test('a client that does not read is not read either', async () => {
  const { client, server } = await setUp();
  const value = 'x'.repeat(60_000);
  const redis = client();
  await redis.ask(`SET big ${value}`);
  redis.socket.pause();
  redis.send(...Array.from({ length: 3000 }, () => 'GET big'));
  await new Promise((wake) => setTimeout(wake, 300));
  const [connection] = [...server.clients()];
  expect(connection?.outputBytes).toBeLessThan(80 * 1024 * 1024);
  redis.socket.resume();
  await redis.until((text) => text.length === 3000 * (60_000 + 10), 20_000);
});

test('keys of one command must share a slot', async () => {
  const { client } = await setUp();
  const redis = client();
  expect(await redis.ask('MSET a 1 b 2')).toBe("-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  expect(await redis.ask('MSET {t}a 1 {t}b 2')).toBe('+OK\r\n');
  expect(await redis.ask('MGET {t}a {t}b {t}c')).toBe('*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n');
});

test('commands over the whole database see every shard', async () => {
  const { client } = await setUp();
  const redis = client();
  for (let at = 0; at < 50; at += 1) redis.send(`SET key${at} v`);
  redis.send('DBSIZE');
  await redis.until((text) => text.endsWith(':50\r\n'));
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const lines = (await redis.ask(`SCAN ${cursor} COUNT 7`)).split('\r\n');
    cursor = lines[2] as string;
    for (const line of lines.slice(4)) if (line.startsWith('key')) seen.add(line);
  } while (cursor !== '0');
  expect(seen.size).toBe(50);
  expect(await redis.ask('SCAN 0 COUNT 1000')).toMatch(/^\*2\r\n\$1\r\n0\r\n\*50\r\n/);
  expect((await redis.ask('KEYS key4?')).startsWith('*10\r\n')).toBe(true);
  expect(await redis.ask('RANDOMKEY')).toMatch(/^\$\d\r\nkey/);
  expect(await redis.ask('FLUSHALL')).toBe('+OK\r\n');
  expect(await redis.ask('DBSIZE')).toBe(':0\r\n');
});

test.each([
  ['NOT_LEADER', 'SET k v', /^-CLUSTERDOWN .*not applied/],
  ['NOT_LEADER', 'GET k', /^-CLUSTERDOWN /],
  ['PROPOSAL_DROPPED', 'SET k v', /^-TRYAGAIN .*not applied/],
  ['OVERLOADED', 'SET k v', /^-TRYAGAIN .*not applied/],
  ['COMMIT_TIMEOUT', 'SET k v', /^-UNKNOWNOUTCOME the command may or may not have been applied/],
  ['OUTCOME_UNKNOWN', 'INCR k', /^-UNKNOWNOUTCOME /],
  ['CLOSED', 'INCR k', /^-UNKNOWNOUTCOME /],
  ['CLOSED', 'GET k', /^-CLUSTERDOWN /],
  ['READ_TIMEOUT', 'GET k', /^-CLUSTERDOWN /],
  ['READ_IN_LIMBO', 'GET k', /^-TRYAGAIN /],
  ['DISK_FULL', 'SET k v', /^-DISKFULL /],
  ['PAYLOAD_TOO_LARGE', 'SET k v', /^-ERR /],
] as const)('%s for %s is answered by its code', async (code, line, expected) => {
  const { host, client } = await setUp();
  host.fault = () => failure(code);
  expect(await client().ask(line)).toMatch(expected);
});

test('a flush that reached some shards only has an unknown outcome', async () => {
  const { host, client } = await setUp();
  host.fault = (group) => (group === 2 ? failure('DISK_FULL') : null);
  expect(await client().ask('FLUSHALL')).toMatch(/^-UNKNOWNOUTCOME .*3 of 4 shards/);
});

test('a node that trusts no clock proves every read by a round, unless it is asked for a stale one', async () => {
  const { host, client, app } = await setUp({ reads: 'linearizable' });
  const redis = client();
  await redis.ask('GET k');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'linearizable' });
  await redis.ask('DBSIZE');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'linearizable' });
  await app.request('/kv/k');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'linearizable' });
  await app.request('/kv/k?consistency=lease');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'lease' });
  await redis.ask('READONLY');
  await redis.ask('GET k');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'stale' });
});

test('after READONLY a node answers reads from its own state', async () => {
  const { host, client } = await setUp();
  const redis = client();
  await redis.ask('READONLY');
  await redis.ask('GET k');
  expect(host.submitted.at(-1)).toMatchObject({ write: false, consistency: 'stale', forward: false });
  await redis.ask('READWRITE');
  await redis.ask('GET k');
  expect(host.submitted.at(-1)).toMatchObject({ consistency: 'lease', forward: true });
});

test('redirect mode answers MOVED, and serves after ASKING', async () => {
  const { host, client } = await setUp({ routing: 'redirect' });
  host.fault = () => (host.submitted.at(-1)?.forward === true ? null : failure('NOT_LEADER', { leaderHint: 'n3' }));
  const redis = client();
  expect(await redis.ask('SET k v')).toBe('-MOVED 7629 127.0.0.1:7003\r\n');
  expect(await redis.ask('ASKING')).toBe('+OK\r\n');
  expect(await redis.ask('SET k v')).toBe('+OK\r\n');
});

test('the protocol is the one of the moment a command was sent', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.send('GET k', 'HELLO 3', 'GET k', 'RESET', 'GET k');
  const text = await redis.until((received) => received.endsWith('+RESET\r\n$-1\r\n'));
  expect(text.startsWith('$-1\r\n%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n')).toBe(true);
  expect(text).toContain('_\r\n+RESET');
});

test('a transaction is one entry of one log, and answers what each command would have', async () => {
  const { client, host } = await setUp();
  const redis = client();
  redis.send(
    'MULTI',
    'SET {t}a 1',
    'INCR {t}a',
    'GET {t}none',
    'MGET {t}a {t}none',
    'SET {t}a x EX 0',
    'EXEC',
    'ECHO end',
  );
  const text = await redis.until((received) => received.includes('end'));
  const invalid = "-ERR invalid expire time in 'set' command\r\n";
  const replies = `*5\r\n+OK\r\n:2\r\n$-1\r\n*2\r\n$1\r\n2\r\n$-1\r\n${invalid}`;
  expect(text).toBe(`+OK\r\n${'+QUEUED\r\n'.repeat(5)}${replies}$3\r\nend\r\n`);
  expect(host.submitted.filter(({ write }) => write)).toHaveLength(1);
  redis.send('HELLO 3', 'MULTI', 'GET {t}none', 'EXEC');
  expect(await redis.until((received) => received.includes('_\r\n'))).toMatch(/\+QUEUED\r\n\*1\r\n_\r\n$/);
});

test.each([
  ['a key of another slot', 'GET b', /^-CROSSSLOT /],
  ['a command without a key', 'DBSIZE', /^-ERR 'dbsize' is not supported inside MULTI/],
  ['an unknown command', 'NOSUCH', /^-ERR unknown command/],
  ['an argument too few', 'GET', /^-ERR wrong number of arguments/],
])('%s breaks a transaction off: nothing of it is carried out', async (_, line, refusal) => {
  const { client, host } = await setUp();
  const redis = client();
  expect(await redis.ask('MULTI')).toBe('+OK\r\n');
  expect(await redis.ask('SET a 1')).toBe('+QUEUED\r\n');
  expect(await redis.ask(line)).toMatch(refusal);
  expect(await redis.ask('EXEC')).toMatch(/^-EXECABORT /);
  expect(host.submitted).toEqual([]);
  expect(await redis.ask('EXEC')).toBe('-ERR EXEC without MULTI\r\n');
});

test('a transaction has limits, and DISCARD and RESET give it up', async () => {
  const { client, host } = await setUp();
  const redis = client();
  redis.send('MULTI', ...Array.from({ length: 1025 }, () => 'INCR a'), 'EXEC');
  expect(await redis.until((received) => received.includes('EXECABORT'))).toMatch(/-ERR a transaction may have up to/);
  expect(await redis.ask('MULTI')).toBe('+OK\r\n');
  expect(await redis.ask('INCR a')).toBe('+QUEUED\r\n');
  expect(await redis.ask('MULTI')).toBe('-ERR MULTI calls can not be nested\r\n');
  expect(await redis.ask('DISCARD')).toBe('+OK\r\n');
  expect(await redis.ask('MULTI')).toBe('+OK\r\n');
  expect(await redis.ask('INCR a')).toBe('+QUEUED\r\n');
  expect(await redis.ask('RESET')).toBe('+RESET\r\n');
  expect(await redis.ask('MULTI')).toBe('+OK\r\n');
  expect(await redis.ask('EXEC')).toBe('*0\r\n');
  expect(host.submitted).toEqual([]);
});

test('an EXEC that nobody could carry out says whether it was', async () => {
  const { client, host } = await setUp();
  const redis = client();
  host.fault = () => failure('COMMIT_TIMEOUT');
  redis.send('MULTI', 'INCR a', 'EXEC');
  expect(await redis.until((received) => received.includes('-'))).toMatch(/-UNKNOWNOUTCOME /);
});

test('CONFIG RESETSTAT counts from nothing', async () => {
  const { client } = await setUp();
  const redis = client();
  for (let at = 0; at < 5; at += 1) await redis.ask('PING');
  expect(await redis.ask('INFO stats')).toContain('total_commands_processed:6\r\n');
  expect(await redis.ask('CONFIG RESETSTAT')).toBe('+OK\r\n');
  expect(await redis.ask('INFO stats')).toContain('total_commands_processed:1\r\n');
});

test('CLIENT REPLY sends what is wanted, in order', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.send('CLIENT REPLY SKIP', 'SET k 1', 'GET k', 'CLIENT REPLY OFF', 'INCR k', 'CLIENT REPLY SKIP', 'ECHO no');
  redis.send('CLIENT REPLY ON', 'GET k', 'CLIENT REPLY SKIP', 'CLIENT REPLY ON', 'ECHO end');
  const text = await redis.until((received) => received.includes('end'));
  expect(text).toBe('$1\r\n1\r\n+OK\r\n$1\r\n2\r\n+OK\r\n$3\r\nend\r\n');
});

test('CLIENT LIST and KILL choose connections, and who kills itself is answered', async () => {
  const { client } = await setUp();
  const [one, other] = [client(), client()];
  const id = Number((await other.ask('CLIENT ID')).slice(1));
  expect(await one.ask(`CLIENT LIST ID ${id}`)).toMatch(new RegExp(`id=${id} .* cmd=client\\|id `));
  expect(await one.ask(`CLIENT KILL ID ${id}`)).toBe(':1\r\n');
  await other.untilClosed();
  expect(await one.ask(`CLIENT KILL ID ${id}`)).toBe(':0\r\n');
  one.send('CLIENT KILL TYPE normal SKIPME no');
  expect(await one.untilClosed()).toBe(':1\r\n');
});

test('with a password nothing but AUTH and HELLO works before it is given', async () => {
  const { client } = await setUp({ password: 'secret' });
  const redis = client();
  expect(await redis.ask('GET k')).toBe('-NOAUTH Authentication required.\r\n');
  expect(await redis.ask('HELLO 3')).toMatch(/^-NOAUTH /);
  expect(await redis.ask('AUTH wrong')).toMatch(/^-WRONGPASS /);
  expect(await redis.ask('AUTH default secret')).toBe('+OK\r\n');
  expect(await redis.ask('GET k')).toBe('$-1\r\n');
  const other = client();
  expect(await other.ask('HELLO 2 AUTH default secret SETNAME me')).toMatch(/^\*14\r\n/);
});

test('a stranger may not make the server hold a large argument', async () => {
  const { client } = await setUp({ password: 'secret' });
  const redis = client();
  redis.socket.write('*2\r\n$4\r\nAUTH\r\n$50000\r\n');
  expect(await redis.untilClosed()).toBe('-ERR Protocol error: unauthenticated bulk length\r\n');
});

test.each([
  ['POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n', 'HTTP'],
  ['*99999999999999999999\r\n', 'multibulk'],
  ['*1\r\n$2147483648\r\n', 'bulk length'],
])('%j is answered with an error and cut', async (bytes, expected) => {
  const { client, host } = await setUp();
  const redis = client();
  redis.socket.write(bytes);
  expect(await redis.untilClosed()).toContain(expected);
  expect(host.submitted).toHaveLength(0);
});

test('commands before a protocol error are still answered', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.socket.write('SET k v\r\nGET k\r\n*x\r\n');
  expect(await redis.untilClosed()).toMatch(/^\+OK\r\n\$1\r\nv\r\n-ERR Protocol error/);
});

test('one client too many is told so', async () => {
  const { client } = await setUp({ clientsMax: 1 });
  await client().ask('PING');
  expect(await client().untilClosed()).toBe('-ERR max number of clients reached\r\n');
});

test('QUIT answers and closes', async () => {
  const { client } = await setUp();
  const redis = client();
  redis.send('SET k v', 'QUIT', 'SET k w');
  expect(await redis.untilClosed()).toBe('+OK\r\n+OK\r\n');
});

test('the commands clients open a connection with are answered', async () => {
  const { client } = await setUp();
  const redis = client();
  expect(await redis.ask('CLIENT SETINFO LIB-NAME ioredis')).toBe('+OK\r\n');
  expect(await redis.ask('CLIENT SETNAME tester')).toBe('+OK\r\n');
  expect(await redis.ask('CLIENT GETNAME')).toBe('$6\r\ntester\r\n');
  expect(await redis.ask('CLIENT LIST')).toContain('name=tester');
  expect(await redis.ask('CLIENT MAINT_NOTIFICATIONS ON')).toMatch(/^-ERR /);
  expect(await redis.ask('INFO')).toContain('loading:0');
  expect(await redis.ask('INFO cluster')).toContain('cluster_enabled:1');
  expect(await redis.ask('CONFIG GET save')).toBe('*2\r\n$4\r\nsave\r\n$0\r\n\r\n');
  expect(await redis.ask('CONFIG GET append*')).toContain('appendonly');
  expect(await redis.ask('SELECT 0')).toBe('+OK\r\n');
  expect(await redis.ask('SELECT 1')).toMatch(/^-ERR /);
  expect(await redis.ask('WAIT 1 100')).toBe(':1\r\n');
  expect(await redis.ask('COMMAND COUNT')).toMatch(/^:\d+/);
  expect(await redis.ask('NOSUCH x')).toMatch(/^-ERR unknown command/);
  expect(await redis.ask('DEBUG SLEEP 1')).toMatch(/^-ERR /);
});

test('the topology says which node leads which slots', async () => {
  const { host, client } = await setUp();
  host.leaders = new Map([
    [1, 'n1'],
    [2, 'n2'],
    [3, 'n2'],
    [4, null],
  ]);
  const redis = client();
  const nodes = await redis.ask('CLUSTER NODES');
  expect(nodes).toMatch(/[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+ myself,master - 0 0 7 connected 0-4095\n/);
  expect(nodes).toMatch(/[0-9a-f]{40} 127\.0\.0\.1:7002@17002 master - 0 0 7 connected 4096-12287\n/);
  expect(nodes).toMatch(/127\.0\.0\.1:7003@17003 slave [0-9a-f]{40} /);
  expect(await redis.ask('CLUSTER SLOTS')).toMatch(/^\*3\r\n\*5\r\n:0\r\n:4095\r\n/);
  const info = await redis.ask('CLUSTER INFO');
  expect(info).toContain('cluster_state:fail');
  expect(info).toContain('cluster_slots_ok:12288');
  host.leaders = new Map();
  expect(await redis.ask('CLUSTER INFO')).toContain('cluster_state:ok');
  expect(await redis.ask('CLUSTER KEYSLOT hello')).toBe(':866\r\n');
  await redis.ask('SET hello x');
  expect(await redis.ask('CLUSTER COUNTKEYSINSLOT 866')).toBe(':1\r\n');
  expect(await redis.ask('CLUSTER GETKEYSINSLOT 866 10')).toBe('*1\r\n$5\r\nhello\r\n');
});

test('HTTP: a value is put, read with its proof, and deleted', async () => {
  const { app } = await setUp();
  expect((await app.request('/kv/a%2Fb', { method: 'PUT', body: 'bytes' })).status).toBe(204);
  const got = await app.request('/kv/a%2Fb?consistency=linearizable');
  expect(await got.text()).toBe('bytes');
  expect(got.headers.get('x-nori-via')).toBe('readIndex');
  expect(got.headers.get('x-nori-term')).toBe('1');
  expect((await app.request('/kv/a%2Fb?consistency=stale')).headers.get('x-nori-via')).toBe('stale');
  expect((await app.request('/kv/a%2Fb', { method: 'DELETE' })).status).toBe(204);
  expect((await app.request('/kv/a%2Fb')).status).toBe(404);
});

test('HTTP: bad input and failures have their statuses', async () => {
  const { app, host } = await setUp();
  expect((await app.request('/kv/k?consistency=eventual')).status).toBe(400);
  expect((await app.request('/kv/%zz')).status).toBe(400);
  expect((await app.request('/kv/')).status).toBe(400);
  expect((await app.request(`/kv/${'k'.repeat(1025)}`)).status).toBe(413);
  expect((await app.request('/kv/k', { method: 'PUT', body: 'x'.repeat(65_537) })).status).toBe(413);
  expect((await app.request('/kv/k', { method: 'POST' })).status).toBe(405);
  host.fault = () => failure('NOT_LEADER');
  const refusedWrite = await app.request('/kv/k', { method: 'PUT', body: 'v' });
  expect(refusedWrite.status).toBe(503);
  expect(refusedWrite.headers.get('retry-after')).toBe('1');
  expect(await refusedWrite.json()).toMatchObject({ code: 'NOT_LEADER', outcome: 'notApplied' });
  host.fault = () => failure('COMMIT_TIMEOUT');
  expect((await app.request('/kv/k', { method: 'PUT', body: 'v' })).status).toBe(504);
});

test('HTTP: probes, metrics and the cluster', async () => {
  const { app, host } = await setUp();
  expect((await app.request('/healthz')).status).toBe(200);
  expect((await app.request('/readyz')).status).toBe(200);
  host.leaders.set(2, null);
  const notReady = await app.request('/readyz');
  expect(notReady.status).toBe(503);
  expect(await notReady.json()).toEqual({ ready: false, reasons: ['shard 1 has no leader'] });
  host.leaders.delete(2);
  host.removedFrom.add(2);
  const removed = await app.request('/readyz');
  expect(await removed.json()).toEqual({ ready: false, reasons: ['this node is no member of shard 1'] });
  const metrics = await app.request('/metrics');
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await metrics.text();
  for (const name of ['raft_wal_syncs_total', 'raft_transport_frames_sent_total']) {
    expect(text).toMatch(new RegExp(`^${name} \\d+$`, 'm'));
  }
  const cluster = (await (await app.request('/v1/cluster?digest=1')).json()) as {
    nodes: unknown[];
    shards: Record<string, unknown>[];
  };
  expect(cluster.nodes).toHaveLength(3);
  expect(cluster.shards[0]).toMatchObject({ id: 0, slots: [0, 4095], leader: 'n1', term: 7 });
  expect(cluster.shards[0]?.['digest']).toMatch(/^[0-9a-f]{16}$/);
  expect(await (await app.request('/v1/shards/0/digest')).json()).toMatchObject({ shard: 0, applied: 0 });
  expect((await app.request('/v1/shards/9/digest')).status).toBe(404);
  expect((await app.request('/')).headers.get('content-type')).toContain('text/html');
});

test('HTTP: the password is wanted for keys too', async () => {
  const { app } = await setUp({ password: 'secret' });
  expect((await app.request('/kv/k')).status).toBe(401);
  const authorization = `Basic ${Buffer.from('default:secret').toString('base64')}`;
  expect((await app.request('/kv/k', { headers: { authorization } })).status).toBe(404);
});

test('a backup that cannot go on breaks its connection, and the log says why', async () => {
  const { host, server } = await setUp();
  host.readIndex = (group) => (group === 2 ? Promise.reject(failure('QUORUM_UNAVAILABLE')) : Promise.resolve());
  const warned = vi.spyOn(silent, 'warn');
  const printed = vi.spyOn(console, 'error');
  const response = await fetch(`http://${server.announced.http}/v1/backup`);
  await expect(response.arrayBuffer()).rejects.toThrow('terminated');
  expect(warned.mock.calls).toMatchObject([[{ code: 'QUORUM_UNAVAILABLE' }, 'a backup ended early']]);
  expect(printed).not.toHaveBeenCalled();
});

test('another shard count than the founding one is refused', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'nori-kv-'));
  cleanUp.push(() => rmSync(dataDir, { recursive: true }));
  writeFileSync(join(dataDir, 'nori-kv.json'), '{"version":1,"shards":8}\n');
  await expect(setUp({ dataDir, shards: 4 })).rejects.toThrow(
    'was founded with 8 shards, not 4: start with --shards 8',
  );
  const { server } = await setUp({ dataDir, shards: undefined });
  expect(server.router?.map.count).toBe(8);
});

test('a port in use is refused with its address', async () => {
  const { server } = await setUp();
  await expect(setUp({ resp: server.announced.resp })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
});

test('a wiped disk stops the node, unless a quorum has accepted it', async () => {
  const { host, fatal } = await setUp();
  host.onRefused?.('n2', failure('DISK_REPLACED'));
  expect(fatal).toHaveLength(0);
  host.addPeer('n2', { connected: false });
  host.addPeer('n3', { connected: false });
  host.onRefused?.('n2', failure('WRONG_CLUSTER'));
  expect(fatal).toHaveLength(0);
  host.onRefused?.('n2', failure('DISK_REPLACED'));
  expect(fatal).toHaveLength(1);
});
