import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { sleep } from './load.ts';
import type { Target } from './prober.ts';

/** The version of the etcd that is installed, or null. */
export function etcdVersion(): string | null {
  const { stdout, status } = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  return status === 0 ? (/etcd Version: (\S+)/.exec(stdout)?.[1] ?? 'unknown') : null;
}

/** Three etcd processes with default settings, for comparison. */
export class EtcdCluster {
  readonly ids: readonly string[] = ['e1', 'e2', 'e3'];
  private readonly directory: string;
  private readonly basePort: number;
  private readonly children: Map<string, ChildProcess> = new Map();
  private founded = false;

  static async start(directory: string, basePort: number): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(directory, basePort);
    for (const id of cluster.ids) cluster.startNode(id);
    cluster.founded = true;
    await cluster.ready();
    return cluster;
  }

  private constructor(directory: string, basePort: number) {
    this.directory = directory;
    this.basePort = basePort;
  }

  clientPort(id: string): number {
    return this.basePort + this.ids.indexOf(id);
  }

  startNode(id: string): void {
    const peerUrl = (of: string): string => `http://127.0.0.1:${this.clientPort(of) + 10}`;
    const clientUrl = `http://127.0.0.1:${this.clientPort(id)}`;
    const flags = {
      '--name': id,
      '--data-dir': `${this.directory}/${id}`,
      '--listen-client-urls': clientUrl,
      '--advertise-client-urls': clientUrl,
      '--listen-peer-urls': peerUrl(id),
      '--initial-advertise-peer-urls': peerUrl(id),
      '--initial-cluster': this.ids.map((of) => `${of}=${peerUrl(of)}`).join(','),
      '--initial-cluster-state': this.founded ? 'existing' : 'new',
    };
    this.children.set(id, spawn('etcd', Object.entries(flags).flat(), { stdio: 'ignore' }));
  }

  signal(id: string, name: NodeJS.Signals): void {
    this.children.get(id)?.kill(name);
  }

  end(id: string, name: NodeJS.Signals): Promise<void> {
    const child = this.children.get(id);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.kill(name);
    });
  }

  /** Who leads, by the word of the node asked; null when nobody is known. */
  async leader(asked: string): Promise<string | null> {
    const leads = await Promise.all(
      this.ids.map(async (id) => ({ id, status: await post(this.clientPort(id), '/v3/maintenance/status', {}) })),
    );
    const leader = leads.find(({ id }) => id === asked)?.status?.leader;
    return leads.find(({ status }) => status !== null && memberOf(status) === leader)?.id ?? null;
  }

  /** Every node answers a linearizable read. */
  async ready(): Promise<void> {
    const deadlineMs = performance.now() + 30_000;
    while (performance.now() < deadlineMs) {
      const answers = await Promise.all(
        this.ids.map((id) => post(this.clientPort(id), '/v3/kv/range', { key: encoded('any') })),
      );
      if (answers.every((answer) => answer !== null)) return;
      await sleep(50);
    }
    throw new Error('etcd was not ready within 30 seconds');
  }

  async stop(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.end(id, 'SIGKILL')));
  }
}

export function readEtcd(port: number, key: string): Target {
  return target(port, '/v3/kv/range', { key: encoded(key) }, (answer) => answer.count === '1');
}

export function writeEtcd(port: number, key: string): Target {
  return target(port, '/v3/kv/put', { key: encoded(key), value: encoded('x') }, () => true);
}

interface Answer {
  readonly header?: { readonly member_id?: string };
  readonly leader?: string;
  readonly count?: string;
}

function memberOf(answer: Answer): string | undefined {
  return answer.header?.member_id;
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function target(port: number, path: string, body: unknown, isSuccess: (answer: Answer) => boolean): Target {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  return {
    attempt: async () => {
      const answer = await post(port, path, body, agent);
      return answer !== null && isSuccess(answer);
    },
    close: () => agent.destroy(),
  };
}

/** The answer of etcd's JSON gateway, or null when it was an error or none came within a second. */
function post(port: number, path: string, body: unknown, agent?: Agent): Promise<Answer | null> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path, method: 'POST', timeout: 1_000, ...(agent && { agent }) };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? (JSON.parse(text) as Answer) : null));
      response.on('error', () => resolve(null));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.end(JSON.stringify(body));
  });
}
