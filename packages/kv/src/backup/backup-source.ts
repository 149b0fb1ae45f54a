import type { KvHost } from '../router/host.ts';
import type { ShardMap } from '../router/shards.ts';
import { encodeBackupHead } from './backup-format.ts';

export interface BackedUpNode {
  readonly host: KvHost;
  readonly map: ShardMap;
  readonly stateMachines: readonly { snapshot(): AsyncIterable<Uint8Array> }[];
  /** How long a shard may take until this node has everything that was acknowledged, in ms. */
  readonly timeoutMs: number;
}

/**
 * A backup of a running cluster, as one of its nodes sees it: shard by shard, each as of a moment after the call, with
 * everything that was acknowledged before. Writes go on. Throws what `readIndex` throws.
 */
export async function* backup({ host, map, stateMachines, timeoutMs }: BackedUpNode): AsyncGenerator<Uint8Array> {
  yield encodeBackupHead({ format: 'nori-kv backup', version: 1, shards: map.count, takenMs: Date.now() });
  for (let shard = 0; shard < map.count; shard += 1) {
    await host.readIndex(map.groupOf(shard), { timeoutMs });
    yield* (stateMachines[shard] as BackedUpNode['stateMachines'][number]).snapshot();
  }
}
