import { createHash } from 'node:crypto';
import { Host } from '../host/host.ts';
import { assertKnownFields, type HostConfig, hostFields, invalid, membersOf, type Ports } from '../host/options.ts';
import { openStorage } from '../host/storage.ts';
import { nodeClock } from './clock.ts';
import { NodeDisk } from './disk.ts';
import { NodeDirectoryLock } from './lock.ts';
import { MemoryDisk } from './memory-disk.ts';
import { nodeNetwork, parseAddress } from './network.ts';
import { nodeRandom } from './random.ts';

/** What `RaftHost.open` is told. All but `id` and `members` may be left out. */
export interface RaftHostConfig extends Omit<HostConfig, 'directory' | 'clusterId' | 'bootstrap'> {
  /** Where the log lives. Left out: in memory, and gone with the process. */
  readonly dataDir?: string;
  /** Found a new cluster if the data directory is empty. Default true: peers refuse a node that lost its disk. */
  readonly bootstrap?: boolean;
  /**
   * Names the cluster. Nodes of clusters with another name, or other founding members, refuse each other.
   * Default 'nori'.
   */
  readonly clusterName?: string;
  /**
   * The cluster to join or to start in again, 32 hexadecimal digits as in `status().clusterId`. Needed when `members`
   * are not the founding ones. Default: what `clusterName` and `members` give.
   */
  readonly clusterId?: string;
}

/** A host on the real clock, disk and network of this machine. */
export class RaftHost extends Host {
  /**
   * Opens the data directory, founds the cluster if it is empty and `bootstrap` is not false, recovers the log, and
   * listens for peers.
   *
   * @throws NoriError CONFIG_INVALID, DATA_DIR_LOCKED, DATA_DIR_UNUSABLE, DATA_DIR_EMPTY, DATA_DIR_FOREIGN,
   *   WAL_DAMAGED, FORMAT_TOO_NEW, ADDRESS_IN_USE, ADDRESS_INVALID.
   */
  static async open(config: RaftHostConfig): Promise<RaftHost> {
    const { dataDir, clusterName = 'nori', clusterId, ...rest } = checked(config);
    const ports = realPorts(dataDir === undefined);
    const host = new RaftHost(
      await openStorage(
        {
          ...rest,
          bootstrap: rest.bootstrap ?? true,
          directory: dataDir ?? 'memory',
          clusterId:
            clusterId === undefined ? clusterIdOf(clusterName, Object.keys(config.members ?? {})) : fromHex(clusterId),
        },
        ports,
      ),
      ports,
    );
    await host.start();
    return host;
  }
}

/** What only matters on a real machine: the host checks the rest. */
function checked(config: RaftHostConfig): RaftHostConfig {
  const { directory: _path, ...fields } = hostFields;
  assertKnownFields(config, { ...fields, dataDir: true, clusterName: true });
  const { dataDir, clusterName, clusterId } = config;
  if (dataDir !== undefined && (typeof dataDir !== 'string' || dataDir === ''))
    throw invalid('dataDir', 'must be a path');
  if (clusterName !== undefined && typeof clusterName !== 'string') throw invalid('clusterName', 'must be a text');
  if (clusterId !== undefined && (typeof clusterId !== 'string' || !/^[0-9a-f]{32}$/i.test(clusterId)))
    throw invalid('clusterId', 'must be 32 hexadecimal digits');
  const members = membersOf(config.members);
  for (const { id, address } of members)
    if (members.length > 1 || address !== '') assertAddress(`members: the address of ${id}`, address);
  if (config.listen !== undefined) assertAddress('listen', config.listen);
  return config;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

function assertAddress(field: string, address: string): void {
  try {
    parseAddress(address);
  } catch {
    throw invalid(field, `must be HOST:PORT, not ${JSON.stringify(address)}`);
  }
}

function realPorts(inMemory: boolean): Ports {
  return {
    clock: nodeClock(),
    random: nodeRandom(),
    network: nodeNetwork(),
    disk: inMemory ? new MemoryDisk() : new NodeDisk(),
    lock: inMemory ? { acquire: () => Promise.resolve({ release: () => Promise.resolve() }) } : new NodeDirectoryLock(),
  };
}

/** The same on every founding node, and on no node of another cluster. */
function clusterIdOf(clusterName: string, founders: readonly string[]): Uint8Array {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([clusterName, [...founders].sort()]));
  return new Uint8Array(hash.digest().subarray(0, 16));
}
