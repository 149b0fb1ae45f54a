import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterDocument, ShardDocument } from '../../src/http/cluster-document.ts';
import { freeBasePort } from './free-ports.ts';
import { NodeProcess } from './node-process.ts';
import { RespClient, type RespValue } from './resp-client.ts';
import { until } from './until.ts';

export interface TestClusterOptions {
  readonly nodes?: number;
  /** The first so many nodes found the cluster; the others may join it later. Default: all. */
  readonly founders?: number;
  readonly shards?: number;
  /** More flags for every node. */
  readonly flags?: readonly string[];
  /** More flags for one node. */
  readonly flagsOf?: (id: string) => readonly string[];
  /** More variables for the environment of a node. */
  readonly environmentOf?: (id: string) => Readonly<Record<string, string>>;
  /** Another build of nori-kv than the one at hand. */
  readonly program?: string;
  /** Where the node keeps its data, when not in a fresh temporary directory. */
  readonly dataDirOf?: (id: string) => string;
}

/** A command line. */
export function flagsOf(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flat();
}

/** Nodes of one cluster, each its own process with its own disk directory, started, killed and asked by a test. */
export class TestCluster {
  readonly ids: readonly string[];
  readonly founders: readonly string[];
  readonly directory: string;
  readonly #base: number;
  readonly #options: TestClusterOptions;
  #seedPort = 0;
  readonly #processes: Map<string, NodeProcess> = new Map();

