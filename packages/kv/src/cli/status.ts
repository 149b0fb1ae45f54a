import { styleText } from 'node:util';
import type { ClusterDocument } from '../http/cluster-document.ts';

const patienceMs = 5000;

/** Prints what `/v1/cluster` of a node says. */
export async function runStatus(address: string): Promise<void> {
  const cluster = await fetchCluster(address);
  const nodes = cluster.nodes.map((node) => [
    node.id,
    node.alive ? 'alive' : styleText('red', 'away'),
    node.resp ?? '-',
    node.http ?? '-',
    node.peer,
    String(cluster.shards.filter((shard) => shard.leader === node.id).length),
  ]);
  const shards = cluster.shards.map((shard) => [
    String(shard.id),
    `${shard.slots[0]}-${shard.slots[1]}`,
    shard.leader ?? styleText('red', 'none'),
    String(shard.term),
    String(shard.commit),
    String(shard.applied),
    shard.role,
  ]);
  process.stdout.write(table(['node', 'state', 'resp', 'http', 'peer', 'leads'], nodes));
  process.stdout.write('\n');
  process.stdout.write(table(['shard', 'slots', 'leader', 'term', 'commit', 'applied', `on ${cluster.self}`], shards));
}

/** What `/v1/cluster` of a node says. */
export async function fetchCluster(address: string): Promise<ClusterDocument> {
  const url = `${/^https?:/.test(address) ? address : `http://${address}`}/v1/cluster`;
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
  } catch {
    throw new Error(
      `no answer from ${url}; is the node running? Give the HTTP address of one that is: nori-kv status --http HOST:PORT`,
    );
  }
  if (response.status === 503) throw new Error(`${url} answered 503; the node may still be starting: try again`);
  const cluster: unknown = response.ok ? await response.json().catch(() => null) : null;
  if (cluster === null) {
    throw new Error(`${url} answered ${response.status}, and not as a node does; give the address at its --http`);
  }
  return cluster as ClusterDocument;
}

const escapes = new RegExp(String.raw`${String.fromCodePoint(27)}\[[0-9;]*m`, 'g');

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widthOf = (text: string): number => text.replaceAll(escapes, '').length;
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => widthOf(row[column] ?? ''))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join('  ')
      .trimEnd();
  return `${[styleText('bold', line(head)), ...rows.map(line)].join('\n')}\n`;
}
