import type { Command } from 'commander';
import { gatherSettings } from '../config/gather.ts';
import { KvServer } from '../server/kv-server.ts';
import { jsonLogger } from './json-logger.ts';

/** How long a stop may take before the process ends anyway. */
const stopMsMax = 10_000;

/** One flag per setting. The values stay text here: one reader serves flags, variables and the file. */
export function addServeOptions(command: Command): Command {
  return command
    .option('--id <id>', 'the name of this node, for good')
    .option('--data-dir <dir>', 'where this node keeps its log')
    .option('--resp <address>', 'HOST:PORT for Redis clients')
    .option('--http <address>', 'HOST:PORT for HTTP')
    .option('--peer <address>', 'HOST:PORT for the other nodes')
    .option('--announce-resp <address>', 'where clients reach the RESP port, if not at --resp')
    .option('--announce-http <address>', 'where people reach the HTTP port, if not at --http')
    .option('--members <list>', 'the founding members: n1=HOST:PORT,n2=HOST:PORT,...')
    .option('--shards <count>', 'how many shards, fixed when the cluster is founded (default: 8)')
    .option(
      '--engine <name>',
      'where the keys live: lmdb, on disk; memory: rebuilt from the log at each start (default: lmdb)',
    )
    .option('--bootstrap', 'found the cluster if the data directory is empty')
    .option('--join <address>', 'join the cluster of the node with this HTTP address; then: nori-kv member add')
    .option('--cluster-name <name>', 'the same on every node (default: nori-kv)')
    .option('--routing <mode>', 'forward: serve any key; redirect: answer MOVED (default: forward)')
    .option('--reads <mode>', 'lease: no message per read; linearizable: no trust in clocks (default: lease)')
    .option('--password <text>', 'clients must AUTH with it; better given as NORI_PASSWORD')
    .option('--heartbeat-ms <ms>', 'how often a leader shows it is there (default: 150)')
    .option('--election-timeout-ms <min-max>', 'silence after which a new leader is sought (default: 300-600)')
    .option('--command-timeout-ms <ms>', 'how long a command may wait for a leader and a quorum (default: 5000)')
    .option('--key-bytes-max <bytes>', 'the longest key (default: 65536)')
    .option('--value-bytes-max <bytes>', 'the longest value (default: 8388608)')
    .option('--clients-max <count>', 'how many Redis connections at once (default: 10000)')
    .option('--client-idle-ms <ms>', 'close a Redis connection after this silence; 0: never (default: 0)')
    .option('--balance <on|off>', 'spread the leaders of the shards over the nodes (default: on)')
    .option('--log-level <level>', 'debug, info, warn or error (default: info)')
    .option(
      '--lease-ms <ms>',
      'how long a leader answers reads alone, and writes wait after its crash; 0: never (default: 2000)',
    )
    .option('--max-clock-drift <share>', 'how far clocks may run fast or slow (default: 0.01)')
    .option('--config <file>', 'a JSON file with the same keys (dataDir, electionTimeoutMs, ...)')
    .addHelpText(
      'after',
      '\nEvery flag can be a variable (NORI_DATA_DIR) or a key of the file; flags win over variables over the file.',
    );
}

/** Runs a node until a signal stops it. The process ends in here. */
export async function runServe(flags: Record<string, unknown>, version: string): Promise<void> {
  const { settings, warnings } = gatherSettings({ flags, environment: process.env });
  const logger = jsonLogger({ level: settings.logLevel, name: settings.id });
  for (const warning of warnings) logger.warn({}, warning);

  let server: KvServer | null = null;
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) {
      logger.warn({ reason }, 'asked to stop a second time: leaving at once');
      process.exit(130);
    }
    stopping = true;
    logger.info({ reason }, 'stopping: leadership is handed over first');
    setTimeout(() => process.exit(1), stopMsMax).unref();
    if (server === null) process.exit(0);
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error: String(error) }, 'the stop was not clean');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Started by `nori-kv start`: without its supervisor the node would be an orphan nobody stops.
  if (process.send !== undefined) process.on('disconnect', () => stop('the supervisor is gone'));

  server = await KvServer.start(settings, {
    version,
    logger,
    onFatal: (error) => {
      logger.error({ code: error.code, remedy: error.remedy }, error.message);
      process.stderr.write(`nori-kv: ${error.message}; ${error.remedy}\n`);
      process.exit(1);
    },
  });
  process.send?.({ type: 'started', resp: server.announced.resp, http: server.announced.http });
}
