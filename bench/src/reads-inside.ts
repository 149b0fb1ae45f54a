import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from './load.ts';
import type { Order, Result } from './reads-node.ts';

const modes = ['lease', 'linearizable'] as const;

/** Prints what reads cost that are made in the leader's process, and how many times more a round is than a lease. */
export async function printInside(
  directory: string,
  values: { readonly port: number; readonly readers: number; readonly seconds: number; readonly runs: number },
): Promise<void> {
  console.log(`host.read in the leader's process, ${values.readers} readers, each awaiting its read\n`);
  console.log('reads             per second   frames a read   fdatasync a read   CPU us a read');
  const cluster = await EmbeddedCluster.start(directory, values.port);
  try {
    const { readers, seconds } = values;
    // Both in turn, so that what else the machine does meets both; a first pass warms up.
    const orders = Array.from({ length: values.runs + 1 }, () =>
      modes.map((consistency) => ({ consistency, readers, seconds })),
    );
    const results = (await cluster.read(orders.flat())).slice(modes.length);
    const [lease, round] = modes.map((_, at) => median(results.filter((__, of) => of % modes.length === at)));
    if (lease === undefined || round === undefined) throw new Error('no run was made');
    if (lease.byLease !== lease.reads || round.byLease !== 0)
      throw new Error('reads were proved otherwise than asked for');
    for (const [at, mode] of modes.entries()) console.log(line(mode, at === 0 ? lease : round));
    const times = lease.perSecond / round.perSecond;
    const cpuTimes = round.cpuUsPerRead / lease.cpuUsPerRead;
    console.log(
      `\na lease read against a round: ${times.toFixed(1)} times the throughput, ${cpuTimes.toFixed(1)} times less processor time\n`,
    );
  } finally {
    cluster.stop();
  }
}

function median(results: readonly Result[]): Result | undefined {
  return results.toSorted((a, b) => a.perSecond - b.perSecond)[results.length >> 1];
}

function line(mode: string, { perSecond, framesPerRead, syncsPerRead, cpuUsPerRead }: Result): string {
  const cells = [
    Math.round(perSecond).toLocaleString('en-US').padStart(14),
    framesPerRead.toFixed(4).padStart(16),
    syncsPerRead.toFixed(4).padStart(19),
    cpuUsPerRead.toFixed(1).padStart(16),
  ];
  return mode.padEnd(14) + cells.join('');
}

/** Three nodes that embed nori-raft, and nothing else: what a program pays that reads in its own process. */
export class EmbeddedCluster {
  private readonly children: readonly ChildProcess[];

  static async start(directory: string, basePort: number): Promise<EmbeddedCluster> {
    const script = fileURLToPath(new URL('./reads-node.js', import.meta.url));
    const children = ['n1', 'n2', 'n3'].map((id) => fork(script, [id, String(basePort), join(directory, id)]));
    await Promise.all(children.map((child) => heard(child)));
    return new EmbeddedCluster(children);
  }

  private constructor(children: readonly ChildProcess[]) {
    this.children = children;
  }

  /** The leader reads; it is filled first. */
  async read(orders: readonly Order[]): Promise<readonly Result[]> {
    const leader = await this.leader();
    await ask(leader, 'fill');
    const results: Result[] = [];
    for (const order of orders) results.push((await ask(leader, order)) as Result);
    return results;
  }

  stop(): void {
    for (const child of this.children) child.disconnect();
  }

  private async leader(): Promise<ChildProcess> {
    for (;;) {
      for (const child of this.children) if ((await ask(child, 'leads')) === true) return child;
      await sleep(50);
    }
  }
}

function ask(child: ChildProcess, what: Order | string): Promise<unknown> {
  const answer = heard(child);
  child.send(what);
  return answer;
}

function heard(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('a node ended'));
    child.once('exit', onExit);
    child.once('message', ({ result, error }: { readonly result?: unknown; readonly error?: string }) => {
      child.off('exit', onExit);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
  });
}
