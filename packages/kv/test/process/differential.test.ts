import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCommand } from '../../src/commands/command-codec.ts';
import { findCommand } from '../../src/commands/command-table.ts';
import { validate } from '../../src/commands/validate.ts';
import { decodeResult, errorResult, toProtocol } from '../../src/resp/result.ts';
import { KvStateMachine } from '../../src/state/kv-state-machine.ts';

const limits = { keyBytesMax: 64 * 1024, valueBytesMax: 512 * 1024 * 1024 };

function redisInstalled(): boolean {
  try {
    return execFileSync('redis-server', ['--version']).includes('v=7');
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Where the reply that starts at `at` ends, or -1 when it is not all there. */
function replyEnd(bytes: Buffer, at: number): number {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return -1;
  const length = Number(bytes.toString('latin1', at + 1, lineEnd));
  let end = lineEnd + 2;
  if (bytes[at] === 0x24 && length >= 0) end += length + 2;
  if (bytes[at] === 0x2a) for (let item = 0; item < length && end >= 0; item += 1) end = replyEnd(bytes, end);
  return end > bytes.length ? -1 : end;
}

/** The real server, asked in batches. */
class Redis {
  #process!: ChildProcess;
  #socket!: Socket;

  async start(): Promise<void> {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#process = spawn('redis-server', args, { stdio: 'ignore' });
    for (let attempt = 0; ; attempt += 1) {
      const socket = connect(port, '127.0.0.1');
      try {
        await once(socket, 'connect');
        this.#socket = socket;
        return;
      } catch (error) {
        if (attempt > 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async ask(commands: readonly (readonly Buffer[])[]): Promise<Buffer[]> {
    const socket = this.#socket;
    const parts: Buffer[] = [];
    for (const args of commands) {
      parts.push(Buffer.from(`*${args.length}\r\n`));
      for (const argument of args) parts.push(Buffer.from(`$${argument.length}\r\n`), argument, Buffer.from('\r\n'));
    }
    const replies: Buffer[] = [];
    let bytes: Buffer = Buffer.alloc(0);
    const done = new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        for (let end = replyEnd(bytes, 0); end >= 0 && bytes.length > 0; end = replyEnd(bytes, 0)) {
          replies.push(bytes.subarray(0, end));
          bytes = bytes.subarray(end);
        }
        if (replies.length < commands.length) return;
        socket.off('data', onData);
        resolve();
      };
      socket.on('data', onData);
      socket.once('close', () => reject(new Error('redis-server closed the connection')));
    });
    socket.write(Buffer.concat(parts));
    await done;
    return replies;
  }

  stop(): void {
    this.#socket.destroy();
    this.#process.kill();
  }
}

/** Ours, asked as the server would ask it. */
class Ours {
  readonly machine: KvStateMachine = new KvStateMachine();
  #index = 0;

  ask(args: readonly Buffer[], timeMs: number): Buffer {
    const refusal = validate(args, limits);
    let result: Uint8Array;
    if (refusal === null) {
      const command = encodeCommand(args, limits);
      if (findCommand(args[0]!.toString('latin1'))!.kind === 'read') {
        this.machine.advanceTime(timeMs);
        result = this.machine.query(command);
      } else {
        const results = this.machine.apply([{ index: (this.#index += 1), term: 1, timeMs, command }]);
        result = (results as readonly Uint8Array[])[0]!;
      }
    } else result = errorResult(refusal);
    return Buffer.from(toProtocol(result, 2));
  }
}

/** mulberry32: a small generator, so that a seed names a run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

class CommandGenerator {
  readonly #random: () => number;
  readonly #baseMs: number;
  constructor(seed: number, baseMs: number) {
    this.#random = generator(seed);
    this.#baseMs = baseMs;
  }
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
  key(): Buffer {
    return text(
      this.pick(['a', 'b', 'c', 'd', '', '__proto__', 'constructor', '\x00\xff\r\n', '{t}1', '{t}2', 'k*[x]']),
    );
  }
  integer(): Buffer {
    const edges = ['0', '1', '-1', '7', '9007199254740991', '9007199254740993', '9223372036854775807'];
    const odd = ['-9223372036854775808', '9223372036854775808', '-0', '+1', '01', '1.5', ' 1', '1 ', '', 'y', '1e3'];
    return text(this.pick(this.#random() < 0.6 ? edges : odd));
  }
  float(): Buffer {
    const usual = ['0', '1', '-1', '1.5', '0.1', '-0.3', '3.14159265358979', '5e3', '1e-5', '10000000000', '2.0e2'];
    const odd = ['inf', '-inf', 'nan', 'y', '', ' 1', '1e', '.5', '5.', '1e17', '123456789012345678', '1e-20', '--1'];
    return text(this.pick(this.#random() < 0.7 ? usual : odd));
  }
  /** No `x`, which could end up behind a 0: hexadecimal floats are the one form of a number we do not read. */
  value(): Buffer {
    const choice = this.#random();
    if (choice < 0.3) return this.integer();
    if (choice < 0.5) return this.float();
    if (choice < 0.6) return text('\xe4\x00binary\r\n'.repeat(Math.ceil(this.#random() * 200)));
    return text(this.pick(['', 'y', 'hello', 'hello world', '\x00\x01\xff']));
  }
  offset(): Buffer {
    return text(this.pick(['0', '1', '-1', '3', '-3', '10', '-100', '1000', '2000', 'x', '-9223372036854775808']));
  }
  /** Times are far from now on either side, so that no moment between the two servers' clocks matters. */
  atMs(): number {
    return this.#baseMs + 1000 * this.pick([-100_000, 50_000, 60_000, 500_000, 5_000_000]);
  }
  expiry(words: readonly string[]): Buffer[] {
    const word = this.pick(words);
    const tooLate = word.toLowerCase() === 'pxat' ? '9223372036854775808' : '9223372036854775807';
    const odd = this.#random() < 0.15 ? this.pick(['0', '-1', 'x', '', tooLate]) : null;
    switch (word.toLowerCase()) {
      case 'ex':
        return [text(word), text(odd ?? this.pick(['100', '1000']))];
      case 'px':
        return [text(word), text(odd ?? this.pick(['100000', '1000000']))];
      case 'exat':
        return [text(word), text(odd ?? String(Math.floor(this.atMs() / 1000)))];
      case 'pxat':
        return [text(word), text(odd ?? String(this.atMs()))];
      default:
        return [text(word)];
    }
  }
  setOptions(): Buffer[] {
    const options: Buffer[] = [];
    const words = ['NX', 'xx', 'GET', 'get', 'EX', 'px', 'EXAT', 'pxat', 'KEEPTTL', 'junk', 'PERSIST'];
    while (this.#random() < 0.45) options.push(...this.expiry(words));
    return options;
  }
  expireCommand(): Buffer[] {
    const name = this.pick(['EXPIRE', 'PEXPIRE', 'EXPIREAT', 'PEXPIREAT']);
    const scale = name.startsWith('P') ? 1 : 1000;
    const absolute = name.endsWith('AT');
    const odd = this.#random() < 0.1;
    // Where the largest time ends differs (ours is the largest exact number), so only what neither takes is asked.
    const tooLate = scale === 1 ? '9223372036854775808' : '9223372036854775807';
    const amounts = ['x', '-5', '0', '-9223372036854775808', tooLate];
    const ms = absolute ? this.atMs() : 100_000;
    const conditions: Buffer[] = [];
    // A relative time compared with an earlier one would depend on the millisecond.
    const words = absolute ? ['NX', 'xx', 'GT', 'lt', 'junk'] : ['NX', 'xx'];
    while (this.#random() < 0.35) conditions.push(text(this.pick(words)));
    const amount = odd ? this.pick(amounts) : String(Math.floor(ms / scale));
    return [text(name), this.key(), text(amount), ...conditions];
  }
  next(): Buffer[] {
    const args = this.#command();
    // Now and then an argument too many or too few.
    const mishap = this.#random();
    if (mishap < 0.01) args.push(text('extra'));
    else if (mishap < 0.03 && args.length > 1) args.pop();
    return args;
  }
  #command(): Buffer[] {
    const { key, value } = { key: () => this.key(), value: () => this.value() };
    const several = (item: () => Buffer[]): Buffer[] =>
      Array.from({ length: Math.ceil(this.#random() * 4) }, item).flat();
    const choices: (() => Buffer[])[] = [
      () => [text('SET'), key(), value(), ...this.setOptions()],
      () => [text('set'), key(), value(), ...this.setOptions()],
      () => [text('GET'), key()],
      () => [text('SetNX'), key(), value()],
      () => [text(this.pick(['SETEX', 'PSETEX'])), key(), text(this.pick(['1000000', '0', '-1', 'x'])), value()],
      () => [text('GETSET'), key(), value()],
      () => [text('GETDEL'), key()],
      () => [
        text('GETEX'),
        key(),
        ...(this.#random() < 0.7 ? this.expiry(['EX', 'px', 'EXAT', 'PXAT', 'PERSIST', 'junk']) : []),
      ],
      () => [text(this.pick(['DEL', 'UNLINK', 'EXISTS', 'TOUCH', 'MGET'])), ...several(() => [key()])],
      () => [text(this.pick(['MSET', 'MSETNX'])), ...several(() => [key(), value()])],
      () => [text(this.pick(['INCR', 'DECR'])), key()],
      () => [text(this.pick(['INCRBY', 'DECRBY'])), key(), this.integer()],
      () => [text('INCRBYFLOAT'), key(), this.float()],
      () => [text('INCRBYFLOAT'), key(), this.float()],
      () => [text('APPEND'), key(), value()],
      () => [text('STRLEN'), key()],
      () => [text(this.pick(['GETRANGE', 'SUBSTR'])), key(), this.offset(), this.offset()],
      () => [text('SETRANGE'), key(), this.offset(), value()],
      () => [text(this.pick(['TYPE', 'PERSIST', 'TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME'])), key()],
      () => this.expireCommand(),
      () => this.expireCommand(),
      () => [text(this.pick(['RENAME', 'RENAMENX'])), key(), key()],
      () => [
        text('KEYS'),
        text(this.pick(['*', 'a*', '?', '[a-c]', '[^a]', '*{t}?', '\\[', 'k\\*[[]x]', '[b-', '**a', '[]'])),
      ],
      () => [text('SCAN'), text(this.pick(['0', '0', 'x'])), ...this.#scanOptions()],
      () =>
        this.#random() < 0.1
          ? [text('FLUSHALL'), ...(this.#random() < 0.5 ? [text('ASYNC')] : [])]
          : [text('NOSUCH'), text('some'), text('thing')],
    ];
    return this.pick(choices)();
  }
  #scanOptions(): Buffer[] {
    const odd = this.pick([
      [],
      ['COUNT', '0'],
      ['COUNT', 'x'],
      ['MATCH'],
      ['junk', '1'],
      ['TYPE', 'string'],
      ['TYPE', 'list'],
    ]);
    return ['COUNT', '1000', 'MATCH', this.pick(['*', 'a*', '[^a]*']), ...odd].map(text);
  }
}

const times = new Set(['ttl', 'pttl', 'expiretime', 'pexpiretime']);

/** Ours and theirs list keys in different orders, which both are free to. */
const sorted = (keys: readonly Buffer[]): string =>
  keys
    .map((key) => key.toString('latin1'))
    .sort((left, right) => (left < right ? -1 : 1))
    .join('\n');

function comparable(name: string, reply: Buffer): string {
  const decoded = (): unknown => decodeResult(Buffer.concat([Buffer.of(0), reply]));
  if (name === 'keys' && reply[0] === 0x2a) return sorted(decoded() as Buffer[]);
  if (name === 'scan' && reply[0] === 0x2a) {
    const [cursor, keys] = decoded() as [Buffer, Buffer[]];
    return `${cursor.toString()}\n${sorted(keys)}`;
  }
  return reply.toString('latin1');
}

function agrees(name: string, theirs: Buffer, ours: Buffer): boolean {
  // Redis looks for the key before it reads GETEX's time; ours refuses the command before anything is looked at.
  if (name === 'getex' && theirs.toString() === '$-1\r\n' && ours[0] === 0x2d) return true;
  if (times.has(name) && theirs[0] === 0x3a && ours[0] === 0x3a) {
    const [left, right] = [theirs, ours].map((reply) => Number(reply.toString('latin1', 1, reply.length - 2))) as [
      number,
      number,
    ];
    // Relative times start at each server's own now.
    return Math.sign(left) === Math.sign(right) && Math.abs(left - right) <= (name.startsWith('p') ? 2000 : 2);
  }
  return comparable(name, theirs) === comparable(name, ours);
}

describe.skipIf(!redisInstalled())('beside a real redis-server', () => {
  const redis = new Redis();
  beforeAll(() => redis.start());
  afterAll(() => redis.stop());

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('every reply to random commands is the same (seed %i)', async (seed) => {
    const commands = new CommandGenerator(seed, Date.now());
    const ours = new Ours();
    await redis.ask([[text('FLUSHALL')]]);
    for (let batch = 0; batch < 25; batch += 1) {
      const asked = Array.from({ length: 200 }, () => commands.next());
      const timeMs = Date.now();
      const theirs = await redis.ask(asked);
      for (const [at, args] of asked.entries()) {
        const name = args[0]!.toString('latin1').toLowerCase();
        const reply = ours.ask(args, timeMs);
        if (agrees(name, theirs[at]!, reply)) continue;
        const shown = args.map((argument) => JSON.stringify(argument.toString('latin1')).slice(0, 80)).join(' ');
        expect.fail(
          `seed ${seed}, command ${batch * 200 + at}: ${shown}\n` +
            `redis: ${JSON.stringify(theirs[at]!.toString('latin1').slice(0, 300))}\n` +
            `ours:  ${JSON.stringify(reply.toString('latin1').slice(0, 300))}`,
        );
      }
    }
  });
});
