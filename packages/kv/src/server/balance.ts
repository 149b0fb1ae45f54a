import type { GroupStatus, NodeId } from 'nori-raft';
import type { KvHost } from '../router/host.ts';
import type { ShardMap } from '../router/shards.ts';
import type { Logger } from './logger.ts';

const roundMs = 2000;
/** A node must have been connected this long before it is given anything to lead. */
const settledMs = 4000;
/** How far behind a successor's log may be, in entries: it must catch up before it can lead. */
const behindMax = 1000;

/**
 * Spreads the leaders of the shards over the nodes of the highest priority that are there: shard i belongs to the one
 * at i mod n, in the order of their names. A
 * leader elsewhere hands over when that member is well, one shard per round, so that a restart or a first election does
 * not leave all the work on one node.
 */
export class Balancer {
  readonly #host: KvHost;
  readonly #map: ShardMap;
  readonly #priority: number;
  readonly #logger: Logger;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #connectedSince: Map<string, number> = new Map();
  #busy = false;

  constructor(host: KvHost, map: ShardMap, priority: number, logger: Logger) {
    this.#host = host;
    this.#map = map;
    this.#priority = priority;
    this.#logger = logger;
    this.#timer = setInterval(() => this.#round(), roundMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #round(): void {
    this.#noteConnections(performance.now());
    if (this.#busy) return;
    for (let shard = 0; shard < this.#map.count; shard += 1) {
      const status = this.#host.groupStatus(this.#map.groupOf(shard));
      if (status.role !== 'leader' || status.change !== null) continue;
      const preferred = preferredLeader(shard, { voters: this.#first(status.voters) });
      const peer = status.peers.find(({ id }) => id === preferred);
      if (preferred === null || peer === undefined || status.lastIndex - peer.matchIndex > behindMax) continue;
      if (!this.#isSettled(preferred, performance.now())) continue;
      this.#handOver(shard, preferred);
      return;
    }
  }

  /**
   * Voters of the highest priority that a connected one has. One of them that is away keeps its share, or each restart
   * would move everything twice.
   */
  #first(voters: readonly NodeId[]): NodeId[] {
    const { id } = this.#host.status();
    const known = new Map([[id, this.#priority]]);
    const there = [id];
    for (const peer of this.#host.peers()) {
      known.set(peer.id, peer.priority);
      if (peer.connected) there.push(peer.id);
    }
    const highest = Math.max(...there.filter((peer) => voters.includes(peer)).map((peer) => known.get(peer) ?? 0));
    return voters.filter((voter) => known.get(voter) === highest);
  }

  #handOver(shard: number, to: string): void {
    this.#busy = true;
    this.#logger.info({ shard, to }, 'handing leadership over to balance the nodes');
    this.#host
      .transferLeadership(this.#map.groupOf(shard), to)
      .catch((error: unknown) => this.#logger.warn({ shard, to, error: String(error) }, 'the handover failed'))
      .finally(() => {
        this.#busy = false;
      });
  }

  #noteConnections(nowMs: number): void {
    for (const peer of this.#host.peers()) {
      if (!peer.connected) this.#connectedSince.delete(peer.id);
      else if (!this.#connectedSince.has(peer.id)) this.#connectedSince.set(peer.id, nowMs);
    }
  }

  #isSettled(id: string, nowMs: number): boolean {
    const since = this.#connectedSince.get(id);
    return since !== undefined && nowMs - since >= settledMs;
  }
}

/** The voter that should lead a shard when all are well; null when there are none. */
export function preferredLeader(shard: number, status: Pick<GroupStatus, 'voters'>): string | null {
  const voters = [...status.voters].sort();
  return voters[shard % Math.max(1, voters.length)] ?? null;
}
