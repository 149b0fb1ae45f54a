import type { AppliedEntry, AppliedPosition, StateMachine } from 'nori-raft';
import { CommandFormatError, decodeCommand, refusedOpcode, transactionOpcode } from '../commands/command-codec.ts';
import { type CommandKind, commandTable } from '../commands/command-table.ts';
import { wrongArity } from '../commands/errors.ts';
import { concatResult, errorResult, okResult, type Result } from '../resp/result.ts';
import type { Handler } from './handler.ts';
import * as keyWrites from './key-writes.ts';
import { LimboCheck } from './limbo.ts';
import { MemoryStore } from './memory-store.ts';
import * as reads from './reads.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { isStoreDamaged, type Store } from './store.ts';
import * as stringWrites from './string-writes.ts';

const writeHandlers: Readonly<Record<string, Handler>> = {
  set: stringWrites.set,
  setnx: stringWrites.setnx,
  setex: stringWrites.setWithLifetime('setex'),
  psetex: stringWrites.setWithLifetime('psetex'),
  getset: stringWrites.getset,
  getdel: stringWrites.getdel,
  getex: stringWrites.getex,
  mset: stringWrites.mset,
  msetnx: stringWrites.msetnx,
  incr: stringWrites.incr,
  incrby: stringWrites.incrby,
  incrbyfloat: stringWrites.incrbyfloat,
  decr: stringWrites.decr,
  decrby: stringWrites.decrby,
  append: stringWrites.append,
  setrange: stringWrites.setrange,
  del: keyWrites.del,
  unlink: keyWrites.del,
  expire: keyWrites.expire('expire'),
  pexpire: keyWrites.expire('pexpire'),
  expireat: keyWrites.expire('expireat'),
  pexpireat: keyWrites.expire('pexpireat'),
  persist: keyWrites.persist,
  rename: keyWrites.rename,
  renamenx: keyWrites.renamenx,
  copy: keyWrites.copy,
  flushall: keyWrites.flush,
  flushdb: keyWrites.flush,
};

const readHandlers = (random: () => number): Readonly<Record<string, Handler>> => ({
  get: reads.get,
  mget: reads.mget,
  exists: reads.exists,
  touch: reads.exists,
  strlen: reads.strlen,
  getrange: reads.getrange,
  substr: reads.getrange,
  type: reads.type,
  ttl: reads.ttl,
  pttl: reads.pttl,
  expiretime: reads.expiretime,
  pexpiretime: reads.pexpiretime,
  scan: reads.scan,
  keys: reads.keys,
  randomkey: reads.randomkey(random),
  dbsize: reads.dbsize,
  'nori.digest': reads.digest,
  'nori.countkeysinslot': reads.countKeysInSlot,
  'nori.getkeysinslot': reads.getKeysInSlot,
});

/**
 * All replies of a transaction together: they travel between nodes in one frame, and every replica makes them, so no
 * client may ask for more than memory holds. The same on every node.
 */
const transactionReplyBytesMax = 16 << 20;
const replyTooLarge = errorResult(
  `ERR the replies of a transaction may have up to ${transactionReplyBytesMax} bytes together: this one is left out, what the command wrote counts`,
);

/** Handlers by opcode, with the fewest arguments each may be called with. */
interface Operation {
  readonly name: string;
  readonly handler: Handler;
  readonly argumentsMin: number;
}

function operations(kind: CommandKind, handlers: Readonly<Record<string, Handler>>): (Operation | undefined)[] {
  const byOpcode: (Operation | undefined)[] = Array.from({ length: 256 });
  for (const spec of commandTable) {
    if (spec.kind !== kind) continue;
    const handler = handlers[spec.name];
    if (handler === undefined) throw new Error(`no handler for ${spec.name}`);
    byOpcode[spec.opcode] = { name: spec.name, handler, argumentsMin: Math.abs(spec.arity) - 1 };
  }
  return byOpcode;
}

const writes = operations('write', writeHandlers);
const mgetOpcode = commandTable.find(({ name }) => name === 'mget')?.opcode;

/** The keys and values of one shard. Answers are results (resp/result.ts); commands and queries are commands/command-codec.ts. */
export class KvStateMachine implements StateMachine {
  #store: Store;
  readonly #reads: readonly (Operation | undefined)[];
  readonly #limbo = new LimboCheck();

