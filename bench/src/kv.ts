import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchCluster } from './cluster.ts';
import { measureDisk } from './disk.ts';
import { flags } from './flags.ts';
import { load, type LoadResult } from './load.ts';

// SET and GET through three processes with real fdatasync, beside what the disk allows in the same run.

const options = {
  seconds: { type: 'string', default: '4' },
  runs: { type: 'string', default: '3' },
  shards: { type: 'string', default: '8' },
  'value-bytes': { type: 'string', default: '128' },
  pipeline: { type: 'string', default: '1' },
  connections: { type: 'string', default: '1,16,64,256' },
  dir: { type: 'string', default: tmpdir() },
  port: { type: 'string', default: '19400' },
} as const;

const values = flags(options);
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(values.dir, 'nori-bench-'));
const cluster = await BenchCluster.start(directory, { shards: Number(values.shards), basePort: Number(values.port) });
try {
  const disk = await measureDisk(directory);
  console.log(
    `disk: ${round(disk.syncPerSecond)} write+fdatasync/s of 4 KiB on the calling thread, ${round(disk.asyncPerSecond)}/s through the thread pool`,
  );
  console.log(
    `three processes, one disk, ${values.shards} shards, ${values['value-bytes']} byte values, pipeline ${values.pipeline}, median of ${values.runs} runs of ${seconds} s\n`,
  );
  console.log('command  connections   per second   p50 ms   p99 ms   errors   per fdatasync of the disk');
  for (const command of ['SET', 'GET'] as const) {
    for (const connections of values.connections.split(',').map(Number)) {
      const results: LoadResult[] = [];
      for (let run = 0; run < Number(values.runs); run += 1) {
        results.push(
          await load({
            ports: cluster.respPorts,
            connections,
            pipeline: Number(values.pipeline),
            seconds,
            command,
            keys: 10_000,
            valueBytes: Number(values['value-bytes']),
          }),
        );
      }
      const median = results.toSorted((a, b) => a.perSecond - b.perSecond)[results.length >> 1] as LoadResult;
      const ratio = (median.perSecond / disk.asyncPerSecond).toFixed(2);
      console.log(
        `${command.padEnd(7)}${String(connections).padStart(13)}${round(median.perSecond).padStart(13)}${median.p50Ms.toFixed(2).padStart(9)}${median.p99Ms.toFixed(2).padStart(9)}${String(median.errors).padStart(9)}${ratio.padStart(12)}`,
      );
    }
  }
} finally {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
