import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCommand, type Engine, openEngine } from 'nori-kv';
import { flags } from './flags.ts';

// What a write costs the thread of a node, with each engine, alone and while an image of the whole shard is read: as a
// snapshot, 64 KiB at a time with a turn of the event loop between the pieces. No cluster and no log, only the state
// machine.

const options = {
  keys: { type: 'string', default: '200000' },
  'value-bytes': { type: 'string', default: '1024' },
  /** Commands applied in one turn. */
  batch: { type: 'string', default: '16' },
  engines: { type: 'string', default: 'memory,lmdb' },
  /** Every key in one slot, where a copy of a slot would be a copy of everything. */
  'one-slot': { type: 'boolean', default: false },
  dir: { type: 'string', default: tmpdir() },
} as const;
const values = flags(options);
const keys = Number(values.keys);
const batch = Number(values.batch);
const valueBytes = Number(values['value-bytes']);

const nextTurn = (): Promise<void> => new Promise((wake) => setImmediate(wake));
type Machine = ReturnType<Engine['stateMachine']>;

class Writer {
  readonly #machine: Machine;
  readonly #value: Buffer = Buffer.alloc(valueBytes, 'v');
  #index = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Applies a batch of SETs; answers how long the thread was in there, in ms. */
  async apply(keyOf: (at: number) => number): Promise<number> {
    const entries = Array.from({ length: batch }, (_, at) => {
      this.#index += 1;
      const name = Buffer.from(`${values['one-slot'] ? '{s}' : ''}key:${keyOf(at)}`);
      return {
        index: this.#index,
        term: 1,
        timeMs: 1,
        command: encodeCommand([Buffer.from('set'), name, this.#value]),
      };
    });
    const startMs = performance.now();
    const results = this.#machine.apply(entries);
    const tookMs = performance.now() - startMs;
    await results;
    return tookMs;
  }
}

interface Measured {
  readonly batches: number;
  readonly cpuMs: number;
  readonly applyMs: readonly number[];
  /** From one batch to the next: what a client would wait for the thread. */
  readonly turnMs: readonly number[];
}

async function measure(writer: Writer, until: Promise<unknown>): Promise<Measured> {
  const stop = new AbortController();
  void until.then(() => stop.abort());
  const applyMs: number[] = [];
  const turnMs: number[] = [];
  const cpu = process.cpuUsage();
  let lastMs = performance.now();
  while (!stop.signal.aborted) {
    applyMs.push(await writer.apply(() => Math.floor(Math.random() * keys)));
    await nextTurn();
    const nowMs = performance.now();
    turnMs.push(nowMs - lastMs);
    lastMs = nowMs;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { batches: applyMs.length, cpuMs: (user + system) / 1000, applyMs, turnMs };
}

async function readImage(machine: Machine): Promise<{ readonly bytes: number; readonly openMs: number }> {
  const startMs = performance.now();
  const image = machine.snapshot();
  const openMs = performance.now() - startMs;
  let bytes = 0;
  for await (const piece of image) {
    bytes += piece.length;
    await nextTurn();
  }
  return { bytes, openMs };
}

function line(name: string, { batches, cpuMs, applyMs, turnMs }: Measured): string {
  const at = (all: readonly number[], part: number): string => {
    const sorted = [...all].sort((left, right) => left - right);
    return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(2).padStart(8);
  };
  const cpuUs = ((cpuMs * 1000) / (batches * batch)).toFixed(1).padStart(7);
  return `${name.padEnd(22)}${cpuUs}${at(applyMs, 0.5)}${at(applyMs, 0.99)}${at(applyMs, 1)}${at(turnMs, 0.5)}${at(turnMs, 0.99)}${at(turnMs, 1)}`;
}

console.log(
  `${keys} keys of ${valueBytes} bytes, batches of ${batch} SETs; us of processor time a command; ms a batch, ms a turn`,
);
console.log(`${''.padEnd(22)} cpu us   apply p50   p99     max   turn p50  p99    max`);
for (const name of values.engines.split(',')) {
  const directory = mkdtempSync(join(values.dir, 'nori-bench-engine-'));
  const engine = await openEngine(name as 'memory' | 'lmdb', {
    path: directory,
    onFailed: (error) => console.error(error),
  });
  const machine = engine.stateMachine(1);
  const writer = new Writer(machine);
  for (let first = 0; first < keys; first += batch) {
    await writer.apply((at) => first + at);
    await nextTurn();
  }
  const alone = await measure(writer, new Promise((wake) => setTimeout(wake, 5000)));
  console.log(line(`${name}, alone`, alone));
  const image = readImage(machine);
  console.log(line(`${name}, image read`, await measure(writer, image)));
  const { bytes, openMs } = await image;
  console.log(
    `${name}: image of ${(bytes / 2 ** 20).toFixed(0)} MiB, opened in ${openMs.toFixed(2)} ms; ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB resident`,
  );
  await engine.close();
  rmSync(directory, { recursive: true });
}
