// Takes the lock of a data directory by the same protocol as src/node/lock.ts, without the TypeScript sources, and waits.
import { spawnSync } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';

const fd = openSync(`${process.argv[2]}/LOCK`, 'w+');
const { status } = spawnSync('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
writeSync(fd, `${process.pid}\n`, 0);
process.stdout.write(`${status}\n`);
setInterval(() => {}, 1000);
