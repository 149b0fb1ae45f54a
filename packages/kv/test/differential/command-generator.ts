export const text = (value: string): Buffer => Buffer.from(value, 'latin1');

/** mulberry32: a small generator, so that a seed names a run. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const keys = ['{t}a', '{t}b', '{t}c', '{t}d', '{t}', '{t}\x00\xff\r\n'];
const strayKeys = ['', 'a', '__proto__', 'constructor', '{}x', '{', 'k*[x]\\', '\x80\xff'];
const integers = ['0', '1', '-1', '7', '255', '9007199254740991', '9007199254740993', '9223372036854775807'];
const oddIntegers = (
  '-9223372036854775808 9223372036854775808 -9223372036854775809 -0 +1 01 00 1.5 1e3 0x10 1_0 y inf nan ' +
  '18446744073709551615 99999999999999999999999 -'
).split(' ');
const spacedIntegers = ['', ' ', ' 1', '1 ', '1\n', '1\0', '\0', '１'];
const floats = '0 1 -1 1.5 0.1 -0.3 3.14159265358979 5e3 1e-5 10000000000 2.0e2 3.0 -0.0 1E2 +5'.split(' ');
const oddFloats = (
  'inf -inf +inf INF infinity Infinity nan -nan NaN nan(1) y 1e .5 5. . - + e5 1e17 1e18 123456789012345678 1e-20 --1 ' +
  '1e4932 1e4933 -1e4932 1e400 1e-4950 1e-5000 0x10 0x1p3 0xg 0x 0x.8 0x1.8p-1 1,5 1_000 1e3x ' +
  `${'0'.repeat(400)} 0.${'1'.repeat(300)} ${'9'.repeat(320)}`
)
  .split(' ')
  .concat('', ' 1', '1 ', '1\0');
const words = ['NX', 'XX', 'GET', 'EX', 'PX', 'EXAT', 'PXAT', 'KEEPTTL', 'PERSIST', 'GT', 'LT', 'junk', ''];
const patterns =
  String.raw`* ?* *a {t}? {t}[a-c] {t}[^a] {t}[c-a] *{t}? \[ \* k\*[[]x]* [b- **a [] [^] [ \ *\ {t}\a *[\]]* *[^\\] [a-] A ?`
    .split(' ')
    .concat('', '*\0*', '*[\xf0-\xff]*');

/**
 * Asked as they are: an argument less would make a question of its own, to which no two servers answer the same. HELLO
 * with a part that is wrong changes nothing here, in Redis what stands before it; WAIT could wait for ever.
 */
const asTheyAre = new Set(['HELLO', 'WAIT', 'COMMAND', 'INFO', 'CLIENT', 'CLUSTER', 'FUNCTION', 'SCRIPT']);

type Words = (string | Buffer)[];

/**
 * Random commands, sane ones most of the time. Times are far from now on either side, so that no moment between the
 * clocks of two servers matters.
 */
export class CommandGenerator {
  readonly #random: () => number;
  readonly #baseMs: number;
  readonly #keyed: readonly (() => Words)[];
  readonly #commands: readonly (() => Words)[];

  constructor(seed: number, baseMs: number) {
    this.#random = generator(seed);
    this.#baseMs = baseMs;
    this.#keyed = [...this.#strings(), ...this.#strings(), ...this.#keys()];
    this.#commands = [...this.#keyed, ...this.#database(), ...this.#server()];
  }

