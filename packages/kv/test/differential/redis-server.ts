import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeBasePort } from '../support/free-ports.ts';
import { RespClient } from '../support/resp-client.ts';
import { until } from '../support/until.ts';

/** Whether the Redis these texts and semantics were taken from is installed. */
export function redisInstalled(): boolean {
  try {
    return execFileSync('redis-server', ['--version']).includes('v=7.0');
  } catch {
    return false;
  }
}

/** A real redis-server: a cluster of one node which owns every slot, with nothing on disk. */
export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #directory: string;

  static async start(): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), 'nori-kv-redis-'));
    const server = new RedisServer(await freeBasePort(1), directory);
    await until('redis-server owns every slot', async () => {
      const client = await RespClient.open(server.port);
      try {
        await client.ask('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
        const info = await client.ask('CLUSTER', 'INFO');
        return typeof info === 'string' && info.includes('cluster_state:ok');
      } finally {
        client.close();
      }
    });
    return server;
  }

  private constructor(port: number, directory: string) {
    this.port = port + 1;
    this.#directory = directory;
    const settings = `--port ${this.port} --bind 127.0.0.1 --save --appendonly no --cluster-enabled yes --dir ${directory}`;
    this.#process = spawn(
      'redis-server',
      settings.split(' ').flatMap((word) => (word === '--save' ? [word, ''] : [word])),
      {
        stdio: 'ignore',
      },
    );
    process.once('exit', () => this.#process.kill('SIGKILL'));
  }

  stop(): void {
    this.#process.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
