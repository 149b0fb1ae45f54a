import { createReadStream } from 'node:fs';
import { type BackupSummary, readBackup } from '../backup/backup-reader.ts';
import { DigestSum } from '../backup/digest-sum.ts';
import { slotOf } from '../commands/key-slot.ts';
import { type Entry, makeEntry } from '../state/entry.ts';
import { keyRecords } from '../state/image-format.ts';
import { toValue } from '../state/value.ts';
import { NodeHttp, problemOf } from './node-http.ts';

export interface RestoreOptions {
  readonly http: string;
  readonly password?: string;
}

/** Blocks on their way at once. */
const blocksMax = 4;
/** A block is tried again for so long: leaders move, and setting a key twice does no harm. */
const patienceMs = 60_000;
const retryMs = 250;
/** Expiry takes a moment to be written down when nobody writes. */
const settleMs = 10_000;
/** What expires within this time from now may do so before the digests are compared. */
const watchedMs = 86_400_000;

/**
 * Fills an empty cluster from a backup, whatever its number of shards, and compares digests. The file is read twice: nothing
 * is written before it is known to be whole.
 */
export async function runRestore(file: string, { http, password }: RestoreOptions): Promise<void> {
  const node = new NodeHttp(http, password);
  const summary = await verify(file);
  const { keys } = await digestOf(node);
  if (keys > 0)
    throw new Error(`the cluster at ${http} holds ${keys} keys; restore into a new one, or FLUSHALL this one`);
  const startedMs = performance.now();
  const expiring = await send(node, file);
  const expired = await untilAlike(node, summary, expiring);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const gone = expired === 0 ? '' : `, ${expired} of them expired since`;
  process.stdout.write(
    `${file}: ${summary.keys} keys restored in ${seconds} s${gone}; the digest of the cluster is that of the backup: ${summary.digest}\n`,
  );
}

async function verify(file: string): Promise<BackupSummary> {
  const blocks = readBackup(createReadStream(file));
  try {
    for (;;) {
      const next = await blocks.next();
      if (next.done === true) return next.value;
    }
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`cannot restore ${file}: ${message}; nothing was written, give a whole file of nori-kv backup`, {
      cause: error,
    });
  }
}

/** Sends the blocks; answers the keys that may expire before the end, the soonest first. */
async function send(node: NodeHttp, file: string): Promise<Entry[]> {
  const expiring: Entry[] = [];
  const underWay = new Set<Promise<void>>();
  const lastMs = Date.now() + watchedMs;
  for await (const body of readBackup(createReadStream(file))) {
    for (const { key, value, expireMs } of keyRecords(body)) {
      if (expireMs === 0 || expireMs > lastMs) continue;
      expiring.push(makeEntry({ key: key.toString('latin1'), slot: slotOf(key) }, toValue(value), expireMs));
    }
    const sending = sendBlock(node, body).finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= blocksMax) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return expiring.sort((left, right) => left.expireMs - right.expireMs);
}

async function sendBlock(node: NodeHttp, body: Buffer): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const response = await node.fetch('/v1/restore', { method: 'POST', body });
    if (response.ok) return;
    const problem = await problemOf(response);
    if (response.status < 500 || performance.now() > untilMs) throw new Error(problem);
    await new Promise((wake) => setTimeout(wake, retryMs));
  }
}

/** Waits until the cluster holds what the backup does, but for what has expired; answers how much has. */
async function untilAlike(node: NodeHttp, summary: BackupSummary, expiring: readonly Entry[]): Promise<number> {
  const untilMs = performance.now() + settleMs;
  for (;;) {
    const { digest } = await digestOf(node);
    const nowMs = Date.now();
    const sum = new DigestSum();
    sum.add(summary.digest);
    if (sum.text === digest) return 0;
    for (const [at, entry] of expiring.entries()) {
      if (entry.expireMs > nowMs) break;
      sum.subtract(entry);
      if (sum.text === digest) return at + 1;
    }
    if (performance.now() > untilMs)
      throw new Error(
        `the digest of the cluster is ${digest}, and that of the backup ${summary.digest}: did others write?`,
      );
    await new Promise((wake) => setTimeout(wake, retryMs));
  }
}

async function digestOf(node: NodeHttp): Promise<{ readonly keys: number; readonly digest: string }> {
  return (await (await node.ask('/v1/digest')).json()) as { keys: number; digest: string };
}
