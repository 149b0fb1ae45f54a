import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sleep } from './load.ts';

const command = fileURLToPath(new URL('../../packages/kv/bin/nori-kv.js', import.meta.url));

interface ClusterDocument {
  readonly shards: readonly { readonly leader: string | null }[];
}

export interface RunningCluster {
  readonly respPorts: readonly number[];
  stop(): Promise<void>;
}

/** Three `nori-kv serve` processes on loopback, one disk; resolves when every shard has a leader. */
export async function startCluster(
  directory: string,
  options: { readonly shards: number; readonly basePort: number },
): Promise<RunningCluster> {
  const ids = ['n1', 'n2', 'n3'];
  const port = (kind: number, at: number): number => options.basePort + kind * 10 + at;
  const members = ids.map((id, at) => `${id}=127.0.0.1:${port(2, at)}`).join(',');
  const children: ChildProcess[] = ids.map((id, at) =>
    spawn(
      process.execPath,
      [
        command,
        'serve',
        '--id',
        id,
        '--data-dir',
        `${directory}/${id}`,
        '--members',
        members,
        '--bootstrap',
        '--shards',
        String(options.shards),
        '--resp',
        `127.0.0.1:${port(0, at)}`,
        '--http',
        `127.0.0.1:${port(1, at)}`,
        '--peer',
        `127.0.0.1:${port(2, at)}`,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map((child) =>
        child.exitCode === null
          ? new Promise((resolve) => {
              child.once('exit', resolve);
              child.kill('SIGTERM');
            })
          : Promise.resolve(),
      ),
    );
  };
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    if (await hasLeaders(port(1, 0))) return { respPorts: ids.map((_, at) => port(0, at)), stop };
    await sleep(100);
  }
  await stop();
  throw new Error('the cluster found no leaders within 30 seconds');
}

async function hasLeaders(httpPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${httpPort}/v1/cluster`);
    const document = (await response.json()) as ClusterDocument;
    return document.shards.length > 0 && document.shards.every((shard) => shard.leader !== null);
  } catch {
    return false; // not listening yet
  }
}
