import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';
import { RaftHost, type RaftHostConfig } from './raft-host.ts';
import { type RaftConfig, RaftNode } from './raft-node.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nori-host-'));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

class Count implements StateMachine {
  count = 0;
  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    return entries.map(() => Uint8Array.of((this.count += 1)));
  }
  query(): Uint8Array {
    return Uint8Array.of(this.count);
  }
  // oxlint-disable-next-line require-yield
  async *snapshot(): AsyncIterable<Uint8Array> {}
  async restore(): Promise<void> {}
}

test('a node on a real disk has every acknowledged command after a restart', async () => {
  for (let life = 1; life <= 3; life += 1) {
    const node = await RaftNode.create({ dataDir, stateMachine: new Count() });
    try {
      expect([...(await node.execute(Uint8Array.of(1))).result]).toEqual([life]);
      expect([...(await node.read(new Uint8Array(0))).result]).toEqual([life]);
    } finally {
      await node.close();
    }
  }
});

test('a start that fails because the port is taken lets go of the directory, so the next one succeeds', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  const config = { id: 'n1', dataDir, members: { n1: `127.0.0.1:${port}`, n2: '127.0.0.1:1' } };
  await expect(RaftHost.open(config)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  await new Promise((resolve) => {
    server.close(resolve);
  });
  const host = await RaftHost.open(config);
  await expect(RaftHost.open(config)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await host.close();
});

const wrong: readonly (readonly [string, object, RegExp])[] = [
  ['a misspelt field', { dataDirectory: 'x' }, /^dataDirectory is no setting; there are .*dataDir/],
  ['a field of another layer', { clusterId: new Uint8Array(16) }, /^clusterId must be 32 hexadecimal/],
  ['a member without a port', { members: { n1: '127.0.0.1:1', n2: 'localhost' } }, /address of n2 must be HOST:PORT/],
  ['no address where there are peers', { members: { n1: '', n2: '127.0.0.1:1' } }, /address of n1 must be HOST:PORT/],
  ['a listen address without a port', { listen: 'here' }, /^listen must be HOST:PORT/],
  ['an empty data directory name', { dataDir: '' }, /^dataDir/],
  ['a cluster name that is a number', { clusterName: 7 }, /^clusterName/],
  ['an id that is not among the members', { id: 'n7' }, /add n7 and its peer address/],
];
for (const [what, change, message] of wrong) {
  test(`${what} is refused before anything is touched`, async () => {
    const config = { id: 'n1', members: { n1: '127.0.0.1:0' }, ...change } as RaftHostConfig;
    await expect(RaftHost.open(config)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(RaftHost.open(config)).rejects.toThrow(message);
    await expect(RaftNode.create(config as RaftConfig)).rejects.toThrow(message);
  });
}