  constructor(
    options: {
      /** Picks RANDOMKEY's answer, nothing else. */
      readonly random?: () => number;
      /** Where the keys are kept. Default: in memory. */
      readonly store?: Store;
    } = {},
  ) {
    this.#store = options.store ?? new MemoryStore();
    this.#reads = operations('read', readHandlers(options.random ?? Math.random));
  }

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    let results: Uint8Array[];
    try {
      results = this.#whole(() => entries.map((entry) => this.#applyOne(entry)));
    } catch (error) {
      // Half a batch must not reach the disk: after a restart it would be applied twice.
      this.#store.discard();
      throw error;
    }
    const last = entries.at(-1);
    const room = last === undefined ? null : this.#store.applied({ index: last.index, term: last.term });
    return room === null ? results : room.then(() => results);
  }

  query(query: Uint8Array): Uint8Array {
    return this.#whole(() => this.#execute(this.#reads, query));
  }

  /** Per key for reads that name their keys; scans, counts and the like conflict with any entry. */
  conflicts(query: Uint8Array, entries: readonly AppliedEntry[]): boolean {
    return this.#whole(() => this.#limbo.conflicts(this.#store, query, entries));
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return writeSnapshot(this.#whole(() => this.#store.capture()));
  }

  async restore(image: AsyncIterable<Uint8Array>, at?: AppliedPosition): Promise<void> {
    const next = this.#store.successor();
    try {
      await readSnapshot(image, next);
      await next.adopt(at ?? null);
    } catch (error) {
      next.discard();
      throw error;
    }
    this.#store.discard();
    this.#store = next;
  }

  async reset(): Promise<void> {
    const next = this.#store.successor();
    await next.adopt(null);
    this.#store.discard();
    this.#store = next;
  }

  hasRoom(): boolean {
    return this.#store.hasRoom;
  }

  durablePosition(): AppliedPosition | null {
    return this.#store.durablePosition;
  }

  advanceTime(timeMs: number): void {
    this.#whole(() => this.#store.advanceTime(timeMs));
  }

  nextDeadlineMs(): number | null {
    return this.#whole(() => this.#store.nextDeadlineMs);
  }

  /** Number of keys. */
  get count(): number {
    return this.#store.count;
  }

  /** 16 hex digits: the same on replicas that hold the same keys, values and expiry times. */
  digest(): string {
    return this.#store.digest;
  }

  /** @throws NoriError STATE_DAMAGED, once for all: what was found once would not be found by every other call. */
  #whole<T>(act: () => T): T {
    if (this.#store.damage !== null) throw this.#store.damage;
    try {
      return act();
    } catch (error) {
      if (isStoreDamaged(error)) this.#store.condemn(error);
      throw error;
    }
  }

  #applyOne({ command, timeMs }: AppliedEntry): Uint8Array {
    this.#store.advanceTime(timeMs);
    // An entry without a command carries only time.
    return command.length === 0 ? okResult : this.#execute(writes, command);
  }

  /** Every command in its turn; each has its own answer, an error too, and none stops the others, as in Redis. */
  #transaction(commands: readonly Buffer[]): Result {
    let room = transactionReplyBytesMax;
    return concatResult(
      commands.map((command) => {
        const whole = this.#oneOfTransaction(command, room);
        const result = whole.length > room ? replyTooLarge : whole;
        room -= result.length;
        return result;
      }),
    );
  }

  #oneOfTransaction(command: Buffer, replyBytesMax: number): Result {
    const { opcode, args } = decodeCommand(command);
    if (opcode === refusedOpcode) return errorResult(args.join(''));
    // One value at most is all that the others answer.
    if (opcode === mgetOpcode && reads.mgetBytes(this.#store, args, replyBytesMax) > replyBytesMax)
      return replyTooLarge;
    return this.#execute(writes[opcode] === undefined ? this.#reads : writes, command);
  }

  #execute(table: readonly (Operation | undefined)[], payload: Uint8Array): Result {
    const { opcode, args } = decodeCommand(payload);
    if (opcode === transactionOpcode && table === writes) return this.#transaction(args);
    const operation = table[opcode];
    // A newer version's command: to skip it would make this replica another state machine, so the group must halt.
    if (operation === undefined) throw new CommandFormatError(`command ${opcode} is unknown to this version`);
    if (args.length < operation.argumentsMin) return errorResult(wrongArity(operation.name));
    return operation.handler(this.#store, args);
  }
}
