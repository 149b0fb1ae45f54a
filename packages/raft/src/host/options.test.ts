import { expect, test } from 'vitest';
import type { NoriError } from '../base/errors.ts';
import { type HostConfig, hostOptions } from './options.ts';

const good: HostConfig = {
  id: 'n1',
  members: { n1: 'a:1', n2: 'b:1' },
  directory: 'data',
  clusterId: new Uint8Array(16),
};

test('a config needs four fields; the rest has the defaults of the specification', () => {
  const options = hostOptions(good);
  expect(options.raft).toMatchObject({ heartbeatMs: 150, electionTimeoutMsMin: 300, electionTimeoutMsMax: 600 });
  expect(options).toMatchObject({ listen: 'a:1', bootstrap: false, commitTimeoutMs: 5000 });
});

const wrong: readonly (readonly [string, object, RegExp])[] = [
  ['a misspelt field', { hearbeatMs: 100 }, /^hearbeatMs is no setting; there are id,/],
  ['an id with a space', { id: 'n 1' }, /^id must be/],
  ['an id that is a number', { id: 1 }, /^id must be/],
  ['no members', { members: undefined }, /^members must be an object/],
  ['members as a list', { members: ['a:1'] }, /^members must be an object/],
  ['nobody', { members: {} }, /^members names nobody/],
  ['no entry for this node', { members: { n2: 'b:1' } }, /add n1 and its peer address/],
  ['one address twice', { members: { n1: 'a:1', n2: 'a:1' } }, /two nodes the address a:1/],
  ['an address that is a number', { members: { n1: 1 } }, /not text/],
  ['a member without a proper id', { members: { 'n 2': 'x', n1: 'a' } }, /no node id/],
  ['a heartbeat of NaN', { heartbeatMs: Number.NaN }, /^heartbeatMs must be a whole number above 0, not NaN/],
  ['a heartbeat as text', { heartbeatMs: '150' }, /^heartbeatMs must be a whole number/],
  ['a negative heartbeat', { heartbeatMs: -1 }, /^heartbeatMs/],
  ['a heartbeat of null given as an object', { heartbeatMs: {} }, /^heartbeatMs/],
  ['an election timeout not above the heartbeat', { heartbeatMs: 300 }, /at least twice heartbeatMs/],
  [
    'an election timeout upside down',
    { electionTimeoutMs: { min: 600, max: 300 } },
    /max \(300\) must not be below min/,
  ],
  ['half an election timeout', { electionTimeoutMs: { min: 600 } }, /^electionTimeoutMs\.max/],
  ['an election timeout that is a number', { electionTimeoutMs: 500 }, /^electionTimeoutMs must be \{min, max\}/],
  ['a short cluster id', { clusterId: new Uint8Array(15) }, /^clusterId must be 16 bytes/],
  ['a cluster id in text', { clusterId: 'sixteen letters!' }, /^clusterId/],
  ['a directory that is no text', { directory: 7 }, /^directory/],
  ['bootstrap in text', { bootstrap: 'yes' }, /^bootstrap must be true or false/],
  ['attributes that are not texts', { attributes: { port: 1 } }, /^attributes gives port/],
  ['commands that fit in no frame', { commandBytesMax: 32 << 20 }, /^commandBytesMax must not be above/],
  ['a segment of half sectors', { segmentBytes: 100_000 }, /^segmentBytes must be a multiple of 512/],
  ['a tiny segment', { segmentBytes: 512 }, /^segmentBytes/],
  ['a fraction of a call', { pendingMax: 0.5 }, /^pendingMax/],
  ['a meter that cannot count', { meter: { gauge: () => undefined } }, /^meter has no method count/],
  ['an observer that cannot hear', { observer: {} }, /^observer has no method onEvent/],
];
for (const [what, change, message] of wrong) {
  test(`a config with ${what} is refused with a sentence that says what to do`, () => {
    let thrown: unknown;
    try {
      hostOptions({ ...good, ...change } as HostConfig);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' });
    expect((thrown as NoriError).message).toMatch(message);
    expect((thrown as NoriError).remedy).toMatch(/^mend /);
  });
}
