import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { gatherSettings } from './gather.ts';
import { ConfigError } from './config-error.ts';

const directory = mkdtempSync(join(tmpdir(), 'nori-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

const good: Readonly<Record<string, string>> = {
  id: 'n1',
  dataDir: '/data',
  resp: '127.0.0.1:7001',
  http: '127.0.0.1:7101',
  peer: '127.0.0.1:7201',
  members: 'n1=127.0.0.1:7201,n2=127.0.0.1:7202,n3=127.0.0.1:7203',
};

function gather(flags: Record<string, unknown>, environment: Record<string, string> = {}, file?: unknown) {
  if (file === undefined) return gatherSettings({ flags, environment });
  const path = join(directory, 'config.json');
  writeFileSync(path, typeof file === 'string' ? file : JSON.stringify(file));
  return gatherSettings({ flags: { ...flags, config: path }, environment });
}

test('flags win over variables, variables over the file, the file over defaults', () => {
  const file = { heartbeatMs: 10, shards: 3, commandTimeoutMs: 1000, electionTimeoutMs: { min: 300, max: 600 } };
  const { settings } = gather({ ...good, heartbeatMs: '30' }, { NORI_HEARTBEAT_MS: '20', NORI_SHARDS: '5' }, file);
  expect(settings).toMatchObject({ heartbeatMs: 30, shards: 5, commandTimeoutMs: 1000, routing: 'forward' });
  expect(settings.members).toEqual({ n1: '127.0.0.1:7201', n2: '127.0.0.1:7202', n3: '127.0.0.1:7203' });
});

test('everything can be given in variables, or in a file', () => {
  const environment = Object.fromEntries(
    Object.entries(good).map(([key, value]) => [
      key === 'dataDir' ? 'NORI_DATA_DIR' : `NORI_${key.toUpperCase()}`,
      value,
    ]),
  );
  expect(gather({}, { ...environment, NORI_BOOTSTRAP: 'true' }).settings.bootstrap).toBe(true);
  expect(gather({}, {}, { ...good, members: { n1: '127.0.0.1:7201' } }).settings.id).toBe('n1');
  expect(gather({}, {}, good).settings.members['n3']).toBe('127.0.0.1:7203');
});

test('a variable that means nothing is mentioned, not refused', () => {
  expect(gather(good, { NORI_KV_SERVICE_HOST: '10.0.0.1' }).warnings).toEqual([
    'the variable NORI_KV_SERVICE_HOST means nothing to nori-kv',
  ]);
});

test.each<[string, Record<string, unknown>, RegExp]>([
  ['no id', { id: undefined }, /--id is missing; give it as --id n1/],
  ['no members', { members: undefined }, /--members is missing/],
  ['members that are no list', { members: 'n1' }, /"n1" is not ID=HOST:PORT/],
  ['a duplicate id', { members: 'n1=h:1,n1=h:2' }, /names n1 twice/],
  ['a duplicate address', { members: 'n1=h:1,n2=h:1' }, /n1 and n2 have the same address h:1/],
  ['no member with my id', { id: 'n9' }, /no member called n9 \(it has n1, n2, n3\)/],
  ['an id from the prototype', { id: 'constructor' }, /no member called constructor/],
  ['a bad address', { resp: 'localhost' }, /--resp must be HOST:PORT/],
  ['a port out of range', { resp: 'localhost:70000' }, /--resp must be HOST:PORT/],
  ['a member with a bad address', { members: 'n1=nowhere' }, /--members n1 must be HOST:PORT/],
  ['one port for two things', { http: '127.0.0.1:7001' }, /--resp and --http are both 127.0.0.1:7001/],
  [
    'an election timeout below the heartbeat',
    { electionTimeoutMs: '100-200' },
    /--election-timeout-ms must begin at twice the heartbeat/,
  ],
  ['an election timeout upside down', { electionTimeoutMs: '600-300' }, /MIN not above MAX/],
  ['an election timeout that is none', { electionTimeoutMs: 'soon' }, /MIN-MAX in milliseconds/],
  ['zero shards', { shards: '0' }, /--shards must be at least 1/],
  ['too many shards', { shards: '16385' }, /--shards must be at most 16384/],
  ['shards that are no number', { shards: 'many' }, /--shards must be a whole number/],
  ['a heartbeat that is no number', { heartbeatMs: 'NaN' }, /--heartbeat-ms must be a whole number/],
  ['a snapshot after nothing', { snapshotEntries: '0' }, /--snapshot-entries must be at least 1/],
  ['a negative timeout', { commandTimeoutMs: '-5' }, /--command-timeout-ms must be at least 1/],
  ['a fraction', { heartbeatMs: '1.5' }, /--heartbeat-ms must be a whole number/],
  ['an unknown routing', { routing: 'guess' }, /--routing must be forward or redirect/],
  ['an id with a space', { id: 'n 1' }, /--id must be 1 to 64/],
  ['an empty password', { password: '' }, /--password must not be empty/],
])('%s is refused in one line', (_, change, expected) => {
  const attempt = (): unknown => gather({ ...good, ...change });
  expect(attempt).toThrow(ConfigError);
  expect(attempt).toThrow(expected);
  expect(attempt).toThrow(/^[^\n]*$/);
});

test.each<[string, unknown, RegExp]>([
  ['an unknown key', { ...good, shard: 8 }, /unknown key shard in .*config\.json/],
  ['a string for a number', { ...good, shards: '8' }, /shards in .* must be a whole number/],
  ['an unknown key inside', { ...good, electionTimeoutMs: { min: 300, max: 600, mean: 4 } }, /unknown key mean/],
  ['no JSON', '{', /is not JSON/],
  ['no object', '[]', /must hold one JSON object/],
])('a config file with %s is refused', (_, file, expected) => {
  expect(() => gather({}, {}, file)).toThrow(expected);
});

test('a config file that is not there is refused', () => {
  expect(() => gather({ ...good, config: '/nonexistent.json' })).toThrow(/cannot read the config file .*ENOENT/);
});

test('the password is never in an error', () => {
  expect(() => gather({ ...good, password: 'hunter2', id: 'n9' })).toThrow(/^(?!.*hunter2)/);
});
