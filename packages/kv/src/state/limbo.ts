import type { AppliedEntry } from 'nori-raft';
import { type DecodedCommand, decodeCommand, refusedOpcode, transactionOpcode } from '../commands/command-codec.ts';
import { type CommandKind, type CommandSpec, commandTable, keyPositions } from '../commands/command-table.ts';
import type { Store } from './store.ts';

const byOpcode: (CommandSpec | undefined)[] = Array.from({ length: 256 });
for (const spec of commandTable) if (spec.opcode !== 0) byOpcode[spec.opcode] = spec;

/** What entries that may or may not come to be applied could change. */
interface Reach {
  readonly entries: readonly AppliedEntry[];
  readonly keys: ReadonlySet<string>;
  /** An entry deletes everything, or is not understood here. */
  readonly everything: boolean;
  /** The log time they would lead to. */
  readonly latestMs: number;
}

const nothing: Reach = { entries: [], keys: new Set(), everything: false, latestMs: Number.NEGATIVE_INFINITY };

/**
 * Tells whether a read would see a difference if the entries in limbo were applied: then it has to wait until it is
 * certain whether they are. It may say yes without need, never no wrongly. What a write may touch counts, whether or
 * not its condition would hold, since that can hang on another write of the limbo.
 */
export class LimboCheck {
  #reach: Reach = nothing;

  conflicts(store: Store, query: Uint8Array, entries: readonly AppliedEntry[]): boolean {
    if (entries.length === 0) {
      this.#reach = nothing;
      return false;
    }
    // A limbo stays the same for as long as it lasts, and every read of that time asks.
    if (this.#reach.entries !== entries) this.#reach = reachOf(entries);
    const { keys, everything, latestMs } = this.#reach;
    if (everything) return true;
    const read = keyed(['read'], query);
    if (read === null) return true;
    const readsTheTime = read.name === 'ttl' || read.name === 'pttl';
    return read.keys.some((key) => {
      if (keys.has(key.toString('latin1'))) return true;
      const expireMs = store.find(key)?.expireMs ?? 0;
      if (expireMs === 0) return false;
      return latestMs >= expireMs || (readsTheTime && latestMs > store.timeMs);
    });
  }
}

function reachOf(entries: readonly AppliedEntry[]): Reach {
  const keys = new Set<string>();
  let everything = false;
  let latestMs = Number.NEGATIVE_INFINITY;
  for (const { command, timeMs } of entries) {
    latestMs = Math.max(latestMs, timeMs);
    // An entry without a command carries only time.
    if (command.length === 0) continue;
    for (const part of partsOf(command)) {
      const write = keyed(['write', 'read'], part);
      if (write === null) everything = true;
      else for (const key of write.keys) keys.add(key.toString('latin1'));
    }
  }
  return { entries, keys, everything, latestMs };
}

/** The commands of an entry: one, or those of a transaction. What is refused in it has no reach. */
function partsOf(payload: Uint8Array): readonly Uint8Array[] {
  if (payload[1] !== transactionOpcode) return [payload];
  try {
    return decodeCommand(payload).args.filter((part) => part[1] !== refusedOpcode);
  } catch {
    return [payload];
  }
}

/** A command that names all the keys it looks at or writes; null: any other, or one this version does not understand. */
function keyed(
  kinds: readonly CommandKind[],
  payload: Uint8Array,
): { readonly name: string; readonly keys: Buffer[] } | null {
  let command: DecodedCommand;
  try {
    command = decodeCommand(payload);
  } catch {
    return null;
  }
  const { args } = command;
  const spec = byOpcode[command.opcode];
  if (spec === undefined || !kinds.includes(spec.kind) || spec.firstKey === 0) return null;
  return { name: spec.name, keys: keyPositions(spec, args.length + 1).map((position) => args[position - 1] as Buffer) };
}
