import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freeBasePort } from '../support/free-ports.ts';
import { NodeProcess } from '../support/node-process.ts';
import { ErrorReply } from '../support/resp-client.ts';
import { flagsOf, TestCluster } from '../support/test-cluster.ts';
import { sleep, until } from '../support/until.ts';

const memoryGrowthBytesMax = 150 * 1024 * 1024;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nori-kv-bad-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Exactly one line, which names the program and says what to do; never a stack trace. */
function expectOneLine(stderr: string, pattern: RegExp): void {
  expect(stderr).toMatch(/^nori-kv: [^\n]+\n$/);
  expect(stderr).toMatch(pattern);
  expect(stderr).not.toMatch(/ {4}at /);
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

async function speak(port: number, bytes: Buffer | string): Promise<{ socket: Socket; ended: Promise<void> }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([once(socket, 'connect'), ended]);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return { socket, ended };
}

describe('strangers on the ports of a running cluster', () => {
  let cluster: TestCluster;
  let sockets: Socket[] = [];

  beforeAll(async () => {
    cluster = await TestCluster.start({ shards: 2 });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await cluster?.close();
  });

  const noise = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 2_654_435_761) >>> 13));
  const length = (value: number, bytes = 4): Buffer => {
    const buffer = Buffer.alloc(64);
    buffer.writeUIntLE(value, 0, bytes);
    return buffer;
  };
  const rows: readonly (readonly [string, Buffer | string])[] = [
    ['noise', noise],
    ['zeros', Buffer.alloc(4096)],
    ['ones', Buffer.alloc(4096, 0xff)],
    ['HTTP', 'GET /v1/cluster HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['an HTTP request that never ends', `POST /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\nabc`],
    ['half a header line', 'GET /healthz HTT'],
    ['a TLS hello', Buffer.from('16030100f8010000f40303', 'hex')],
    ['half a RESP command', '*3\r\n$3\r\nSET\r\n$1'],
    ['a RESP string of 2 GiB', '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2147483648\r\n'],
    ['a RESP array of 2 Gi', '*2147483648\r\n'],
    ['a negative RESP length', '*2\r\n$3\r\nGET\r\n$-7\r\n'],
    ['a hundred thousand nested arrays', '*1\r\n'.repeat(100_000)],
    ['a line without end', 'x'.repeat(200_000)],
    ['a frame of 2 GiB, little end first', length(2_147_483_648)],
    ['a frame of 4 GiB - 1', length(4_294_967_295)],
    ['a frame of no bytes', length(0)],
    ['half a frame', length(60).subarray(0, 20)],
    ['one byte', 'N'],
  ];

  test.each(rows)('%s on every port: the node lives and serves', async (_name, bytes) => {
    const { pid } = cluster.process('n1');
    const before = residentBytes(pid);
    for (const port of [cluster.respPort('n1'), cluster.httpPort('n1'), cluster.peerPort('n1')]) {
      for (let time = 0; time < 3; time += 1) sockets.push((await speak(port, bytes)).socket);
    }
    expect(await cluster.ask('n1', 'SET', 'canary', 'sings')).toBe('OK');
    expect(await cluster.ask('n1', 'GET', 'canary')).toBe('sings');
    expect((await fetch(`http://127.0.0.1:${cluster.httpPort('n1')}/healthz`)).status).toBe(200);
    expect(cluster.process('n1').alive).toBe(true);
    expect(residentBytes(pid) - before).toBeLessThan(memoryGrowthBytesMax);
  });

  test('what cannot become a command or a frame ends the connection', async () => {
    const cases: readonly (readonly [number, Buffer | string])[] = [
      [cluster.respPort('n1'), '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2147483648\r\n'],
      [cluster.respPort('n1'), '*2147483648\r\n'],
      [cluster.respPort('n1'), 'POST / HTTP/1.1\r\n'],
      [cluster.httpPort('n1'), noise],
      [cluster.peerPort('n1'), noise],
      [cluster.peerPort('n1'), 'GET / HTTP/1.1\r\n\r\n'.repeat(10)],
      [cluster.peerPort('n1'), length(2_147_483_648)],
    ];
    for (const [port, bytes] of cases) {
      const { socket, ended } = await speak(port, bytes);
      sockets.push(socket);
      const closed = await Promise.race([ended.then(() => true), sleep(10_000).then(() => false)]);
      expect(closed, `port ${port}, ${String(bytes.slice(0, 20))}`).toBe(true);
    }
  });

  test('the peers were not disturbed, and the refusals were counted', async () => {
    await cluster.ready();
    const { nodes, shards } = await cluster.view('n1');
    expect(nodes.map(({ alive }) => alive)).toEqual([true, true, true]);
    for (const { leader, halted } of shards) {
      expect(leader).not.toBe(null);
      expect(halted).toBe(null);
    }
    expect(cluster.process('n1').log.some(({ code }) => String(code).startsWith('WIRE_'))).toBe(true);
    expect(cluster.process('n1').stderr).toBe('');
    for (const socket of sockets) socket.destroy();
    sockets = [];
  });

  test('unknown commands and wrong arguments get an error, and the connection lives', async () => {
    const client = await cluster.connect('n2');
    try {
      const cases: readonly (readonly [readonly string[], RegExp])[] = [
        [['FROB', 'a'], /^ERR unknown command 'FROB'/],
        [['GET'], /^ERR wrong number of arguments for 'get' command/],
        [['GET', 'a', 'b'], /^ERR wrong number of arguments for 'get' command/],
        [['SET', 'a'], /^ERR wrong number of arguments for 'set' command/],
        [['SET', 'a', 'b', 'FROB'], /^ERR syntax error/],
        [['SET', 'a', 'b', 'PX', '0'], /^ERR invalid expire time/],
        [['SET', 'a', 'b', 'PX', 'soon'], /^ERR value is not an integer or out of range/],
        [['INCRBY', 'a', '9223372036854775808'], /^ERR value is not an integer or out of range/],
        [['MGET', 'a', 'b'], /^CROSSSLOT /],
        [['SELECT', '1'], /^ERR /],
        [['CLUSTER', 'FROB'], /^ERR /],
        [['EVAL', 'return 1', '0'], /^ERR unknown command/],
      ];
      for (const [command, pattern] of cases) {
        const reply = await client.ask(...command);
        expect(reply, `to ${command.join(' ')}`).toBeInstanceOf(ErrorReply);
        expect((reply as ErrorReply).text, `to ${command.join(' ')}`).toMatch(pattern);
      }
      expect(await client.ask('PING')).toBe('PONG');
      for (const name of ['__proto__', 'constructor', 'toString', '']) {
        expect(await client.ask('SET', name, `of ${name}`)).toBe('OK');
        expect(await client.ask('GET', name)).toBe(`of ${name}`);
      }
    } finally {
      client.close();
    }
  });
});

