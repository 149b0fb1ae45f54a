import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import type { BackupOptions } from './backup.ts';
import type { CheckHistoryOptions } from './check-history.ts';
import type { AdminOptions } from './members.ts';
import type { RecoverOptions } from './recover.ts';
import type { RestoreOptions } from './restore.ts';
import { addServeOptions } from './serve-options.ts';
import type { StartOptions } from './start.ts';

const exitRuntime = 1;
const exitConfig = 2;

/** What an error of the library means to somebody at a command line. */
const remedies: Readonly<Record<string, string>> = {
  DATA_DIR_EMPTY:
    'start it once with --bootstrap to found a new cluster, or with --join to enter one; a member that lost its disk is removed first (nori-kv member remove)',
};

const version = (createRequire(import.meta.url)('../../package.json') as { version: string }).version;

// A pipe that nobody reads any more (`nori-kv status | head -1`, a dead supervisor) is no reason to crash.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

// Each command loads what it needs and no more: a node that comes back is waited for by the others.
const members = (): Promise<typeof import('./members.ts')> => import('./members.ts');

const program = new Command('nori-kv')
  .description('A sharded, strongly consistent key-value store that every Redis client can use.')
  .version(version)
  .showHelpAfterError('(nori-kv --help shows what there is)')
  .exitOverride();

program
  .command('start')
  .description('run a local cluster, one process per node')
  .option('--nodes <count>', 'how many nodes', wholeFrom(1, 99), 3)
  .option('--shards <count>', 'how many shards', wholeFrom(1, 16_384), 8)
  .option('--data-dir, --data <dir>', 'where the nodes keep their data and logs', './nori-data')
  .option(
    '--base-port <port>',
    'RESP ports follow it; HTTP ports 100 and peer ports 200 above',
    wholeFrom(1, 65_000),
    7000,
  )
  .option('--routing <mode>', 'forward: any node serves any key; redirect: answer MOVED', 'forward')
  .option('--engine <name>', 'where the keys live: lmdb or memory', 'lmdb')
  .option('--no-restart', 'leave a node that dies dead')
  .action(async (options: StartOptions) => (await import('./start.ts')).runStart(options));

addServeOptions(program.command('serve').description('run one node in the foreground')).action(
  async (flags: Record<string, unknown>) => (await import('./serve.ts')).runServe(flags, version),
);

program
  .command('status')
  .description('print the cluster as one of its nodes sees it')
  .option('--http <address>', 'the HTTP address of a node', '127.0.0.1:7101')
  .action(async (options: { http: string }) => (await import('./status.ts')).runStatus(options.http));

const member = program.command('member').description('who is in the cluster');
const shard = program.command('shard').description('who leads the shards');

adminOptions(
  member.command('list').description('every node, and in how many shards it votes, learns and leads'),
).action(async (options: AdminOptions) => (await members()).runMemberList(options));
adminOptions(
  member
    .command('add')
    .description('make a node that runs with --join a voter of every shard, once it has caught up')
    .argument('<id>', 'its --id')
    .argument('<peer>', 'its peer address, HOST:PORT')
    .option('--learner', 'add it without a vote'),
).action(async (id: string, address: string, options: AdminOptions & { learner?: boolean }) =>
  (await members()).runMemberOrder(options.learner === true ? 'learn' : 'add', id, { ...options, address }),
);
adminOptions(member.command('remove').description('remove a node from every shard').argument('<id>')).action(
  async (id: string, options: AdminOptions) => (await members()).runMemberOrder('remove', id, options),
);
adminOptions(
  member
    .command('move')
    .description(
      'tell every shard where a node is to be found: its process listens at another peer address, or soon will',
    )
    .argument('<id>')
    .argument('<peer>', 'its new peer address, HOST:PORT'),
).action(async (id: string, address: string, options: AdminOptions) =>
  (await members()).runMemberOrder('move', id, { ...options, address }),
);
adminOptions(member.command('promote').description('give a learner a vote in every shard').argument('<id>')).action(
  async (id: string, options: AdminOptions) => (await members()).runMemberOrder('promote', id, options),
);
adminOptions(member.command('demote').description('make a voter a learner in every shard').argument('<id>')).action(
  async (id: string, options: AdminOptions) => (await members()).runMemberOrder('demote', id, options),
);
adminOptions(shard.command('list').description('every shard, its leader and members')).action(
  async (options: AdminOptions) => (await members()).runShardList(options),
);
adminOptions(
  shard
    .command('refill')
    .description('have the node at --http give up its copy of a shard, and get it anew from the others')
    .argument('<shard>'),
).action(async (id: string, options: AdminOptions) => (await members()).runShardRefill(id, options));
adminOptions(
  shard
    .command('transfer')
    .description('have the leader of a shard hand over')
    .argument('<shard>')
    .option('--to <id>', 'to this node; default: the one with the longest log'),
).action(async (id: string, options: AdminOptions & { to?: string }) =>
  (await members()).runShardTransfer(id, options),
);
const password = ['--password <text>', 'the password of the cluster; better given as NORI_PASSWORD'] as const;

