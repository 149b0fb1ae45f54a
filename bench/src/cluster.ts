import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sleep } from './load.ts';

const command = fileURLToPath(new URL('../../packages/kv/bin/nori-kv.js', import.meta.url));

interface ShardDocument {
  readonly slots: readonly [from: number, to: number];
  readonly leader: string | null;
}

export interface ClusterOptions {
  readonly shards: number;
  readonly basePort: number;
  /** More flags for every node, name by name: `--lease-ms`. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** One `nori-kv serve` process, and the ports it answers on. */
export class BenchNode {
  readonly id: string;
  readonly respPort: number;
  readonly httpPort: number;
  private readonly args: readonly string[];
  private child: ChildProcess | null = null;

  constructor(id: string, ports: { readonly resp: number; readonly http: number }, args: readonly string[]) {
    this.id = id;
    this.respPort = ports.resp;
    this.httpPort = ports.http;
    this.args = args;
  }

  start(): void {
    this.child = spawn(process.execPath, [command, ...this.args], { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  signal(name: NodeJS.Signals): void {
    this.child?.kill(name);
  }

  /** Resolves when the process has ended, with the signal or by itself. */
  end(name: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.kill(name);
    });
  }
}

/** Three nodes on loopback that share one disk. */
export class BenchCluster {
  readonly nodes: readonly BenchNode[];

  /** Resolves when every shard has a leader. */
  static async start(directory: string, options: ClusterOptions): Promise<BenchCluster> {
    const cluster = new BenchCluster(directory, options);
    for (const node of cluster.nodes) node.start();
    try {
      await cluster.ready();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  private constructor(directory: string, { shards, basePort, flags = {} }: ClusterOptions) {
    const ids = ['n1', 'n2', 'n3'];
    const port = (kind: number, at: number): number => basePort + kind * 10 + at;
    const members = ids.map((id, at) => `${id}=127.0.0.1:${port(2, at)}`).join(',');
    this.nodes = ids.map((id, at) => {
      const settings = {
        '--id': id,
        '--data-dir': `${directory}/${id}`,
        '--members': members,
        '--shards': String(shards),
        '--resp': `127.0.0.1:${port(0, at)}`,
        '--http': `127.0.0.1:${port(1, at)}`,
        '--peer': `127.0.0.1:${port(2, at)}`,
        ...flags,
      };
      const args = ['serve', '--bootstrap', ...Object.entries(settings).flat()];
      return new BenchNode(id, { resp: port(0, at), http: port(1, at) }, args);
    });
  }

  get respPorts(): readonly number[] {
    return this.nodes.map((node) => node.respPort);
  }

  /** The shards as a node sees them; null while it does not answer. */
  async shards(node: BenchNode = this.nodes[0] as BenchNode): Promise<readonly ShardDocument[] | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${node.httpPort}/v1/cluster`, {
        signal: AbortSignal.timeout(1_000),
      });
      return ((await response.json()) as { readonly shards: readonly ShardDocument[] }).shards;
    } catch {
      return null; // not listening yet
    }
  }

  /** Every node has caught up and knows a leader for every shard. */
  async ready(): Promise<void> {
    const deadlineMs = performance.now() + 30_000;
    while (performance.now() < deadlineMs) {
      const answers = await Promise.all(this.nodes.map((node) => isReady(node.httpPort)));
      if (answers.every(Boolean)) return;
      await sleep(50);
    }
    throw new Error('the cluster was not ready within 30 seconds');
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGTERM')));
  }
}

async function isReady(httpPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`, { signal: AbortSignal.timeout(1_000) });
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}
