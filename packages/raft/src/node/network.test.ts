import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { identity, numbered, TransportNode, type NodeOptions } from '../../test/support/transport-node.test-support.ts';
import { NoriError } from '../base/errors.ts';
import { ByteWriter } from '../codec/bytes.ts';
import { beginFrame, endFrame, FrameReader, FrameType } from '../codec/frame.ts';
import { Channel, type Hello, readRefusal, writeHello } from '../codec/handshake.ts';
import { nodeId } from '../core/types.ts';
import { nodeClock } from './clock.ts';
import { formatAddress, nodeNetwork, parseAddress } from './network.ts';
import { nodeRandom } from './random.ts';

const clock = nodeClock();
const network = nodeNetwork();
const n1 = nodeId('n1');
const n2 = nodeId('n2');
const started: TransportNode[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(started.splice(0).map((node) => node.transport.close()));
});

async function start(name: string, options: Partial<NodeOptions> = {}): Promise<[TransportNode, string]> {
  const node = new TransportNode(name, { clock, network, listenAddress: '127.0.0.1:0', ...options });
  started.push(node);
  return [node, await node.transport.start()];
}

async function until(what: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 5000;
  while (!what()) {
    if (performance.now() > giveUpMs) throw new Error('it did not happen in 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Stranger {
  readonly socket: Socket;
  readonly received: Buffer[];
  readonly closed: Promise<void>;
}

function stranger(address: string): Stranger {
  const socket = connect(parseAddress(address));
  sockets.push(socket);
  const received: Buffer[] = [];
  socket.on('data', (bytes) => received.push(bytes));
  socket.on('error', () => undefined);
  return { socket, received, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

function hello(change: Partial<Hello> = {}): Uint8Array {
  const writer = new ByteWriter();
  const frame = beginFrame(writer, FrameType.hello);
  writeHello(writer, {
    protocolMin: 1,
    protocolMax: 1,
    clusterId: new Uint8Array(16).fill(7),
    nodeId: n1,
    expectedId: n2,
    identity: identity(1),
    vouched: [],
    channel: Channel.main,
    ...change,
  });
  endFrame(writer, frame);
  return writer.take();
}

function refusalIn(received: readonly Buffer[]): string {
  const reader = new FrameReader();
  reader.push(Buffer.concat(received));
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    if (frame.type === FrameType.refuse) return readRefusal(frame.body).code;
  }
  return 'none';
}

function batch(...body: number[]): Uint8Array {
  const writer = new ByteWriter();
  const frame = beginFrame(writer, FrameType.batch);
  writer.raw(new Uint8Array(body));
  endFrame(writer, frame);
  return writer.take();
}

describe('whatever speaks to the peer port, it is cut off, counted, and harms nobody', () => {
  const garbage: readonly [string, () => Uint8Array, string, 'told why' | 'just cut'][] = [
    ['HTTP', () => Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'WIRE_TOO_LARGE', 'just cut'],
    ['TLS', () => Buffer.from('160301020001000100', 'hex'), 'WIRE_TOO_LARGE', 'just cut'],
    ['a length of 2 GiB', () => Buffer.from('00000080', 'hex'), 'WIRE_TOO_LARGE', 'just cut'],
    ['zeros', () => new Uint8Array(64), 'WIRE_MALFORMED', 'just cut'],
    ['a damaged hello', () => hello().fill(0, 30, 34), 'WIRE_CHECKSUM', 'just cut'],
    ['a batch before the handshake', () => batch(), 'WIRE_MALFORMED', 'just cut'],
    ['a batch behind the hello', () => Buffer.concat([hello(), batch()]), 'WIRE_MALFORMED', 'told why'],
    ['two hellos', () => Buffer.concat([hello(), hello()]), 'WIRE_MALFORMED', 'told why'],
    ['a hello of protocol 2', () => hello({ protocolMin: 2, protocolMax: 2 }), 'WIRE_VERSION', 'told why'],
    ['another cluster', () => hello({ clusterId: new Uint8Array(16) }), 'WRONG_CLUSTER', 'told why'],
    ['one who looks for another node', () => hello({ expectedId: nodeId('n5') }), 'WRONG_NODE', 'told why'],
    ['one with our own id', () => hello({ nodeId: n2 }), 'WRONG_NODE', 'told why'],
    ['one that nobody added', () => hello({ nodeId: nodeId('m1') }), 'UNKNOWN_MEMBER', 'told why'],
  ];
  test.each(garbage)('%s', async (_what, bytes, code, told) => {
    const [right, address] = await start('n2');
    const [left] = await start('n1');
    right.transport.setPeer(n1, ['127.0.0.1:1']);
    const { socket, received, closed } = stranger(address);
    socket.write(bytes());
    await closed;
    expect(right.transport.counters.rejected).toEqual({ [code]: 1 });
    expect(right.log).toEqual([`rejected ${code}`]);
    expect(right.received).toEqual([]);
    expect(refusalIn(received)).toBe(told === 'told why' ? code : 'none');

    left.transport.setPeer(n2, [address]);
    await until(() => left.transport.connected(n2));
  });

  test('half a frame and then silence, or no byte at all, is cut off when the handshake takes too long', async () => {
    const [node, address] = await start('n2', { limits: { handshakeTimeoutMs: 100 } });
    const silent = stranger(address);
    const half = stranger(address);
    half.socket.write(hello().subarray(0, 40));
    await Promise.all([silent.closed, half.closed]);
    expect(node.transport.counters.rejected).toEqual({ WIRE_MALFORMED: 2 });
  });

  test('half a frame and then the end is counted, a mere knock is not', async () => {
    const [node, address] = await start('n2');
    const knock = stranger(address);
    knock.socket.once('connect', () => knock.socket.end());
    await knock.closed;
    const half = stranger(address);
    half.socket.end(hello().subarray(0, 40));
    await half.closed;
    await until(() => node.transport.counters.rejected.WIRE_MALFORMED === 1);
    expect(node.log).toEqual(['rejected WIRE_MALFORMED']);
  });

  test('200 half-open connections do not keep an honest peer out', async () => {
    const [right, address] = await start('n2');
    const [left] = await start('n1');
    right.transport.setPeer(n1, ['127.0.0.1:1']);
    const strangers = Array.from({ length: 200 }, () => stranger(address));
    await until(() => (right.transport.counters.rejected.OVERLOADED ?? 0) >= 136);
    left.transport.setPeer(n2, [address]);
    await until(() => left.transport.connected(n2));
    expect(right.log.filter((line) => line.startsWith('rejected')).length).toBeLessThanOrEqual(20);
    expect(strangers).toHaveLength(200);
  });

  test('a peer that turns to garbage after the handshake is cut off and met again', async () => {
    const [right, address] = await start('n2');
    right.transport.setPeer(n1, ['127.0.0.1:1']);
    const { socket, received, closed } = stranger(address);
    const welcome = new ByteWriter();
    endFrame(welcome, beginFrame(welcome, FrameType.welcome));
    socket.write(hello());
    socket.write(welcome.take());
    await until(() => right.transport.connected(n1));
    // An item of an unknown kind that may not be skipped.
    socket.write(batch(2, 0, 0, 0, 99, 0));
    await closed;
    expect(refusalIn(received)).toBe('WIRE_VERSION');
    expect(right.log.slice(0, 3)).toEqual(['up n1', 'rejected WIRE_VERSION', 'down n1 WIRE_VERSION']);
    const [left] = await start('n1', { identity: identity(1) });
    left.transport.setPeer(n2, [address]);
    await until(() => left.transport.connected(n2));
  });
});

describe('between real sockets', () => {
  const pair = async (options: Partial<NodeOptions> = {}): Promise<[TransportNode, TransportNode, string, string]> => {
    const [left, leftAddress] = await start('n1', options);
    const [right, rightAddress] = await start('n2', options);
    left.transport.setPeer(n2, [rightAddress]);
    right.transport.setPeer(n1, [leftAddress]);
    await until(() => left.transport.connected(n2) && right.transport.connected(n1));
    return [left, right, leftAddress, rightAddress];
  };

  test('messages arrive in order, and large requests whole', async () => {
    const [left, right] = await pair();
    for (let at = 1; at <= 5000; at += 1) {
      left.transport.send(n2, 1, numbered(at));
      if (at % 7 === 0) left.transport.flush();
    }
    const payload = new Uint8Array(9 * 1024 * 1024);
    expect(left.transport.request(n2, { id: 8, group: 1, kind: 1, timeoutMs: 1, payload })).toBe(true);
    left.transport.flush();
    await until(() => right.log.includes('request n1 8'));
    expect(right.received).toEqual(Array.from({ length: 5000 }, (_, at) => at + 1));
  });

  test('a peer that restarts is met again within a second', async () => {
    const [left, right, , address] = await pair({ limits: { livedMs: 1 } });
    await right.transport.close();
    await until(() => left.log.includes('down n2 REFUSED'));
    const [again] = await start('n2', { listenAddress: address, identity: identity(50, 2) });
    again.transport.setPeer(n1, ['127.0.0.1:1']);
    const startMs = performance.now();
    await until(() => left.transport.connected(n2) && again.transport.connected(n1));
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  test('the listening side learns at once that the dialing one is gone', async () => {
    const [left, right] = await pair();
    await left.transport.close();
    await until(() => right.log.includes('down n1 REFUSED'));
    expect(right.log).toEqual(['up n1', 'down n1 LOST', 'down n1 REFUSED']);
  });

  test('a replaced disk is refused and told why', async () => {
    const [left, right, , address] = await pair({ limits: { livedMs: 1 } });
    await right.transport.close();
    const [wiped] = await start('n2', { listenAddress: address, identity: identity(99, 9) });
    wiped.transport.setPeer(n1, ['127.0.0.1:1']);
    await until(() => wiped.log.includes('refused by n1 DISK_REPLACED'));
    expect(left.transport.connected(n2)).toBe(false);
  });

  test('a peer that does not read costs a bounded queue', async () => {
    const [left] = await start('n1', { limits: { queueBytesMax: 1024 * 1024 } });
    let accepted = 0;
    const server = createServer((socket) => {
      accepted += 1;
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.pause();
        const welcome = new ByteWriter();
        endFrame(welcome, beginFrame(welcome, FrameType.welcome));
        socket.write(hello({ nodeId: n2, expectedId: n1 }));
        socket.write(welcome.take());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = server.address() as { port: number };
    left.transport.setPeer(n2, [`127.0.0.1:${port}`]);
    await until(() => left.transport.connected(n2));
    const payload = new Uint8Array(64 * 1024);
    let refused = 0;
    for (let at = 0; at < 1000; at += 1) {
      if (!left.transport.request(n2, { id: at, group: 1, kind: 1, timeoutMs: 1, payload })) refused += 1;
      left.transport.flush();
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(refused).toBeGreaterThan(700);
    expect(left.transport.peers()[0]?.queuedBytes).toBeLessThan(1200 * 1024);
    expect(accepted).toBe(1);
    server.close();
  });
});

describe('addresses', () => {
  test.each([
    ['127.0.0.1:7201', '127.0.0.1', 7201],
    ['db1.example:0', 'db1.example', 0],
    ['[::1]:7201', '::1', 7201],
    ['[fe80::1%eth0]:65535', 'fe80::1%eth0', 65_535],
  ])('%s is one', (address, host, port) => {
    expect(parseAddress(address)).toEqual({ host, port });
    expect(formatAddress({ host, port })).toBe(address);
  });

  test.each(['', '7201', 'a', 'a:', ':7201', '::1:7201', 'a:65536', 'a:-1', 'a:1x', 'http://a:1', '[::1]', '[a]b:1'])(
    '"%s" is none',
    (address) => {
      expect(() => parseAddress(address)).toThrow(NoriError);
    },
  );

  test('a port in use is told as such, and one that cannot be bound as well', async () => {
    const [, address] = await start('n1');
    const [node, other] = [(): Promise<unknown> => start('n2', { listenAddress: address }), '192.0.2.1:0'];
    await expect(node()).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await expect(start('n3', { listenAddress: other })).rejects.toMatchObject({ code: 'ADDRESS_INVALID' });
    await expect(start('n4', { listenAddress: 'nonsense' })).rejects.toMatchObject({ code: 'ADDRESS_INVALID' });
  });

  test('dialing one that is none ends without an exception', async () => {
    const [node] = await start('n1');
    node.transport.setPeer(n2, ['nonsense']);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(node.transport.connected(n2)).toBe(false);
  });
});

test('a timer never wakes early, and a cancelled one never', async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    const atMs = clock.nowMs() + turn / 7;
    let cancelled = true;
    clock
      .wakeAt(atMs, () => {
        cancelled = false;
      })
      .cancel();
    await new Promise<void>((resolve) => {
      clock.wakeAt(atMs, resolve);
    });
    expect(clock.nowMs()).toBeGreaterThanOrEqual(atMs);
    expect(cancelled).toBe(true);
  }
});

test('chance gives whole numbers of 32 bits and bytes that differ', () => {
  const random = nodeRandom();
  expect(random.bytes(16)).not.toEqual(random.bytes(16));
  const value = random.uint32();
  expect(value >= 0 && value < 2 ** 32 && Number.isInteger(value)).toBe(true);
});
