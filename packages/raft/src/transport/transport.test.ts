import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.test-support.ts';
import { MemoryNetwork } from '../../test/support/memory-network.test-support.ts';
import { identity, numbered, TransportNode, type NodeOptions } from '../../test/support/transport-node.test-support.ts';
import { NoriError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { MessageKind } from '../core/message.ts';
import { EntryKind, entry, nodeId } from '../core/types.ts';

const n1 = nodeId('n1');
const n2 = nodeId('n2');
const n3 = nodeId('n3');

class World {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;

  constructor(seed = 1) {
    this.network = new MemoryNetwork(this.clock, new Prng(seed));
  }

  async node(name: string, peers: readonly string[], options: Partial<NodeOptions> = {}): Promise<TransportNode> {
    const node = new TransportNode(name, { clock: this.clock, network: this.network.at(name), ...options });
    for (const peer of peers) node.transport.setPeer(nodeId(peer), [peer]);
    await node.transport.start();
    return node;
  }

  /** Lets time pass in small steps, with the promises of each. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1) {
      this.clock.advance(1);
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    }
  }

  async pair(options: Partial<NodeOptions> = {}): Promise<[TransportNode, TransportNode]> {
    const left = await this.node('n1', ['n2'], options);
    const right = await this.node('n2', ['n1'], options);
    await this.pass(200);
    if (!left.transport.connected(n2) || !right.transport.connected(n1)) throw new Error('the pair did not meet');
    left.log.length = 0;
    right.log.length = 0;
    return [left, right];
  }
}

describe('delivery', () => {
  test('messages, requests and replies arrive once and in order, however the stream is split', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const world = new World(seed);
      world.network.chunkBytesMax = seed;
      const [left, right] = await world.pair();
      for (let at = 1; at <= 50; at += 1) left.transport.send(n2, 3, numbered(at));
      expect(
        left.transport.request(n2, { id: 5, group: 1, kind: 1, timeoutMs: 10, payload: new Uint8Array(100) }),
      ).toBe(true);
      left.transport.flush();
      right.transport.reply(n1, {
        id: 6,
        code: '',
        outcome: 'none',
        leaderHint: '',
        retryAfterMs: 0,
        index: 1,
        term: 1,
        payload: new Uint8Array(1),
      });
      right.transport.flush();
      await world.pass(10);
      expect(right.received).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
      expect(right.log).toEqual(['request n1 5']);
      expect(left.log).toEqual(['reply n2 6']);
      expect(right.batchEnds).toBeGreaterThan(0);
    }
  });

  test('nothing leaves before flush, and then in one write and one frame', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    const before = left.transport.counters.framesSent;
    for (let at = 0; at < 100; at += 1) left.transport.send(n2, at + 1, numbered(at));
    await world.pass(5);
    expect(right.received).toHaveLength(0);
    left.transport.flush();
    await world.pass(5);
    expect(right.received).toHaveLength(100);
    expect(left.transport.counters.framesSent - before).toBe(1);
  });

  test('a batch larger than a frame is split, and a payload of 9 MiB passes', async () => {
    const world = new World();
    world.network.chunkBytesMax = 65_536;
    const [left, right] = await world.pair();
    const before = left.transport.counters.framesSent;
    const payload = new Uint8Array(9 * 1024 * 1024).fill(3);
    for (let at = 1; at <= 3; at += 1) {
      const entries = [entry({ index: at, term: 1, kind: EntryKind.command, timeMs: 0, payload })];
      left.transport.send(n2, 1, {
        kind: MessageKind.append,
        from: n1,
        to: n2,
        term: at,
        prevIndex: at - 1,
        prevTerm: at === 1 ? 0 : 1,
        entries,
        commit: 0,
        sentMs: 0,
        round: 0,
        leaseMs: 0,
        driftPpm: 0,
        probe: false,
      });
    }
    left.transport.flush();
    await world.pass(5);
    expect(right.received).toEqual([1, 2, 3]);
    expect(left.transport.counters.framesSent - before).toBe(3);
  });

  test('what is too large for any frame is dropped and counted, and harms nothing', async () => {
    const world = new World();
    const [left, right] = await world.pair({ limits: { frameBytesMax: 8192, frameTargetBytes: 1024 } });
    const request = { id: 1, group: 1, kind: 1, timeoutMs: 1, payload: new Uint8Array(8192) };
    expect(left.transport.request(n2, request)).toBe(false);
    left.transport.send(n2, 1, numbered(1));
    left.transport.flush();
    await world.pass(5);
    expect(right.received).toEqual([1]);
    expect(left.transport.counters.dropped).toBe(1);
  });

  test('messages to a peer that is not connected are dropped and counted, requests answer false', async () => {
    const world = new World();
    const left = await world.node('n1', ['n2']);
    left.transport.send(n2, 1, numbered(1));
    left.transport.send(n3, 1, numbered(1));
    expect(left.transport.request(n2, { id: 1, group: 1, kind: 1, timeoutMs: 1, payload: new Uint8Array() })).toBe(
      false,
    );
    expect(left.transport.counters.dropped).toBe(3);
    expect(left.transport.peers()[0]?.counters.dropped).toBe(2);
  });

  test('a peer that does not read costs a bounded queue, and is given up in the end', async () => {
    const world = new World();
    const [left, right] = await world.pair({ limits: { queueBytesMax: 10_000 } });
    const other = await world.node('n3', ['n1']);
    left.transport.setPeer(n3, ['n3']);
    await world.pass(100);
    world.network.stall('n2', true);
    for (let at = 0; at < 2000; at += 1) {
      left.transport.send(n2, 1, numbered(at));
      if (at % 10 === 0) left.transport.flush();
      expect(left.transport.peers()[0]?.queuedBytes).toBeLessThan(10_100);
    }
    expect(left.transport.counters.dropped).toBeGreaterThan(1000);
    expect(left.transport.request(n2, { id: 1, group: 1, kind: 1, timeoutMs: 1, payload: new Uint8Array() })).toBe(
      false,
    );
    left.transport.send(n3, 1, numbered(7));
    left.transport.flush();
    await world.pass(5);
    expect(other.received).toEqual([7]);
    await world.pass(6000);
    expect(left.log.find((line) => line.startsWith('down'))).toMatch(/^down n2 (SILENT|LOST)$/);
    expect(right.received.length).toBeLessThan(1000);
  });
});

describe('connections', () => {
  test('a pair keeps one connection, dialed by the smaller id', async () => {
    const world = new World();
    await world.pair();
    expect(world.network.openConnections).toBe(1);
    await world.pass(10_000);
    expect(world.network.openConnections).toBe(1);
  });

  test('an idle connection stays up', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    await world.pass(30_000);
    expect([left.log, right.log]).toEqual([[], []]);
  });

  test('a dead peer is known to be dead at once, on the dialing and on the listening side', async () => {
    for (const [dead, alive] of [
      ['n1', 1],
      ['n2', 0],
    ] as const) {
      const world = new World();
      const pair = await world.pair();
      await world.pass(3000);
      world.network.kill(dead);
      const node = pair[alive];
      void pair[1 - alive]?.transport.close();
      await world.pass(20);
      expect(node.log).toEqual([`down ${dead} LOST`, `down ${dead} REFUSED`]);
      await world.pass(20_000);
      expect(node.log).toHaveLength(2);
    }
  });

  test('a restarted peer is met again, and an old life of it no more', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    world.network.kill('n2');
    await right.transport.close();
    const again = await world.node('n2', ['n1'], { identity: identity(50, 2) });
    await world.pass(5000);
    expect(again.log).toEqual(['up n1']);
    expect(left.log.at(-1)).toBe('up again n2');
    left.transport.send(n2, 1, numbered(1));
    left.transport.flush();
    await world.pass(5);
    expect(again.received).toEqual([1]);

    world.network.kill('n2');
    await again.transport.close();
    const stale = await world.node('n2', ['n1'], { identity: identity(50, 1) });
    await world.pass(5000);
    expect(stale.log).toEqual(['refused by n1 STALE_INCARNATION']);
    expect(left.transport.connected(n2)).toBe(false);
  });

  test('whoever comes back is met at once, however long the other side has waited between its dials', async () => {
    for (const name of ['n1', 'n2']) {
      const world = new World();
      const pair = await world.pair();
      const [gone, other] = name === 'n1' ? pair : pair.toReversed();
      world.network.kill(name);
      await gone?.transport.close();
      await world.pass(20_000);
      await world.node(name, [other?.id as string], { identity: identity(name.charCodeAt(1), 2) });
      await world.pass(20);
      expect(other?.transport.connected(nodeId(name))).toBe(true);
      expect(world.network.openConnections).toBe(1);
    }
  });

  test('a peer that comes back at another address is met there, whoever of the two dials', async () => {
    for (const name of ['n1', 'n2']) {
      const world = new World();
      const pair = await world.pair();
      const [gone, other] = name === 'n1' ? pair : pair.toReversed();
      world.network.kill(name);
      await gone?.transport.close();
      await world.pass(5_000);
      await world.node(name, [other?.id as string], {
        identity: identity(name.charCodeAt(1), 2),
        listenAddress: 'elsewhere',
      });
      await world.pass(5_000);
      // The smaller id dials: it needs nobody to know where it is.
      expect(other?.transport.connected(nodeId(name))).toBe(name === 'n1');
      other?.transport.setPeer(nodeId(name), [name, 'elsewhere']);
      await world.pass(20);
      expect(other?.transport.connected(nodeId(name))).toBe(true);
      expect(world.network.openConnections).toBe(1);
    }
  });

  test('a peer that is said to be elsewhere before it went there stays connected, and is found where it was', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    left.transport.setPeer(n2, ['elsewhere']);
    await world.pass(100);
    expect(left.log).toEqual([]);
    world.network.refuse('n1', 'n2');
    world.network.heal();
    await world.pass(500);
    expect(left.transport.connected(n2)).toBe(true);
    expect(left.losses.map(({ refused }) => refused)).toEqual([false]);
    expect(right.transport.connected(n1)).toBe(true);
  });

  test('a machine that booted anew is met at once, although its old connection never ended', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    world.network.cut('n1', 'n2');
    await right.transport.close();
    const again = await world.node('n2', [], { identity: identity(50, 2) });
    await world.pass(100);
    expect(left.transport.connected(n2)).toBe(true);
    world.network.heal();
    again.transport.setPeer(n1, ['n1']);
    await world.pass(20);
    expect(again.transport.connected(n1)).toBe(true);
    expect(left.log).toEqual(['down n2 LOST', 'up again n2']);
  });

  test('a newer inbound connection of the same life takes the place of the older', async () => {
    const world = new World();
    const [, right] = await world.pair();
    const twin = await world.node('n1', ['n2'], { identity: identity(49), listenAddress: 'elsewhere' });
    await world.pass(30);
    expect(right.log.slice(0, 2)).toEqual(['down n1 REPLACED', 'up n1']);
    expect(twin.log).toContain('up n2');
    await twin.transport.close();
  });

  test('a link that fails all the time makes no storm', async () => {
    const world = new World();
    const left = await world.node('n1', ['n2']);
    const right = await world.node('n2', ['n1'], {
      admit: () => Promise.resolve(new NoriError('UNKNOWN_MEMBER', { message: 'no' })),
    });
    await world.pass(60_000);
    expect(left.log).toEqual(['refused by n2 UNKNOWN_MEMBER']);
    expect(right.transport.counters.rejected.UNKNOWN_MEMBER).toBeLessThan(60);
    expect(right.transport.counters.rejected.UNKNOWN_MEMBER).toBeGreaterThan(20);
  });

  test('a cut network is given up, and met again soon after it heals', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    world.network.cut('n1', 'n2');
    await world.pass(30_000);
    expect(left.log).toEqual(['down n2 SILENT']);
    expect(right.log).toEqual(['down n1 SILENT']);
    world.network.heal();
    await world.pass(4000);
    expect(left.transport.connected(n2) && right.transport.connected(n1)).toBe(true);
  });

  test('resets and lost chunks never duplicate, reorder or invent a message', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const world = new World(seed);
      world.network.chunkBytesMax = 100;
      const [left, right] = await world.pair();
      world.network.resetChance = 0.02;
      for (let at = 1; at <= 300; at += 1) {
        left.transport.send(n2, 1, numbered(at));
        left.transport.flush();
        await world.pass(5);
      }
      const sorted = [...new Set(right.received)].sort((a, b) => a - b);
      expect(right.received).toEqual(sorted);
      expect(right.received.length).toBeGreaterThan(20);
    }
  });

  test('a removed peer is told, delivers nothing and is refused', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    left.transport.send(n2, 1, numbered(1));
    left.transport.flush();
    right.transport.removePeer(n1);
    await world.pass(5000);
    expect(right.received).toEqual([]);
    expect(right.log).toEqual(['down n1 REMOVED', 'rejected UNKNOWN_MEMBER'].concat(right.log.slice(2)));
    expect(left.log).toContain('refused by n2 UNKNOWN_MEMBER');
    expect(right.transport.peers()).toEqual([]);
  });

  test('after close nothing is heard and nothing is left', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    await left.transport.close();
    await right.transport.close();
    await world.pass(5000);
    expect([left.log, right.log]).toEqual([[], []]);
    expect(world.network.openConnections).toBe(0);
  });
});

describe('who may be a peer', () => {
  const meet = async (
    leftOptions: Partial<NodeOptions>,
    rightOptions: Partial<NodeOptions>,
    peers: readonly [readonly string[], readonly string[]] = [['n2'], ['n1']],
  ): Promise<[TransportNode, TransportNode]> => {
    const world = new World();
    const right = await world.node('n2', peers[1], rightOptions);
    const left = await world.node('n1', peers[0], leftOptions);
    await world.pass(1000);
    return [left, right];
  };

  test('not a node of another cluster', async () => {
    const [left, right] = await meet({ cluster: 8 }, {});
    expect(left.log).toContain('refused by n2 WRONG_CLUSTER');
    expect(right.log).toContain('rejected WRONG_CLUSTER');
    expect(right.transport.connected(n1)).toBe(false);
  });

  test('not a node that nobody added', async () => {
    const [left, right] = await meet({}, {}, [['n2'], []]);
    expect(left.log).toEqual(['refused by n2 UNKNOWN_MEMBER']);
    expect(right.transport.counters.rejected.UNKNOWN_MEMBER).toBeGreaterThan(0);
  });

  test('not one whom nobody would dial either, and it is told', async () => {
    const [, right] = await meet({}, {}, [[], ['n1']]);
    expect(right.log).toEqual(['refused by n1 UNKNOWN_MEMBER']);
  });

  test('not whoever listens at the address of another', async () => {
    const world = new World();
    const right = await world.node('n3', ['n1'], { listenAddress: 'n2' });
    const left = await world.node('n1', ['n2']);
    await world.pass(100);
    expect(left.log).toContain('refused by n2 WRONG_NODE');
    expect(right.log).toContain('rejected WRONG_NODE');
  });

  test('not whom either side does not admit, and nothing of it is delivered', async () => {
    const admit = (): Promise<NoriError> => Promise.resolve(new NoriError('DISK_REPLACED', { message: 'wiped' }));
    for (const [refuser, refused] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const nodes = await meet(refuser === 0 ? { admit } : {}, refuser === 1 ? { admit } : {});
      expect(nodes[refused].log[0]).toMatch(/^refused by n. DISK_REPLACED$/);
      expect(nodes[refuser].log[0]).toBe('rejected DISK_REPLACED');
      expect(nodes.every((node) => node.transport.peers().every((peer) => !peer.connected))).toBe(true);
      expect(nodes.every((node) => !node.log.some((line) => line.startsWith('up')))).toBe(true);
    }
  });

  test('not one whose admission failed', async () => {
    const [left, right] = await meet({}, { admit: () => Promise.reject(new Error('EIO')) });
    expect(left.log).toEqual(['refused by n2 DISK_FAILED']);
    expect(right.transport.connected(n1)).toBe(false);
  });

  test('nobody before its admission has ended, however long that takes', async () => {
    const world = new World();
    let admit: (() => void) | null = null;
    const left = await world.node('n1', ['n2']);
    const right = await world.node('n2', ['n1'], {
      admit: () =>
        new Promise((resolve) => {
          admit = () => resolve(null);
        }),
    });
    await world.pass(1500);
    expect(left.transport.connected(n2) || right.transport.connected(n1)).toBe(false);
    (admit as (() => void) | null)?.();
    await world.pass(10);
    expect(left.transport.connected(n2) && right.transport.connected(n1)).toBe(true);
  });

  test('two disks of one name are told apart by the transport itself', async () => {
    const world = new World();
    const [left, right] = await world.pair();
    world.network.kill('n2');
    await right.transport.close();
    const wiped = await world.node('n2', ['n1'], { identity: identity(99, 5) });
    await world.pass(3000);
    expect(wiped.log).toEqual(['refused by n1 DISK_REPLACED']);
    expect(left.transport.counters.rejected.DISK_REPLACED).toBeGreaterThan(0);
  });

  test('the host hears what the peer vouches for', async () => {
    const heard: string[] = [];
    await meet(
      {},
      {
        admit: (peer, _identity, vouched) => {
          heard.push(`${peer}: ${vouched.map(([id, disk]) => `${id}=${disk[0]}`).join()}`);
          return Promise.resolve(null);
        },
      },
    );
    expect(heard).toEqual(['n1: n9=9']);
  });
});

test('attributes that do not fit are refused before anything starts', () => {
  const attributes = Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`a${at}`, 'x']));
  const world = new World();
  const make = (given: Record<string, string>): TransportNode =>
    new TransportNode('n1', {
      clock: world.clock,
      network: world.network.at('n1'),
      identity: { ...identity(1), attributes: given },
    });
  expect(() => make(attributes)).toThrow(NoriError);
  expect(() => make({ a: 'x'.repeat(60_000) })).toThrow(NoriError);
});
