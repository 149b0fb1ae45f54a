import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NoriError } from 'nori-raft';
import { ConfigError } from '../config/config-error.ts';
import type { ClusterDocument } from '../http/cluster-document.ts';

const fileName = 'joined.json';
const patienceMs = 5000;

/** The cluster this node joined, as it was then: who is in it now stands in the log. */
export interface JoinedCluster {
  readonly clusterId: string;
  readonly shards: number;
  /** Peer addresses by node id. */
  readonly members: Readonly<Record<string, string>>;
}

/**
 * What the data directory says, so that a restart needs nobody to answer; else what the node at `address` says. Null for
 * a founder, which needs neither.
 */
export async function clusterToJoin(address: string | undefined, directory: string): Promise<JoinedCluster | null> {
  return readJoined(directory) ?? (address === undefined ? null : await askCluster(address));
}

/** Whom the node looks for before its log has told it who is in the cluster. Some of them may be gone, or elsewhere by now. */
export function knownMembers(
  joined: JoinedCluster | null,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const taken = Object.values(own);
  const others = Object.entries(joined?.members ?? {}).filter(([, address]) => !taken.includes(address));
  return { ...Object.fromEntries(others), ...own };
}

/** Written before the first group is, read at every start. */
export function rememberCluster(directory: string, cluster: JoinedCluster): void {
  if (readJoined(directory) === null) moveToCluster(directory, cluster);
}

/** From its next start on the node is one of that cluster, whatever its flags say. */
export function moveToCluster(directory: string, cluster: JoinedCluster): void {
  writeFileSync(join(directory, fileName), `${JSON.stringify(cluster)}\n`, { flush: true });
}

function readJoined(directory: string): JoinedCluster | null {
  const path = join(directory, fileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  try {
    return JSON.parse(text) as JoinedCluster;
  } catch (cause) {
    // A start that was cut off while it wrote this file: nothing else was written yet.
    if (text.trim() === '') return null;
    const message = `${path} is damaged`;
    throw new NoriError('DATA_DIR_UNUSABLE', { message, remedy: `remove it and start again with --join`, cause });
  }
}

async function askCluster(address: string): Promise<JoinedCluster> {
  const url = `http://${address}/v1/cluster`;
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
  } catch {
    throw new ConfigError(`--join: no answer from ${url}; give the HTTP address of a node of the cluster that runs`);
  }
  if (!response.ok) throw new ConfigError(`--join: ${url} answered ${response.status}; try again`);
  const { clusterId, nodes, shards } = (await response.json()) as ClusterDocument;
  return {
    clusterId,
    shards: shards.length,
    members: Object.fromEntries(nodes.map(({ id, peer }) => [id, peer])),
  };
}
