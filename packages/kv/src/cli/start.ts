import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { styleText } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import { ChildNode } from './child-node.ts';
import { untilReady } from './cluster-ready.ts';
import type { NodePlan } from './node-plan.ts';
import { table } from './status.ts';

export interface StartOptions {
  readonly nodes: number;
  readonly shards: number;
  readonly data: string;
  readonly basePort: number;
  readonly routing: string;
  readonly engine: string;
  readonly restart: boolean;
}

const host = '127.0.0.1';
const httpOffset = 100;
const peerOffset = 200;
/** npm and the terminal may both pass on one Ctrl-C. */
const secondSignalMs = 1000;
const stopMsMax = 12_000;

/** One node's addresses and command line. Pure, so that the plan of a cluster can be tested. */
export function planNodes(options: StartOptions): NodePlan[] {
  const { nodes, shards, basePort } = options;
  if (basePort + peerOffset + nodes > 65_535)
    throw new ConfigError(`--base-port ${basePort} leaves no room for the ports of ${nodes} nodes`);
  if (options.routing !== 'forward' && options.routing !== 'redirect')
    throw new ConfigError('--routing must be forward or redirect');
  if (options.engine !== 'lmdb' && options.engine !== 'memory')
    throw new ConfigError('--engine must be lmdb or memory');
  const data = resolve(options.data);
  const numbers = Array.from({ length: nodes }, (_, at) => at + 1);
  const members = numbers.map((number) => `n${number}=${host}:${basePort + peerOffset + number}`).join(',');
  return numbers.map((number) => {
    const id = `n${number}`;
    const resp = `${host}:${basePort + number}`;
    const http = `${host}:${basePort + httpOffset + number}`;
    const peer = `${host}:${basePort + peerOffset + number}`;
    const dataDir = `${data}/${id}`;
    const args = ['serve', '--id', id, '--data-dir', dataDir, '--resp', resp, '--http', http, '--peer', peer];
    args.push(
      '--members',
      members,
      '--shards',
      String(shards),
      '--routing',
      options.routing,
      '--engine',
      options.engine,
    );
    args.push('--bootstrap');
    return { id, resp, http, peer, dataDir, logFile: `${data}/${id}.log`, args };
  });
}

/** Runs a local cluster until a signal stops it. The process ends in here. */
export async function runStart(options: StartOptions): Promise<void> {
  const plans = planNodes(options);
  const data = resolve(options.data);
  try {
    mkdirSync(data, { recursive: true });
  } catch (error) {
    throw new Error(
      `cannot make the data directory ${data}: ${(error as NodeJS.ErrnoException).code ?? String(error)}; choose another with --data`,
      { cause: error },
    );
  }
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  let failStart: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    failStart = reject;
  });
  failed.catch(() => undefined);
  const children = plans.map(
    (plan) =>
      new ChildNode(plan, {
        restart: options.restart,
        say,
        onStartFailed: (error) => failStart(error),
        onAllDead: () => {
          if (children.every((child) => child.state === 'dead'))
            failStart(new Error('no node is left running; the logs say why'));
        },
      }),
  );
  const stop = stopper(children, say);
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  try {
    for (const child of children) child.start();
    await Promise.race([untilReady(plans, options.basePort, children), failed]);
    say(whatNext(plans, { data, routing: options.routing }));
    await failed;
  } catch (error) {
    await Promise.all(children.map((child) => child.stop(stopMsMax)));
    throw error;
  }
}

/** Stops every node and ends the process; a second signal kills them. */
function stopper(children: readonly ChildNode[], say: (text: string) => void): () => void {
  let stoppedAtMs: number | null = null;
  return () => {
    if (stoppedAtMs !== null) {
      if (performance.now() - stoppedAtMs < secondSignalMs) return;
      for (const child of children) child.kill();
      process.exit(130);
    }
    stoppedAtMs = performance.now();
    say('\nstopping the nodes ...');
    void Promise.all(children.map((child) => child.stop(stopMsMax))).then(() => {
      say('stopped; the data is kept, start again to go on');
      process.exit(0);
    });
  };
}

function whatNext(plans: readonly NodePlan[], { data, routing }: { data: string; routing: string }): string {
  const [first] = plans as [NodePlan];
  // A node that does not lead the key answers MOVED to a client that is no cluster client.
  const redisCli = routing === 'redirect' ? 'redis-cli -c' : 'redis-cli';
  const port = (address: string): string => address.slice(address.lastIndexOf(':') + 1);
  const rows = plans.map(({ id, resp, http, peer, logFile }) => [id, resp, http, peer, logFile]);
  const password: (readonly [string, string])[] = process.env['NORI_PASSWORD']
    ? [['export REDISCLI_AUTH=...', 'the NORI_PASSWORD the nodes were started with']]
    : [];
  const tries: readonly (readonly [string, string])[] = [
    ...password,
    [`${redisCli} -p ${port(first.resp)} set hello world`, 'any node takes any key'],
    [`${redisCli} -p ${port((plans.at(-1) as NodePlan).resp)} get hello`, 'and answers it'],
    [`redis-cli -c -p ${port(first.resp)} incr visits`, 'as a Redis Cluster'],
    [`curl http://${first.http}/v1/cluster`, 'who leads what'],
    ['npx nori-kv status' + (port(first.http) === '7101' ? '' : ` --http ${first.http}`), 'the same as a table'],
    [`kill -9 $(pgrep -f -- '--id ${first.id} --data-dir ${data}')`, 'a node dies, nothing is lost'],
  ];
  const width = Math.max(...tries.map(([command]) => command.length));
  return [
    '',
    styleText('bold', `nori-kv runs with ${plans.length} ${plans.length === 1 ? 'node' : 'nodes'}, data in ${data}`),
    '',
    table(['node', 'resp', 'http', 'peer', 'log'], rows),
    'Try:',
    ...tries.map(([command, why]) => `  ${command.padEnd(width)}  ${styleText('dim', `# ${why}`)}`),
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
}
