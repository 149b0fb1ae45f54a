import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Prng } from '../../src/base/prng.ts';
import { conformanceTests, type StateMachineSubject, stateMachineSuite } from '../../src/testkit/conformance/index.ts';
import { encodeCommand } from '../../../kv/src/commands/command-codec.ts';
import { KvStateMachine } from '../../../kv/src/state/kv-state-machine.ts';
import { LmdbEnvironment } from '../../../kv/src/state/lmdb/environment.ts';

// Here and not beside its subject: nori-kv sees only what the library exports.

const limits = { keyBytesMax: 1000, valueBytesMax: 100_000 };
const encode = (...words: (string | number)[]): Uint8Array =>
  encodeCommand(
    words.map((word) => Buffer.from(String(word))),
    limits,
  );
const key = (prng: Prng): string => `key-${prng.between(1, 25)}`;
/** Long ones are kept outside the heap, short ones as text: both must be the state's own. */
const value = (prng: Prng): string => {
  const digit = String(prng.between(0, 9));
  return prng.between(0, 5) === 0 ? digit.repeat(prng.between(1000, 3000)) : digit.repeat(prng.between(1, 6));
};

const writes: readonly ((prng: Prng) => Uint8Array)[] = [
  (prng) => encode('set', key(prng), value(prng)),
  (prng) => encode('set', key(prng), value(prng), 'px', prng.between(1, 20_000)),
  (prng) => encode('set', key(prng), value(prng), 'nx', 'get'),
  (prng) => encode('mset', key(prng), value(prng), key(prng), value(prng)),
  (prng) => encode('append', key(prng), value(prng)),
  (prng) => encode('setrange', key(prng), prng.between(0, 2000), value(prng)),
  (prng) => encode('incrby', key(prng), prng.between(-9, 9)),
  (prng) => encode('incrbyfloat', key(prng), '0.5'),
  (prng) => encode('getset', key(prng), value(prng)),
  (prng) => encode('getdel', key(prng)),
  (prng) => encode('getex', key(prng), 'ex', prng.between(1, 20)),
  (prng) => encode('del', key(prng), key(prng)),
  (prng) => encode('pexpire', key(prng), prng.between(-100, 20_000)),
  (prng) => encode('persist', key(prng)),
  (prng) => encode('rename', key(prng), key(prng)),
  (prng) => (prng.between(0, 19) === 0 ? encode('flushall') : encode('incr', key(prng))),
];

const reads: readonly ((prng: Prng) => Uint8Array)[] = [
  (prng) => encode('get', key(prng)),
  (prng) => encode('pttl', key(prng)),
  (prng) => encode('exists', key(prng), key(prng)),
  (prng) => encode('strlen', key(prng)),
  () => encode('dbsize'),
  () => encode('nori.digest'),
];

const drawn = (from: readonly ((prng: Prng) => Uint8Array)[], prng: Prng): Uint8Array =>
  (from[prng.between(0, from.length - 1)] as (prng: Prng) => Uint8Array)(prng);

const directory = mkdtempSync(join(tmpdir(), 'nori-conformance-'));
// Written at every chance, so that the machines are seen with their changes in memory, on their way and on disk.
const environment = new LmdbEnvironment({ path: directory, gatherMs: 1 });
let groups = 0;

afterAll(async () => {
  await environment.close();
  rmSync(directory, { recursive: true, force: true });
});

const engines: Readonly<Record<string, () => KvStateMachine>> = {
  memory: () => new KvStateMachine(),
  lmdb: () => {
    groups += 1;
    return new KvStateMachine({ store: environment.store(groups) });
  },
};

const subject = (engine: string, seed: number): StateMachineSubject => ({
  make: engines[engine] as () => KvStateMachine,
  command: (prng) => drawn(writes, prng),
  query: (prng) => drawn(reads, prng),
  digest: (machine) => (machine as KvStateMachine).digest(),
  seed,
});

const cases = [
  ['memory', 1],
  ['memory', 2],
  ['lmdb', 3],
] as const;

describe.each(cases)('KvStateMachine in %s, seed %d', (engine, seed) => {
  const tests = conformanceTests(stateMachineSuite, () => subject(engine, seed));
  test.each(tests)('$name', { timeout: 60_000 }, async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
