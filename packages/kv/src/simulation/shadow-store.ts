import type { Model } from 'nori-raft/testkit';
import { decodeCommand } from '../commands/command-codec.ts';
import { answerOf, nameOf } from './planned.ts';

interface Version {
  /** From this index on. */
  readonly from: number;
  readonly value: string | null;
  /** Log time in ms at which it is gone, or 0. */
  readonly expireMs: number;
}

const absent: Version = { from: 0, value: null, expireMs: 0 };

/**
 * What the keys of one group should say, written a second time and as simply as can be: every version of every key, by
 * the log's indexes and times. It judges what a query answers as of an index exactly, lifetimes included.
 */
export class ShadowStore implements Model {
  readonly limbo = true;
  readonly #keys = new Map<string, Version[]>();
  /** Log time from an index on. */
  readonly #times: { readonly from: number; readonly timeMs: number }[] = [];

  passed(index: number, timeMs: number): void {
    if (timeMs > (this.#times.at(-1)?.timeMs ?? 0)) this.#times.push({ from: index, timeMs });
  }

  committed(index: number, timeMs: number, command: Uint8Array): void {
    this.passed(index, timeMs);
    const { opcode, args } = decodeCommand(command);
    const words = args.map((arg) => arg.toString('latin1'));
    const [key = '', first = '', option = '', amount = ''] = words;
    const now = this.#at(key, index);
    const put = (value: string | null, expireMs = 0): void => this.#put(key, { from: index, value, expireMs });
    const timeNowMs = this.#timeAt(index);
    const name = nameOf(opcode);
    switch (name) {
      case 'set':
        if (option === 'PX') put(first, timeNowMs + Number(amount));
        else if (option !== 'IFEQ' || now.value === amount) put(first);
        return;
      case 'setnx':
        if (now.value === null) put(first);
        return;
      case 'del':
        for (const gone of words) this.#put(gone, { from: index, value: null, expireMs: 0 });
        return;
      case 'mset':
      case 'msetnx': {
        const taken = words.some((other, at) => at % 2 === 0 && this.#at(other, index).value !== null);
        if (taken && name === 'msetnx') return;
        for (let at = 0; at < words.length; at += 2) {
          this.#put(words[at] as string, { from: index, value: words[at + 1] as string, expireMs: 0 });
        }
        return;
      }
      case 'rename':
      case 'renamenx':
        if (now.value === null || (name === 'renamenx' && this.#at(first, index).value !== null)) return;
        this.#put(first, { ...now, from: index });
        put(null);
        return;
      case 'incr':
      case 'decr':
      case 'incrby':
        put(String(BigInt(now.value ?? '0') + stepOf(name, first)), now.expireMs);
        return;
      case 'append':
        put((now.value ?? '') + first, now.expireMs);
        return;
      case 'pexpire':
        if (now.value !== null) put(now.value, timeNowMs + Number(first));
        return;
      case 'persist':
        if (now.value !== null) put(now.value);
        return;
      default:
        throw new Error(`the shadow store does not know ${name}`);
    }
  }

  judge(query: Uint8Array, index: number, result: Uint8Array): string | null {
    const { opcode, args } = decodeCommand(query);
    const keys = args.map((arg) => arg.toString('latin1'));
    const [{ value, expireMs } = absent, ...others] = keys.map((key) => this.#at(key, index));
    const said = answerOf(result);
    const name = nameOf(opcode);
    const should =
      name === 'get'
        ? value
        : name === 'mget'
          ? JSON.stringify([value, ...others.map((other) => other.value)])
          : this.#lifetimeOf(value, expireMs, index);
    return said === should ? null : `${keys.join(' ')} as of index ${index} is ${String(should)}, not ${String(said)}`;
  }

  #lifetimeOf(value: string | null, expireMs: number, index: number): number {
    if (value === null) return -2;
    return expireMs === 0 ? -1 : expireMs - this.#timeAt(index);
  }

  #at(key: string, index: number): Version {
    const version = lastThrough(this.#keys.get(key) ?? [], index) ?? absent;
    return version.expireMs !== 0 && version.expireMs <= this.#timeAt(index) ? absent : version;
  }

  #put(key: string, version: Version): void {
    const versions = this.#keys.get(key);
    if (versions === undefined) this.#keys.set(key, [version]);
    else versions.push(version);
  }

  #timeAt(index: number): number {
    return lastThrough(this.#times, index)?.timeMs ?? 0;
  }
}

function stepOf(name: 'incr' | 'decr' | 'incrby', by: string): bigint {
  return name === 'incrby' ? BigInt(by) : name === 'incr' ? 1n : -1n;
}

function lastThrough<T extends { readonly from: number }>(list: readonly T[], index: number): T | undefined {
  let at = list.length - 1;
  while (at >= 0 && (list[at] as T).from > index) at -= 1;
  return list[at];
}
