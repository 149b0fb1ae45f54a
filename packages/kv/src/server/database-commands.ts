import { encodeFor } from '../commands/command-codec.ts';
import { type CommandSpec, findCommand } from '../commands/command-table.ts';
import { parseScanOptions, type ScanOptions } from '../commands/options.ts';
import { slotCount } from '../commands/key-slot.ts';
import { defaultCommandLimits } from '../commands/limits.ts';
import type { Reply } from '../resp/reply.ts';
import { decodeResult } from '../resp/result.ts';
import type { Failure } from '../router/call.ts';
import { FanOut } from '../router/fan-out.ts';
import type { Router } from '../router/router.ts';
import type { Exclusive, Session } from '../router/session.ts';
import { errorText } from './error-reply.ts';

export interface DatabaseContext {
  readonly router: Router;
  readonly session: Session;
  readonly readOnly: boolean;
}

type Done = (reply: Reply) => void;

/** Commands without a key: they ask many shards, or one after the other, and make one reply of the answers. */
export function startDatabaseCommand(args: readonly Buffer[], context: DatabaseContext, done: Done): void {
  const spec = findCommand((args[0] as Buffer).toString('latin1', 0, 64)) as CommandSpec;
  if (spec.spread === 'each-scan') context.session.startExclusive(new Scan(spec, args, context, done));
  else {
    const shards = spec.spread === 'one' ? [shardOfSlotArgument(args, context.router)] : servedShards(context);
    context.session.startExclusive(fanOut(spec, args, context, shards, (reply) => done(reply)));
  }
}

/** In redirect mode a node answers for what it leads, as a Redis Cluster master does. */
function servedShards({ router, readOnly }: DatabaseContext): readonly number[] {
  const all = Array.from({ length: router.map.count }, (_, shard) => shard);
  if (router.routing === 'forward' || readOnly) return all;
  return all.filter((shard) => router.host.groupStatus(router.map.groupOf(shard)).role === 'leader');
}

function shardOfSlotArgument(args: readonly Buffer[], router: Router): number {
  return router.map.shardOf(Number((args[1] as Buffer).toString('latin1')));
}

function fanOut(
  spec: CommandSpec,
  args: readonly Buffer[],
  context: DatabaseContext,
  shards: readonly number[],
  done: Done,
): FanOut {
  const { router, readOnly } = context;
  const write = spec.kind === 'write';
  const stale = readOnly && !write;
  return new FanOut(
    router,
    {
      shards,
      payload: encodeFor(spec, args, defaultCommandLimits),
      write,
      deadlineMs: router.nowMs() + router.commandTimeoutMs,
      consistency: stale ? 'stale' : router.reads,
      forward: !stale,
    },
    (failure: Failure | null, results) =>
      done(failure === null ? merge(spec, shards, results.map(decodeResult)) : { error: errorText(failure, write) }),
  );
}

function merge(spec: CommandSpec, shards: readonly number[], replies: readonly Reply[]): Reply {
  const refused = replies.find((reply) => typeof reply === 'object' && reply !== null && 'error' in reply);
  if (refused !== undefined) return refused;
  switch (spec.spread) {
    case 'each-sum':
      return replies.reduce((sum: number, reply) => sum + Number(reply), 0);
    case 'each-ok':
      return { simple: 'OK' };
    case 'each-concat':
      return replies.flatMap((reply) => reply as readonly Reply[]);
    case 'each-any': {
      const found = replies.filter((reply) => reply !== null);
      return found[Math.floor(Math.random() * found.length)] ?? null;
    }
    case 'each-digest':
      return replies.map((reply, at) => [shards[at] as number, reply]);
    default:
      return replies[0] ?? null;
  }
}

/**
 * SCAN goes through one shard after the other until it has as many keys as were asked for. The low bits of a cursor are
 * the slot to go on at (state/scan.ts), so the cursor alone says which shard to ask, on any node.
 */
class Scan implements Exclusive {
  readonly #spec: CommandSpec;
  readonly #args: readonly Buffer[];
  readonly #context: DatabaseContext;
  readonly #done: Done;
  readonly #options: ScanOptions;
  readonly #found: Reply[] = [];

  constructor(spec: CommandSpec, args: readonly Buffer[], context: DatabaseContext, done: Done) {
    this.#spec = spec;
    this.#args = args;
    this.#context = context;
    this.#done = done;
    this.#options = parseScanOptions(args, 1) as ScanOptions;
  }

  run(finished: () => void): void {
    const end = (reply: Reply): void => {
      this.#done(reply);
      finished();
    };
    this.#step(this.#options.cursor, servedShards(this.#context), end);
  }

  #step(cursor: number, shards: readonly number[], end: Done): void {
    const { router } = this.#context;
    const wanted = router.map.shardOf(cursor % slotCount);
    const at = shards.findIndex((shard) => shard >= wanted);
    const shard = shards[at];
    if (shard === undefined) {
      end(['0', this.#found]);
      return;
    }
    const missing = this.#options.count - this.#found.length;
    const args = [...this.#args, Buffer.from('COUNT'), Buffer.from(String(missing))];
    // A shard that this node stopped serving is left out; the next one begins at its start.
    args[1] = Buffer.from(String(shard === wanted ? cursor : router.map.rangeOf(shard)[0]));
    fanOut(this.#spec, args, this.#context, [shard], (reply) => {
      if (!Array.isArray(reply)) {
        end(reply);
        return;
      }
      const [next, keys] = reply as unknown as readonly [Buffer, readonly Reply[]];
      for (const key of keys) this.#found.push(key);
      const nextCursor = next.toString('latin1');
      const following = shards[at + 1];
      if (nextCursor !== '0' || following === undefined) end([nextCursor, this.#found]);
      else if (this.#found.length >= this.#options.count) end([String(router.map.rangeOf(following)[0]), this.#found]);
      else this.#step(router.map.rangeOf(following)[0], shards, end);
    }).run(() => undefined);
  }
}