program
  .command('backup')
  .description('write everything a running cluster holds to a file, while it goes on')
  .argument('<file>', 'made anew, or - for standard output')
  .option('--http <address>', 'the HTTP address of a node', '127.0.0.1:7101')
  .option(...password, process.env['NORI_PASSWORD'])
  .action(async (file: string, options: BackupOptions) => (await import('./backup.ts')).runBackup(file, options));

program
  .command('restore')
  .description('fill a new cluster, of any number of shards, from a backup, and compare digests')
  .argument('<file>', 'what backup wrote')
  .option('--http <address>', 'the HTTP address of a node', '127.0.0.1:7101')
  .option(...password, process.env['NORI_PASSWORD'])
  .action(async (file: string, options: RestoreOptions) => (await import('./restore.ts')).runRestore(file, options));

program
  .command('recover')
  .description('offline, and MAY LOSE DATA: go on with the survivors of a cluster that lost its majority for good')
  .requiredOption('--data-dir <dir>', 'of a survivor that does not run')
  .option('--survivors [reports...]', 'files with what recover printed for every survivor; none: this is the only one')
  .option('--accept-loss', 'do it; without, only say what would be done and lost')
  .action(async (options: RecoverOptions) => (await import('./recover.ts')).runRecover(options));

program
  .command('check-history')
  .description('judge whether a recorded history is linearizable: exit code 0 yes, 1 no, 2 undecided or unreadable')
  .argument('<file>', 'JSON lines (docs/history-format.md), or - for standard input')
  .option('--seconds <count>', 'how long the search may take', wholeFrom(1, 86_400), 60)
  .action(async (file: string, options: CheckHistoryOptions) =>
    (await import('./check-history.ts')).runCheckHistory(file, options),
  );

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
  // A half-started server may still hold sockets open.
  setTimeout(() => process.exit(), 1000).unref();
}

/** One line about what went wrong, and the exit code that goes with it. */
function report(error: unknown): number {
  // Commander has printed its own message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitConfig;
  const { message, remedy, code } = error as { message?: string; remedy?: string; code?: string };
  const todo = remedies[code ?? ''] ?? remedy;
  const line = `${message ?? String(error)}${todo === undefined ? '' : `; ${todo}`}`.replaceAll(/\s*\n\s*/g, ' ');
  process.stderr.write(`nori-kv: ${line}\n`);
  return error instanceof ConfigError || code === 'CONFIG_INVALID' || code === 'ADDRESS_INVALID'
    ? exitConfig
    : exitRuntime;
}

function adminOptions(command: Command): Command {
  return command
    .option('--http <address>', 'the HTTP address of a node', '127.0.0.1:7101')
    .option('--password <text>', 'the password of the cluster; better given as NORI_PASSWORD')
    .option('--wait <seconds>', 'how long it may take', wholeFrom(1, 600), 60);
}

function wholeFrom(smallest: number, largest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < smallest || value > largest) {
      throw new InvalidArgumentError(`It must be a whole number from ${smallest} to ${largest}.`);
    }
    return value;
  };
}
