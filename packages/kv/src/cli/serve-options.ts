import type { Command } from 'commander';

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
    .option(
      '--priority <number>',
      'leaders go to the nodes of the highest priority that are well, 0 to 1000 (default: 100)',
    )
    .option('--log-level <level>', 'debug, info, warn or error (default: info)')
    .option(
      '--lease-ms <ms>',
      'how long a leader answers reads alone, and writes wait after its crash; 0: never (default: 2000)',
    )
    .option('--max-clock-drift <share>', 'how far clocks may run fast or slow (default: 0.01)')
    .option('--snapshot-log-bytes <bytes>', 'a shard takes a snapshot after so much in its log (default: 256 MiB)')
    .option('--snapshot-entries <count>', '... or after so many commands (default: 1000000)')
    .option('--snapshot-tail-entries <count>', 'commands before a snapshot that the log keeps (default: 10000)')
    .option(
      '--snapshot-bytes-per-second <bytes>',
      'what snapshots for other nodes may take of the network (default: 128 MiB)',
    )
    .option('--config <file>', 'a JSON file with the same keys (dataDir, electionTimeoutMs, ...)')
    .addHelpText(
      'after',
      '\nEvery flag can be a variable (NORI_DATA_DIR) or a key of the file; flags win over variables over the file.',
    );
}
