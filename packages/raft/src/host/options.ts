import { NoriError } from '../base/errors.ts';
import { defaultRaftOptions, type RaftOptions } from '../core/state.ts';
import { isNodeId, type Member, type NodeId } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { DirectoryLock, Disk } from '../ports/disk.ts';
import type { Meter, Observer } from '../ports/meter.ts';
import type { Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';

/** Where a host meets the world. The simulator passes others than node/ does. */
export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly lock: DirectoryLock;
  readonly network: Network;
}

/** Receives what is worth a line in a log. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a host is told. Times in ms, sizes in bytes; every limit is per host unless it says otherwise. */
export interface HostConfig {
  /** The name of this node, for good: 1 to 64 letters, digits, dots, dashes or underscores. */
  readonly id: string;
  /** Peer addresses by node id, this node's own included. Also the founding voters of groups that name none. */
  readonly members: Readonly<Record<string, string>>;
  /** Where the peer listener binds. Default: this node's address in `members`. */
  readonly listen?: string;
  /** The data directory. */
  readonly directory: string;
  /** 16 bytes that name the cluster. */
  readonly clusterId: Uint8Array;
  /** Found a new cluster if the directory is empty. Default false: an empty directory is refused. */
  readonly bootstrap?: boolean;
  /** Told to every peer, for example client-facing addresses. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Default 150. */
  readonly heartbeatMs?: number;
  /** Default 300 to 600. */
  readonly electionTimeoutMs?: { readonly min: number; readonly max: number };
  /** How long a call waits for its outcome unless it says otherwise. Default 5000. */
  readonly commitTimeoutMs?: number;
  /** The largest command. Default 8 MiB and 128 KiB. */
  readonly commandBytesMax?: number;
  /** Commands and reads of one group that wait for their outcome; more are refused with OVERLOADED. Default 65536. */
  readonly pendingMax?: number;
  /** Inputs one group handles in one turn, so that a busy group leaves room for others. Default 1024. */
  readonly inputsPerTurnMax?: number;
  /** Committed bytes one group applies in one turn. Default 4 MiB. */
  readonly applyBytesPerTurnMax?: number;
  /** Size of a log segment. Default 16 MiB. */
  readonly segmentBytes?: number;
  readonly meter?: Meter | null;
  readonly observer?: Observer | null;
  readonly logger?: Logger | null;
}

/** A checked HostConfig with every default filled in. */
export interface HostOptions {
  readonly id: NodeId;
  readonly members: readonly Member[];
  readonly listen: string;
  readonly directory: string;
  readonly clusterId: Uint8Array;
  readonly bootstrap: boolean;
  readonly attributes: Readonly<Record<string, string>>;
  readonly raft: RaftOptions;
  readonly commitTimeoutMs: number;
  readonly commandBytesMax: number;
  readonly pendingMax: number;
  readonly inputsPerTurnMax: number;
  readonly applyBytesPerTurnMax: number;
  readonly segmentBytes: number;
  readonly meter: Meter | null;
  readonly observer: Observer | null;
  readonly logger: Logger | null;
}

const commandBytesDefault = (8 << 20) + (128 << 10);

/** @throws NoriError CONFIG_INVALID naming the field and the rule it breaks. */
export function hostOptions(config: HostConfig): HostOptions {
  const members = checkedMembers(config);
  const heartbeatMs = positive('heartbeatMs', config.heartbeatMs ?? defaultRaftOptions.heartbeatMs);
  const electionTimeoutMs = config.electionTimeoutMs ?? {
    min: defaultRaftOptions.electionTimeoutMsMin,
    max: defaultRaftOptions.electionTimeoutMsMax,
  };
  const min = positive('electionTimeoutMs.min', electionTimeoutMs.min);
  const max = positive('electionTimeoutMs.max', electionTimeoutMs.max);
  if (max < min) throw invalid('electionTimeoutMs', `max (${max}) must not be below min (${min})`);
  if (min < 2 * heartbeatMs) {
    throw invalid(
      'electionTimeoutMs',
      `min (${min}) must be at least twice heartbeatMs (${heartbeatMs}), or followers call elections for nothing`,
    );
  }
  if (config.clusterId.length !== 16) throw invalid('clusterId', 'must be 16 bytes');
  const commandBytesMax = positive('commandBytesMax', config.commandBytesMax ?? commandBytesDefault);
  const own = members.find((member) => member.id === config.id) as Member;
  return {
    id: own.id,
    members,
    listen: config.listen ?? own.address,
    directory: config.directory,
    clusterId: config.clusterId,
    bootstrap: config.bootstrap ?? false,
    attributes: config.attributes ?? {},
    raft: { ...defaultRaftOptions, heartbeatMs, electionTimeoutMsMin: min, electionTimeoutMsMax: max },
    commitTimeoutMs: positive('commitTimeoutMs', config.commitTimeoutMs ?? 5000),
    commandBytesMax,
    pendingMax: positive('pendingMax', config.pendingMax ?? 65_536),
    inputsPerTurnMax: positive('inputsPerTurnMax', config.inputsPerTurnMax ?? 1024),
    applyBytesPerTurnMax: positive('applyBytesPerTurnMax', config.applyBytesPerTurnMax ?? 4 << 20),
    segmentBytes: positive('segmentBytes', config.segmentBytes ?? 16 << 20),
    meter: config.meter ?? null,
    observer: config.observer ?? null,
    logger: config.logger ?? null,
  };
}

function checkedMembers(config: HostConfig): Member[] {
  const idRule = 'must be 1 to 64 letters, digits, dots, dashes or underscores';
  if (typeof config.id !== 'string' || !isNodeId(config.id)) throw invalid('id', idRule);
  const members = membersOf(config.members);
  if (!members.some((member) => member.id === config.id)) {
    throw invalid('members', `has no entry for this node, ${config.id}: add ${config.id} and its peer address`);
  }
  return members;
}

/** @throws NoriError CONFIG_INVALID. */
export function membersOf(record: Readonly<Record<string, string>>): Member[] {
  const members: Member[] = [];
  const addresses = new Set<string>();
  for (const [id, address] of Object.entries(record)) {
    if (!isNodeId(id)) throw invalid('members', `names ${JSON.stringify(id)}, which is no node id`);
    if (typeof address !== 'string') throw invalid('members', `gives ${id} an address that is not text`);
    if (address !== '' && addresses.has(address)) throw invalid('members', `gives two nodes the address ${address}`);
    addresses.add(address);
    members.push({ id, address });
  }
  if (members.length === 0) throw invalid('members', 'names nobody');
  return members;
}

function positive(field: string, value: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
    throw invalid(field, `must be a whole number above 0, not ${String(value)}`);
  }
  return value;
}

function invalid(field: string, rule: string): NoriError {
  return new NoriError('CONFIG_INVALID', { message: `${field} ${rule}`, remedy: `mend ${field}` });
}
