import { encodeFor, encodeRefused, encodeTransaction } from '../commands/command-codec.ts';
import { type CommandSpec, keyPositions } from '../commands/command-table.ts';
import { slotOf } from '../commands/key-slot.ts';
import type { CommandLimits } from '../commands/limits.ts';
import { checkArity } from '../commands/validate.ts';
import type { Reply } from '../resp/reply.ts';

const commandsMax = 1024;
/** As much as one command over several keys may be larger than the largest key and value. */
const surplusBytes = 64 * 1024;

/** What a connection sent since MULTI. At EXEC it becomes one entry in the log of one shard: all of it, or nothing. */
export class Transaction {
  readonly #limits: CommandLimits;
  readonly #commands: Buffer[] = [];
  #bytes = 0;
  #slot: number | null = null;
  #broken = false;

  constructor(limits: CommandLimits) {
    this.#limits = limits;
  }

  /** A command was refused: EXEC will refuse the rest. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The slot of its keys; null while there is no command. */
  get slot(): number | null {
    return this.#slot;
  }

  /** Keeps a command for EXEC. One that makes no sense is answered there, as in Redis, unless it has no sense at all. */
  add(spec: CommandSpec, args: readonly Buffer[], invalid: string | null): Reply {
    if (invalid !== null && checkArity(args, spec) !== null) return this.refuse(invalid);
    if (spec.firstKey === 0)
      return this.refuse(`ERR '${spec.name}' is not supported inside MULTI: commands on keys of one slot are`);
    for (const at of keyPositions(spec, args.length)) {
      this.#slot ??= slotOf(args[at] as Buffer);
      if (slotOf(args[at] as Buffer) !== this.#slot)
        return this.refuse("CROSSSLOT Keys in request don't hash to the same slot");
    }
    const payload = invalid === null ? encodeFor(spec, args, this.#limits) : encodeRefused(invalid);
    const bytesMax = this.#limits.keyBytesMax + this.#limits.valueBytesMax + surplusBytes;
    if (this.#commands.length === commandsMax || this.#bytes + payload.length > bytesMax)
      return this.refuse(`ERR a transaction may have up to ${commandsMax} commands and ${bytesMax} bytes`);
    this.#bytes += payload.length;
    this.#commands.push(payload);
    return { simple: 'QUEUED' };
  }

  refuse(error: string): Reply {
    this.#broken = true;
    // Nothing of it will be carried out: it need not be kept.
    this.#commands.length = 0;
    return { error };
  }

  /** What the log carries. */
  encode(): Buffer {
    return encodeTransaction(this.#commands);
  }
}