  batch(count: number): Buffer[][] {
    if (this.chance(0.3)) return [...this.#transaction(), ...this.batch(count)];
    return Array.from({ length: count }, () => this.#next()).flatMap((args) =>
      // Redis counts keys whose time is over until somebody meets them, as a scan does.
      /^(dbsize|randomkey|cluster)$/i.test(String(args[0]))
        ? ['SCAN 0 COUNT 100000'.split(' ').map(text), args]
        : [args],
    );
  }

  /** Commands that read and write keys of one slot, between MULTI and its end. */
  #transaction(): Buffer[][] {
    const commands: Buffer[][] = [];
    const wanted = Math.floor(this.#random() * 8);
    while (commands.length < wanted) {
      const args = this.pick(this.#keyed)().map((word) => (typeof word === 'string' ? text(word) : word));
      if (this.chance(0.1)) this.#mishap(args);
      // Relative times are compared leniently, which a reply inside another is not.
      if (/ttl|expiretime/i.test(String(args[0]))) continue;
      if (args.slice(1).every((word) => !strayKeys.includes(word.toString('latin1')))) commands.push(args);
    }
    if (this.chance(0.05)) commands.push([text('MULTI')]);
    const end = this.pick(['EXEC', 'exec', 'EXEC', 'DISCARD', 'RESET']);
    return [
      [text('MULTI')],
      ...commands,
      [text(end)],
      ...(this.chance(0.1) ? [[text(this.pick(['EXEC', 'DISCARD']))]] : []),
    ];
  }

  #next(): Buffer[] {
    const args = this.pick(this.#commands)().map((word) => (typeof word === 'string' ? text(word) : word));
    if (!asTheyAre.has(String(args[0]))) this.#mishap(args);
    args[0] = this.#inAnyCase(args[0] as Buffer);
    return args;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** Now and then an argument too many or too few, or two that changed places. */
  #mishap(args: Buffer[]): void {
    const chance = this.#random();
    if (chance > 0.05 || args.length < 2) return;
    const at = 1 + Math.floor(this.#random() * (args.length - 1));
    if (chance < 0.015) args.splice(at, 0, text(this.pick(['extra', '', ...words])));
    else if (chance < 0.03) args.splice(at, 1);
    else if (chance < 0.04) args.push(args[at] as Buffer);
    // A value in the place of a lifetime might be over in between.
    else if (!/setex$/i.test(String(args[0]))) args.splice(at, 0, args.pop() as Buffer);
  }

  #inAnyCase(name: Buffer): Buffer {
    if (this.chance(0.6)) return name;
    const lower = name.toString('latin1').toLowerCase();
    return text(this.chance(0.7) ? lower : lower.replaceAll(/./g, (c) => (this.chance(0.5) ? c.toUpperCase() : c)));
  }

  key(): string {
    return this.pick(this.chance(0.9) ? keys : strayKeys);
  }

  integer(): string {
    if (this.chance(0.7)) return this.pick(integers);
    return this.pick(this.chance(0.7) ? oddIntegers : spacedIntegers);
  }

  float(): string {
    return this.pick(this.chance(0.7) ? floats : oddFloats);
  }

  value(): string {
    const choice = this.#random();
    if (choice < 0.3) return this.integer();
    if (choice < 0.5) return this.float();
    if (choice < 0.6) return '\xe4\x00binary\r\n'.repeat(Math.ceil(this.#random() * 200));
    return this.pick(['', 'y', 'hello', 'hello world', '\x00\x01\xff', 'x'.repeat(44), 'x'.repeat(45)]);
  }

  offset(): string {
    const usual = ['0', '1', '-1', '3', '-3', '10', '-100', '1000', '2000', '-0'];
    return this.chance(0.85) ? this.pick(usual) : this.integer();
  }

  #atMs(): number {
    return this.#baseMs + 1000 * this.pick([-100_000, 50_000, 60_000, 500_000, 5_000_000]);
  }

  /** A time for an option or command that counts in `scale` ms, from now or from 1970. */
  #amount(scale: number, absolute: boolean): string {
    if (this.chance(0.12))
      return this.pick(['0', '-1', '-5', '9223372036854775807', ...oddIntegers, ...spacedIntegers]);
    if (this.chance(0.05)) return this.pick(['9223372036854775', '9223372036854776', '-9223372036854776', '1e3']);
    return String(Math.floor((absolute ? this.#atMs() : this.pick([100_000, 1_000_000])) / scale));
  }

  #option(): Words {
    const word = this.pick(words);
    const shown = this.chance(0.5) ? word.toLowerCase() : word;
    const scale = word.startsWith('E') ? 1000 : 1;
    if (/^(EX|PX)(AT)?$/.test(word))
      return [shown, ...(this.chance(0.97) ? [this.#amount(scale, word.endsWith('AT'))] : [])];
    return [shown];
  }

  #options(): Words {
    const options: Words = [];
    while (this.chance(0.45)) options.push(...this.#option());
    return options;
  }

  #several(item: () => Words): Words {
    return Array.from({ length: Math.ceil(this.#random() * 4) }, item).flat();
  }

  #strings(): (() => Words)[] {
    const { key, value } = { key: () => this.key(), value: () => this.value() };
    return [
      () => ['SET', key(), value(), ...this.#options()],
      () => ['SET', key(), value(), ...this.#options()],
      () => ['SET', key(), value()],
      () => ['GET', key()],
      () => ['SETNX', key(), value()],
      () => ['SETEX', key(), this.#amount(1000, false), value()],
      () => ['PSETEX', key(), this.#amount(1, false), value()],
      () => ['GETSET', key(), value()],
      () => ['GETDEL', key()],
      () => ['GETEX', key(), ...this.#options()],
      () => ['MGET', ...this.#several(() => [key()])],
      () => [this.pick(['MSET', 'MSETNX']), ...this.#several(() => [key(), value()])],
      () => [this.pick(['INCR', 'DECR']), key()],
      () => [this.pick(['INCRBY', 'DECRBY']), key(), this.integer()],
      () => ['INCRBYFLOAT', key(), this.float()],
      () => ['INCRBYFLOAT', key(), this.float()],
      () => ['APPEND', key(), value()],
      () => ['STRLEN', key()],
      () => [this.pick(['GETRANGE', 'SUBSTR']), key(), this.offset(), this.offset()],
      () => ['SETRANGE', key(), this.offset(), value()],
    ];
  }

  #keys(): (() => Words)[] {
    const key = (): string => this.key();
    const expire = (name: string): Words => {
      const conditions: Words = [];
      // A relative time compared with an earlier one would depend on the millisecond.
      const fitting = name.endsWith('AT') ? ['NX', 'xx', 'GT', 'lt', 'junk', ''] : ['NX', 'xx', 'junk'];
      while (this.chance(0.35)) conditions.push(this.pick(fitting));
      return [name, key(), this.#amount(name.startsWith('P') ? 1 : 1000, name.endsWith('AT')), ...conditions];
    };
    return [
      () => [this.pick(['DEL', 'UNLINK', 'EXISTS', 'TOUCH']), ...this.#several(() => [key()])],
      () => [this.pick(['TYPE', 'PERSIST', 'TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']), key()],
      () => [this.pick(['TYPE', 'PERSIST', 'TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']), key()],
      () => expire(this.pick(['EXPIRE', 'PEXPIRE'])),
      () => expire(this.pick(['EXPIREAT', 'PEXPIREAT'])),
      () => expire(this.pick(['EXPIREAT', 'PEXPIREAT'])),
      () => [this.pick(['RENAME', 'RENAMENX']), key(), key()],
    ];
  }

  #database(): (() => Words)[] {
    const type = (): string => this.pick(['string', 'STRING', 'list', 'hash', 'nosuch', '']);
    const scanOption = (): Words =>
      this.pick<() => Words>([
        () => ['COUNT', this.pick(['100000', '1000', '0', '-1', 'x', '', '9223372036854775807'])],
        () => [this.pick(['MATCH', 'match']), this.pick(patterns)],
        () => ['TYPE', type()],
        () => [this.pick(['junk', 'MATCH', 'COUNT', 'NOVALUES'])],
      ])();
    return [
      () => ['KEYS', this.pick(patterns)],
      () => ['KEYS', this.pick(patterns)],
      () => ['SCAN', '0', 'COUNT', '100000', ...(this.chance(0.5) ? ['MATCH', this.pick(patterns)] : [])],
      () => {
        const options: Words = [];
        while (this.chance(0.5)) options.push(...scanOption());
        // The last COUNT decides, so that one page always is enough to hold everything.
        options.push('COUNT', '100000');
        return [
          'SCAN',
          this.pick(['0', '0', '0', '00', 'x', '', ' 0', '0 ', '1.5', '99999999999999999999']),
          ...options,
        ];
      },
      () => [this.pick(['DBSIZE', 'RANDOMKEY'])],
      () =>
        this.chance(0.15)
          ? [this.pick(['FLUSHALL', 'FLUSHDB']), ...this.pick([[], [], ['ASYNC'], ['sync'], ['x']])]
          : ['DBSIZE'],
      () => [
        'CLUSTER',
        this.pick(['KEYSLOT', 'keyslot']),
        this.pick([...keys, ...strayKeys, '{{a}}', 'x{y}z', 'x{}{y}']),
      ],
      () => ['CLUSTER', 'COUNTKEYSINSLOT', this.pick(['15891', '0', '16383', '16384', '-1', 'x', '', '1.0'])],
      () => [
        'CLUSTER',
        'GETKEYSINSLOT',
        this.pick(['15891', '0', '16384', '-1', 'x']),
        this.pick(['1000', '0', '-1', 'x']),
      ],
    ];
  }

  /** One of several lines, in words; "" is the empty one. */
  #line(lines: string): Words {
    return this.pick(lines.split(' | '))
      .split(' ')
      .map((word) => (word === '""' ? '' : word));
  }

  #server(): (() => Words)[] {
    const name = (): string => this.pick(['', 'me', 'with space', 'line\nbreak', '\xe4', 'x'.repeat(100), '~!@']);
    const lines = [
      'SELECT 0 | SELECT 1 | SELECT 15 | SELECT 16 | SELECT -1 | SELECT x | SELECT "" | SELECT 00',
      'AUTH x | AUTH default x | AUTH a b c | AUTH | AUTH a b',
      'HELLO 2 | HELLO 3 | HELLO 3 | HELLO 2 | HELLO 1 | HELLO 4 | HELLO x | HELLO "" | HELLO | HELLO 03',
      'HELLO 3 AUTH default x | HELLO 3 AUTH x | HELLO 2 junk | HELLO 3 SETNAME | HELLO 2 AUTH nobody ""',
      'RESET | READWRITE | ASKING',
      'CLIENT GETNAME | CLIENT getname | CLIENT SETNAME | CLIENT SETNAME a b | CLIENT NOSUCH | CLIENT',
      'CLIENT NO-EVICT on | CLIENT NO-EVICT OFF | CLIENT NO-EVICT x | CLIENT NO-EVICT | CLIENT ID x | CLIENT INFO x',
      'CLIENT LIST TYPE nosuch | CLIENT LIST x | CLIENT LIST ID | CLIENT LIST ID x | CLIENT LIST TYPE pubsub',
      'CLIENT KILL 1.2.3.4:5 | CLIENT KILL ID 999999999 | CLIENT KILL x y | CLIENT KILL | CLIENT KILL ID x',
      'CLIENT UNBLOCK 999999 | CLIENT UNPAUSE | CLIENT GETREDIR | CLIENT TRACKINGINFO | CLIENT TRACKING off',
      'CLIENT CACHING yes | CLIENT REPLY ON | CLIENT REPLY x',
      'COMMAND NOSUCH | COMMAND INFO nosuch | COMMAND DOCS nosuch | COMMAND COUNT x | COMMAND LIST x',
      'COMMAND GETKEYS | COMMAND GETKEYS nosuch | COMMAND GETKEYS get | COMMAND GETKEYS ping',
      'COMMAND GETKEYS get a | COMMAND GETKEYS MSET a 1 b 2 | COMMAND GETKEYS set k v EX 1 | COMMAND GETKEYS DEL a b',
      'COMMAND GETKEYS mget a | COMMAND GETKEYS rename a b | COMMAND GETKEYS scan 0 | COMMAND GETKEYS get a b',
      'COMMAND LIST FILTERBY MODULE x | COMMAND LIST FILTERBY PATTERN getra* | COMMAND LIST FILTERBY ACLCAT nosuch',
      'COMMAND LIST FILTERBY x y | COMMAND LIST FILTERBY PATTERN | COMMAND LIST FILTERBY PATTERN mge?',
      'CONFIG GET | CONFIG GET nosuch | CONFIG GET save | CONFIG GET SAVE sav* | CONFIG NOSUCH x | CONFIG',
      'CONFIG GET cluster-enabled | CONFIG GET maxmemory maxmemory-policy | CONFIG RESETSTAT | CONFIG RESETSTAT x',
      'CONFIG SET nosuch x | CONFIG SET a | CONFIG SET maxmemory 0 | CONFIG SET save ""',
      'CLUSTER NOSUCH | CLUSTER | CLUSTER KEYSLOT | CLUSTER COUNTKEYSINSLOT | CLUSTER INFO x | CLUSTER MYID x',
      'FUNCTION FLUSH | FUNCTION flush async | FUNCTION FLUSH x | FUNCTION LIST | FUNCTION',
      'SCRIPT FLUSH | SCRIPT EXISTS x y | SCRIPT FLUSH x | SCRIPT LIST | SCRIPT',
      'WAIT 0 0 | WAIT 0 1 | WAIT 0 x | WAIT 0 -1 | WAIT x 0 | WAIT "" 0 | WAIT -1 1',
      'NOSUCH | GE a | GETT a "" ~ | TIME | TIME x | INFO nosuch | COPY {t}a {t}b DB 0 | COPY {t}a {t}b DB 99',
    ];
    return [
      ...lines.map((line) => () => this.#line(line)),
      () => ['PING', ...(this.chance(0.5) ? [this.value()] : [])],
      () => ['ECHO', this.value()],
      () => ['CLIENT', 'SETNAME', name()],
      () => ['HELLO', '3', 'SETNAME', name()],
      () => ['COPY', this.key(), this.key(), ...this.pick([[], ['REPLACE'], ['replace', 'DB', '1'], ['x'], ['DB']])],
      () => [this.pick(['nosuch\r\n', '', 'x'.repeat(200)]), this.pick(['th\r\ning', 'y'.repeat(150)])],
    ];
  }
}