  /** Founds a cluster; resolves when every shard has a leader on every node. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options, await freeBasePort(options.nodes ?? 3));
    for (const id of cluster.founders) cluster.startNode(id);
    await cluster.ready(cluster.founders);
    return cluster;
  }

  private constructor(options: TestClusterOptions, base: number) {
    this.#options = options;
    this.#base = base;
    this.ids = Array.from({ length: options.nodes ?? 3 }, (_, at) => `n${at + 1}`);
    this.founders = this.ids.slice(0, options.founders ?? this.ids.length);
    this.directory = mkdtempSync(join(tmpdir(), 'nori-kv-test-'));
  }

  respPort(id: string): number {
    return this.#base + this.#numberOf(id);
  }

  httpPort(id: string): number {
    return this.#base + 100 + this.#numberOf(id);
  }

  peerPort(id: string): number {
    return this.#base + 200 + this.#numberOf(id);
  }

  dataDir(id: string): string {
    return this.#options.dataDirOf?.(id) ?? join(this.directory, id);
  }

  /** The command line of a node. */
  argsOf(id: string): string[] {
    const members = this.founders.map((member) => `${member}=127.0.0.1:${this.peerPort(member)}`).join(',');
    const flags = flagsOf({
      '--id': id,
      '--data-dir': this.dataDir(id),
      '--resp': `127.0.0.1:${this.respPort(id)}`,
      '--http': `127.0.0.1:${this.httpPort(id)}`,
      '--peer': `127.0.0.1:${this.peerPort(id)}`,
      '--shards': String(this.#options.shards ?? 4),
    });
    const founder = this.founders.includes(id);
    const cluster = founder ? ['--bootstrap', '--members', members] : ['--join', `127.0.0.1:${this.#seedPort}`];
    const more = [...(this.#options.flags ?? []), ...(this.#options.flagsOf?.(id) ?? [])];
    return ['serve', ...cluster, ...flags, ...more];
  }

  /** Starts a node that is no founder and makes it a member of every shard. */
  async join(id: string, through: string): Promise<void> {
    this.#seedPort = this.httpPort(through);
    this.startNode(id);
    await until(`${id} answers`, () => fetch(`http://127.0.0.1:${this.httpPort(id)}/healthz`).then(({ ok }) => ok));
    await this.member(through, 'add', id, `127.0.0.1:${this.peerPort(id)}`);
    await this.ready([id]);
  }

  /** `nori-kv member`, asked of a node. */
  async member(through: string, ...words: readonly string[]): Promise<string> {
    const command = new NodeProcess(['member', ...words, '--http', `127.0.0.1:${this.httpPort(through)}`]);
    const { code } = await command.exited;
    if (code !== 0) throw new Error(`member ${words.join(' ')}: ${command.stderr}`);
    return command.stdout;
  }

  startNode(id: string, moreFlags: readonly string[] = []): NodeProcess {
    if (this.#processes.get(id)?.alive === true) throw new Error(`${id} runs already`);
    const environment = this.#options.environmentOf?.(id) ?? {};
    const started = new NodeProcess([...this.argsOf(id), ...moreFlags], environment, this.#options.program);
    this.#processes.set(id, started);
    return started;
  }

  process(id: string): NodeProcess {
    const found = this.#processes.get(id);
    if (found === undefined) throw new Error(`${id} was never started`);
    return found;
  }

  get running(): string[] {
    return this.ids.filter((id) => this.#processes.get(id)?.alive === true);
  }

  async killAll(): Promise<void> {
    await Promise.all(this.running.map((id) => this.process(id).kill()));
  }

  /** Every given node is ready to serve: it has caught up and knows a leader for every shard. */
  async ready(ids: readonly string[] = this.ids): Promise<void> {
    await Promise.all(
      ids.map((id) =>
        until(`${id} is ready`, async () => {
          if (this.process(id).exit !== null) throw new Error(`${id} ended: ${this.process(id).stderr}`);
          const response = await fetch(`http://127.0.0.1:${this.httpPort(id)}/readyz`, {
            signal: AbortSignal.timeout(5000),
          });
          if (response.ok) return true;
          throw new Error(await response.text());
        }),
      ),
    );
  }

  /** The cluster as a node sees it. */
  async view(id: string, query = ''): Promise<ClusterDocument> {
    const url = `http://127.0.0.1:${this.httpPort(id)}/v1/cluster${query}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return (await response.json()) as ClusterDocument;
  }

  /** Every shard is led by the node the balancer wants, and every node knows: leaders stay where they are. */
  async balanced(): Promise<void> {
    await until('the leaders are spread', async () => {
      const views = await Promise.all(this.ids.map((id) => this.view(id)));
      return views.every(({ shards }) => shards.every(({ leader }, at) => leader === this.ids[at % this.ids.length]));
    });
  }

  /** Who leads the shard, by the leader's own word. */
  leaderOf(shard: number, among: readonly string[] = this.running): Promise<{ id: string; term: number }> {
    return until(`shard ${shard} has a leader among ${among.join(', ')}`, async () => {
      const own = await Promise.all(
        among.map(async (id) => ({ id, shard: (await this.view(id)).shards[shard] as ShardDocument })),
      );
      const leaders = own.filter((node) => node.shard.role === 'leader').sort((a, b) => b.shard.term - a.shard.term);
      return leaders[0] === undefined ? null : { id: leaders[0].id, term: leaders[0].shard.term };
    });
  }

  async connect(id: string): Promise<RespClient> {
    return RespClient.open(this.respPort(id));
  }

  /** One command on a connection of its own. */
  async ask(id: string, ...args: readonly (string | Buffer | number)[]): Promise<RespValue> {
    const client = await this.connect(id);
    try {
      return await client.ask(...args);
    } finally {
      client.close();
    }
  }

  /**
   * Waits until all given nodes have applied everything there is, then returns the digests: per shard, one per node.
   * Nobody may be writing.
   */
  digests(ids: readonly string[] = this.ids): Promise<{ applied: number; digests: string[] }[]> {
    return until(
      'every replica has applied everything',
      async () => {
        const views = await Promise.all(ids.map((id) => this.view(id, '?digest=1')));
        const shards = (views[0] as ClusterDocument).shards.map((_, shard) =>
          views.map((view) => view.shards[shard] as ShardDocument),
        );
        const settled = shards.every(
          (replicas) =>
            new Set(replicas.map(({ applied }) => applied)).size === 1 &&
            replicas.every(({ applied, lastIndex }) => applied === lastIndex),
        );
        return settled
          ? shards.map((replicas) => ({
              applied: (replicas[0] as ShardDocument).applied,
              digests: replicas.map(({ digest }) => digest ?? ''),
            }))
          : null;
      },
      60_000,
    );
  }

  /** Kills what still runs and removes the data. */
  async close(): Promise<void> {
    await this.killAll();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #numberOf(id: string): number {
    return this.ids.indexOf(id) + 1;
  }
}