describe('a node that cannot start', () => {
  const members = 'n1=127.0.0.1:18201,n2=127.0.0.1:18202,n3=127.0.0.1:18203';
  const base: Readonly<Record<string, string>> = {
    '--id': 'n1',
    '--resp': '127.0.0.1:0',
    '--http': '127.0.0.1:0',
    '--peer': '127.0.0.1:18201',
    '--members': members,
  };
  const flags = (changes: Readonly<Record<string, string | null>>): string[] =>
    Object.entries({ ...base, '--data-dir': join(directory, 'unused'), ...changes }).flatMap(([flag, value]) =>
      value === null ? [] : [flag, value],
    );

  const impossible: readonly (readonly [string, Readonly<Record<string, string | null>>, RegExp])[] = [
    [
      'an election timeout not above the heartbeat',
      { '--election-timeout-ms': '100-150' },
      /--election-timeout-ms .*heartbeat/,
    ],
    ['an election timeout that ends before it begins', { '--election-timeout-ms': '600-300' }, /MIN-MAX/],
    ['the same id twice', { '--members': `${members},n2=127.0.0.1:18204` }, /names n2 twice: .*id of its own/],
    [
      'the same address twice',
      { '--members': 'n1=127.0.0.1:18201,n2=127.0.0.1:18201' },
      /n1 and n2 have the same address/,
    ],
    ['no member with this id', { '--id': 'n4' }, /no member called n4 .*add n4=HOST:PORT/],
    ['no id', { '--id': null }, /--id is missing; give it as --id n1/],
    ['no members', { '--members': null }, /--members is missing/],
    ['an id that is none', { '--id': '../n1' }, /--id must be 1 to 64 letters/],
    ['a port above 65535', { '--resp': '127.0.0.1:70000' }, /--resp must be HOST:PORT with a port from 0 to 65535/],
    ['an address without a port', { '--http': '127.0.0.1' }, /--http must be HOST:PORT/],
    ['a peer port that is no number', { '--peer': '127.0.0.1:peer' }, /--peer must be HOST:PORT/],
    [
      'one port for two purposes',
      { '--resp': '127.0.0.1:18301', '--http': '127.0.0.1:18301' },
      /each needs a port of its own/,
    ],
    ['no shards', { '--shards': '0' }, /--shards must be at least 1/],
    ['shards that are no number', { '--shards': 'many' }, /--shards must be a whole number/],
    ['a heartbeat of no time', { '--heartbeat-ms': '0' }, /--heartbeat-ms must be at least 1/],
    ['a routing that is none', { '--routing': 'random' }, /--routing must be forward or redirect/],
    ['an address of another machine', { '--resp': '192.0.2.1:18001' }, /192\.0\.2\.1:18001.*; choose an address/],
    ['a config file that is not there', { '--config': '/nowhere.json' }, /cannot read the config file \/nowhere.json/],
  ];
  test.each(impossible)('%s', async (_name, changes, pattern) => {
    const node = new NodeProcess(['serve', ...flags(changes), '--bootstrap']);
    expect((await node.ended()).code).not.toBe(0);
    expectOneLine(node.stderr, pattern);
  });

  test.each([
    ['an unknown key', '{"colour":"red"}', /unknown key colour in .*--help lists the keys/],
    ['no JSON', '{', /is not JSON/],
    ['a list', '[]', /must hold one JSON object/],
    ['a key of the wrong type', '{"shards":"four!"}', /shards in .* must be a whole number/],
  ])('a config file with %s', async (name, text, pattern) => {
    const file = join(directory, `${name.replaceAll(' ', '-')}.json`);
    writeFileSync(file, text);
    const node = new NodeProcess(['serve', ...flags({ '--config': file })]);
    expect((await node.ended()).code).not.toBe(0);
    expectOneLine(node.stderr, pattern);
  });

  test('an unknown flag', async () => {
    const node = new NodeProcess(['serve', ...flags({}), '--colour', 'red']);
    expect((await node.ended()).code).not.toBe(0);
    expect(node.stderr).toMatch(/unknown option '--colour'/);
    expect(node.stderr).not.toMatch(/ {4}at /);
  });

  test('a data directory that is a file', async () => {
    const file = join(directory, 'a-file');
    writeFileSync(file, 'precious');
    const node = new NodeProcess(['serve', ...flags({ '--data-dir': file }), '--bootstrap']);
    expect((await node.ended()).code).not.toBe(0);
    expectOneLine(node.stderr, /a-file.*; .*director/);
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  test('a data directory that cannot be written', async () => {
    // /proc refuses new names to root as well; a mode would not stop root.
    const node = new NodeProcess(['serve', ...flags({ '--data-dir': '/proc/nori' }), '--bootstrap']);
    expect((await node.ended()).code).not.toBe(0);
    expectOneLine(node.stderr, /\/proc\/nori.*; .*director/);
  });

  test('an empty data directory without --bootstrap', async () => {
    const node = new NodeProcess(['serve', ...flags({ '--data-dir': join(directory, 'empty') })]);
    expect((await node.ended()).code).not.toBe(0);
    expectOneLine(node.stderr, /empty is empty; start it once with --bootstrap .*--join/);
  });

  test('a port in use', async () => {
    const at = await freeBasePort(1);
    const squatter = createServer().listen(at + 1, '127.0.0.1');
    await once(squatter, 'listening');
    onTestFinished(() => void squatter.close());
    for (const flag of ['--resp', '--http', '--peer']) {
      const address = `127.0.0.1:${at + 1}`;
      const taken = flags({
        '--data-dir': join(directory, 'port'),
        '--members': `n1=127.0.0.1:${at + 201},n2=127.0.0.1:${at + 202}`,
        '--peer': `127.0.0.1:${at + 201}`,
        [flag]: address,
      });
      const node = new NodeProcess(['serve', ...taken, '--bootstrap']);
      expect((await node.ended()).code).not.toBe(0);
      expectOneLine(
        node.stderr,
        new RegExp(`${address}.*(in use|EADDRINUSE); stop what listens there, or choose another port`),
      );
    }
  });
});

describe('a node that is not what it says', () => {
  test('a second process on one data directory is refused, and the first one serves on', async () => {
    const cluster = await TestCluster.start({ nodes: 1, shards: 2 });
    onTestFinished(() => cluster.close());
    expect(await cluster.ask('n1', 'SET', 'a', 'b')).toBe('OK');
    const at = await freeBasePort(1);
    const elsewhere = flagsOf({ '--resp': `127.0.0.1:${at + 1}`, '--http': `127.0.0.1:${at + 101}` });
    const second = new NodeProcess([...cluster.argsOf('n1'), ...elsewhere]);
    expect((await second.ended()).code).not.toBe(0);
    expectOneLine(second.stderr, /another process \(process \d+\) uses .*n1; stop the other process/);
    expect(await cluster.ask('n1', 'GET', 'a')).toBe('b');
  });

  test('another number of shards, another id, another cluster name: refused, and nothing is changed', async () => {
    const cluster = await TestCluster.start({ nodes: 1, shards: 2 });
    onTestFinished(() => cluster.close());
    expect(await cluster.ask('n1', 'SET', 'a', 'b')).toBe('OK');
    await cluster.process('n1').stop();
    const changes: readonly (readonly [readonly string[], RegExp])[] = [
      [['--shards', '3'], /founded with 2 shards, not 3: start with --shards 2/],
      [['--cluster-name', 'other'], /belongs to another cluster; /],
      [['--id', 'n9', '--members', `n9=127.0.0.1:${cluster.peerPort('n1')}`], /belongs to node n1, not n9; /],
    ];
    for (const [change, pattern] of changes) {
      const node = new NodeProcess([...cluster.argsOf('n1'), ...change]);
      expect((await node.ended()).code).not.toBe(0);
      expectOneLine(node.stderr, pattern);
    }
    cluster.startNode('n1');
    await cluster.ready();
    expect(await cluster.ask('n1', 'GET', 'a')).toBe('b');
  });

  test('a wiped node with --bootstrap is refused by its peers, who serve on; with its disk back it is welcome', async () => {
    const cluster = await TestCluster.start({ shards: 2 });
    onTestFinished(() => cluster.close());
    expect(await cluster.ask('n1', 'SET', 'kept', 'yes')).toBe('OK');
    await cluster.process('n3').kill();
    const aside = join(cluster.directory, 'aside');
    cpSync(cluster.dataDir('n3'), aside, { recursive: true });
    rmSync(cluster.dataDir('n3'), { recursive: true });

    const wiped = cluster.startNode('n3');
    expect((await wiped.ended()).code).not.toBe(0);
    expectOneLine(wiped.stderr, /n3 has another disk .*; a wiped node may not vote under its old name/);
    await cluster.ready(['n1', 'n2']);
    expect(await cluster.ask('n2', 'GET', 'kept')).toBe('yes');
    expect(await cluster.ask('n1', 'SET', 'still', 'served')).toBe('OK');

    // It never voted: with only one of the other two there is no majority, whatever the wiped one says.
    await cluster.process('n2').kill();
    const again = cluster.startNode('n3');
    await again.ended();
    const refused = await cluster.ask('n1', 'SET', 'kept', 'no');
    expect((refused as ErrorReply).code).toMatch(/^(CLUSTERDOWN|UNKNOWNOUTCOME)$/);

    cluster.startNode('n2');
    rmSync(cluster.dataDir('n3'), { recursive: true });
    cpSync(aside, cluster.dataDir('n3'), { recursive: true });
    cluster.startNode('n3');
    await cluster.ready();
    expect(await cluster.ask('n3', 'GET', 'still')).toBe('served');
  });

  test.each([
    ['of another name', ['--cluster-name', 'other'], ['n2', 'n3']],
    ['with other members', [], ['n2']],
  ] as const)('a peer of a cluster %s is refused on both sides, and nothing is lost', async (_name, flags, met) => {
    const cluster = await TestCluster.start({ shards: 2 });
    onTestFinished(() => cluster.close());
    expect(await cluster.ask('n1', 'SET', 'kept', 'yes')).toBe('OK');

    const at = await freeBasePort(1);
    const members = [`n1=127.0.0.1:${at + 201}`, ...met.map((id) => `${id}=127.0.0.1:${cluster.peerPort(id)}`)];
    const own = flagsOf({
      '--id': 'n1',
      '--data-dir': join(cluster.directory, 'stranger'),
      '--shards': '2',
      '--resp': `127.0.0.1:${at + 1}`,
      '--http': `127.0.0.1:${at + 101}`,
      '--peer': `127.0.0.1:${at + 201}`,
      '--members': members.join(','),
    });
    const stranger = new NodeProcess(['serve', '--bootstrap', ...own, ...flags]);
    onTestFinished(() => (stranger.alive ? stranger.kill() : undefined));
    const saysSo = (node: NodeProcess): boolean => node.log.some(({ code }) => code === 'WRONG_CLUSTER');
    await until('both sides say so', () => {
      if (stranger.exit !== null && !saysSo(stranger)) throw new Error(`it ended: ${stranger.stderr}`);
      return saysSo(stranger) && saysSo(cluster.process('n2'));
    });
    const line = stranger.log.find(({ code }) => code === 'WRONG_CLUSTER');
    expect(line?.msg).toMatch(/refuses this node: .*another cluster/);
    expect(line?.['remedy']).toMatch(/check members and addresses/);
    expect(await cluster.ask('n3', 'GET', 'kept')).toBe('yes');
    expect((await cluster.view('n1')).nodes.map(({ alive }) => alive)).toEqual([true, true, true]);
  });
});
