import { chunkBytesMax } from '../codec/snapshot.ts';
import { NoriError } from '../base/errors.ts';
import { defaultRaftOptions, type RaftOptions } from '../core/state.ts';
import { isNodeId, type Member, type MembershipChange, type NodeId } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { DirectoryLock, Disk } from '../ports/disk.ts';
import type { Meter, Observer } from '../ports/meter.ts';
import type { Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';
import { defaultLimits } from '../transport/limits.ts';
import { sectorBytes } from '../wal/block.ts';
import type { MembersChange } from './api.ts';
import { priorityDefault, priorityMax, withPriority } from './priority.ts';

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
  /**
   * Join a cluster that exists: this node founds nothing, and waits to be added to groups (`addMember`). `members` names
   * this node and those who are in the cluster now. Changes nothing once the directory has a group. Default false.
   */
  readonly join?: boolean;
  /**
   * What to do when the log or a snapshot turns out to be damaged at a start. `quarantine`: the groups it belongs to are
   * refilled by the other nodes, all others go on; damage that cannot be pinned on groups is refused. `refuse`: all of it
   * is. A node that knows no others always refuses. Default `quarantine`.
   */
  readonly onDamage?: 'quarantine' | 'refuse';
  /** Told to every peer, for example client-facing addresses. */
  readonly attributes?: Readonly<Record<string, string>>;
  /**
   * Which node is to lead, if it can: a leader hands over to the voter of the highest priority that is connected and has
   * nearly the whole log. A wish, and no part of what makes elections safe. From 0 to 1000. Default 100.
   */
  readonly priority?: number;
  /** Default 150. */
  readonly heartbeatMs?: number;
  /** Default 300 to 600. */
  readonly electionTimeoutMs?: { readonly min: number; readonly max: number };
  /**
   * How long a leader answers reads alone after a quorum has acknowledged it, and so how long after a leader's crash its
   * successor may acknowledge no write (docs/reads.md). Above heartbeatMs, or 0 for no leases. Default 2000.
   */
  readonly leaseMs?: number;
  /** By how much a clock may run fast or slow against true time: 0.01 is one percent. From 0 to 0.2. Default 0.01. */
  readonly maxClockDrift?: number;
  /**
   * A leader whose disk or state machine finishes nothing for so long hands its groups over. Default: the longest election
   * timeout.
   */
  readonly stallTimeoutMs?: number;
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
  /** A group takes a snapshot when it has applied so many bytes of commands since its last. Default 256 MiB. */
  readonly snapshotLogBytes?: number;
  /** ... or more than so many entries. Default 1,000,000. */
  readonly snapshotEntries?: number;
  /** Entries kept in the log before a snapshot, for followers that are a little behind. Default 10,000; 0 keeps none. */
  readonly snapshotTailEntries?: number;
  /** Pieces in which snapshots are written and sent; memory for a transfer is 16 of them. Default 256 KiB. */
  readonly snapshotChunkBytes?: number;
  /** What snapshots on their way to other nodes may take of the network, in bytes per second. Default 128 MiB. */
  readonly snapshotBytesPerSecond?: number;
  /** Above this the log moves the entries of groups that hold back its oldest segment. Default 1 GiB. */
  readonly walBytesMax?: number;
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
  readonly join: boolean;
  readonly onDamage: 'quarantine' | 'refuse';
  readonly attributes: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly raft: RaftOptions;
  readonly stallTimeoutMs: number;
  readonly commitTimeoutMs: number;
  readonly commandBytesMax: number;
  readonly pendingMax: number;
  readonly inputsPerTurnMax: number;
  readonly applyBytesPerTurnMax: number;
  readonly segmentBytes: number;
  readonly snapshotLogBytes: number;
  readonly snapshotEntries: number;
  readonly snapshotTailEntries: number;
  readonly snapshotChunkBytes: number;
  readonly snapshotBytesPerSecond: number;
  readonly walBytesMax: number;
  readonly meter: Meter | null;
  readonly observer: Observer | null;
  readonly logger: Logger | null;
}

/** Every field of HostConfig, so that a misspelt one is not silently ignored. */
export const hostFields: Readonly<Record<keyof HostConfig, true>> = {
  id: true,
  members: true,
  listen: true,
  directory: true,
  clusterId: true,
  bootstrap: true,
  join: true,
  onDamage: true,
  attributes: true,
  priority: true,
  heartbeatMs: true,
  electionTimeoutMs: true,
  leaseMs: true,
  maxClockDrift: true,
  stallTimeoutMs: true,
  commitTimeoutMs: true,
  commandBytesMax: true,
  pendingMax: true,
  inputsPerTurnMax: true,
  applyBytesPerTurnMax: true,
  segmentBytes: true,
  snapshotLogBytes: true,
  snapshotEntries: true,
  snapshotTailEntries: true,
  snapshotChunkBytes: true,
  snapshotBytesPerSecond: true,
  walBytesMax: true,
  meter: true,
  observer: true,
  logger: true,
};

const commandBytesDefault = (8 << 20) + (128 << 10);
/** A command, its entry and its message travel in one frame. */
const commandBytesLimit = defaultLimits.frameBytesMax - (1 << 20);
const leaseMsDefault = 2000;
const maxClockDriftDefault = 0.01;
const maxClockDriftMost = 0.2;
const segmentBytesMin = 16 << 10;

/** @throws NoriError CONFIG_INVALID naming the field and the rule it breaks. */
export function hostOptions(config: HostConfig): HostOptions {
  assertKnownFields(config, hostFields);
  const members = checkedMembers(config);
  const own = members.find((member) => member.id === config.id) as Member;
  return {
    id: own.id,
    members,
    listen: textOr('listen', config.listen, own.address),
    directory: textOr('directory', config.directory, ''),
    clusterId: checkedClusterId(config.clusterId),
    bootstrap: checkedBoolean('bootstrap', config.bootstrap ?? config.join ?? false),
    join: checkedBoolean('join', config.join ?? false),
    onDamage: checkedOnDamage(config.onDamage ?? 'quarantine'),
    attributes: withPriority(checkedAttributes(config.attributes ?? {}), checkedPriority(config.priority)),
    priority: checkedPriority(config.priority),
    raft: { ...defaultRaftOptions, ...checkedTimes(config) },
    stallTimeoutMs: positive('stallTimeoutMs', config.stallTimeoutMs ?? checkedTimes(config).electionTimeoutMsMax),
    commitTimeoutMs: positive('commitTimeoutMs', config.commitTimeoutMs ?? 5000),
    commandBytesMax: atMost('commandBytesMax', config.commandBytesMax ?? commandBytesDefault, commandBytesLimit),
    pendingMax: positive('pendingMax', config.pendingMax ?? 65_536),
    inputsPerTurnMax: positive('inputsPerTurnMax', config.inputsPerTurnMax ?? 1024),
    applyBytesPerTurnMax: positive('applyBytesPerTurnMax', config.applyBytesPerTurnMax ?? 4 << 20),
    segmentBytes: checkedSegmentBytes(config.segmentBytes ?? 16 << 20),
    snapshotLogBytes: positive('snapshotLogBytes', config.snapshotLogBytes ?? 256 << 20),
    snapshotEntries: positive('snapshotEntries', config.snapshotEntries ?? 1_000_000),
    snapshotTailEntries: notNegative('snapshotTailEntries', config.snapshotTailEntries ?? 10_000),
    snapshotChunkBytes: atMost('snapshotChunkBytes', config.snapshotChunkBytes ?? 256 << 10, chunkBytesMax),
    snapshotBytesPerSecond: positive('snapshotBytesPerSecond', config.snapshotBytesPerSecond ?? 128 << 20),
    walBytesMax: positive('walBytesMax', config.walBytesMax ?? 1 << 30),
    meter: withMethods('meter', config.meter ?? null, ['count', 'gauge', 'observe']),
    observer: withMethods('observer', config.observer ?? null, ['onEvent']),
    logger: withMethods('logger', config.logger ?? null, ['debug', 'info', 'warn', 'error']),
  };
}

/** @throws NoriError CONFIG_INVALID when there is a field that `fields` does not have. */
export function assertKnownFields(config: object, fields: Readonly<Record<string, true>>): void {
  if (typeof config !== 'object' || config === null) throw invalid('config', 'must be an object');
  for (const field of Object.keys(config)) {
    if (!Object.hasOwn(fields, field))
      throw invalid(field, `is no setting; there are ${Object.keys(fields).join(', ')}`);
  }
}

function checkedTimes(
  config: HostConfig,
): Pick<RaftOptions, 'heartbeatMs' | 'electionTimeoutMsMin' | 'electionTimeoutMsMax' | 'leaseMs' | 'driftPpm'> {
  const heartbeatMs = positive('heartbeatMs', config.heartbeatMs ?? defaultRaftOptions.heartbeatMs);
  const given: unknown = config.electionTimeoutMs ?? {
    min: defaultRaftOptions.electionTimeoutMsMin,
    max: defaultRaftOptions.electionTimeoutMsMax,
  };
  if (typeof given !== 'object' || given === null) throw invalid('electionTimeoutMs', 'must be {min, max}, in ms');
  const { min: givenMin, max: givenMax } = given as Readonly<Record<'min' | 'max', number>>;
  const min = positive('electionTimeoutMs.min', givenMin);
  const max = positive('electionTimeoutMs.max', givenMax);
  if (max < min) throw invalid('electionTimeoutMs', `max (${max}) must not be below min (${min})`);
  if (min < 2 * heartbeatMs) {
    throw invalid(
      'electionTimeoutMs',
      `min (${min}) must be at least twice heartbeatMs (${heartbeatMs}), or followers call elections for nothing`,
    );
  }
  const leaseMs = config.leaseMs === 0 ? 0 : positive('leaseMs', config.leaseMs ?? leaseMsDefault, ', or 0 for none');
  if (leaseMs > 0 && leaseMs <= heartbeatMs) {
    throw invalid('leaseMs', `(${leaseMs}) must be above heartbeatMs (${heartbeatMs}), which renews it, or 0 for none`);
  }
  const driftPpm = checkedDrift(config.maxClockDrift ?? maxClockDriftDefault);
  return { heartbeatMs, electionTimeoutMsMin: min, electionTimeoutMsMax: max, leaseMs, driftPpm };
}

function checkedPriority(value: number = priorityDefault): number {
  if (Number.isInteger(value) && value >= 0 && value <= priorityMax) return value;
  throw invalid('priority', `must be a whole number from 0 to ${priorityMax}, not ${String(value)}`);
}

function checkedDrift(value: number): number {
  if (typeof value === 'number' && value >= 0 && value <= maxClockDriftMost) return Math.round(value * 1_000_000);
  throw invalid('maxClockDrift', `must be a number from 0 to ${maxClockDriftMost}, not ${String(value)}`);
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
export function membersOf(record: Readonly<Record<string, string>>, field = 'members'): Member[] {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw invalid(field, "must be an object of addresses by node id, like {n1: 'HOST:PORT'}");
  }
  const members: Member[] = [];
  const addresses = new Set<string>();
  for (const [id, address] of Object.entries(record)) {
    if (!isNodeId(id)) throw invalid(field, `names ${JSON.stringify(id)}, which is no node id`);
    if (typeof address !== 'string') throw invalid(field, `gives ${id} an address that is not text`);
    if (address !== '' && addresses.has(address)) throw invalid(field, `gives two nodes the address ${address}`);
    addresses.add(address);
    members.push({ id, address });
  }
  if (members.length === 0) throw invalid(field, 'names nobody');
  return members;
}

/** @throws NoriError CONFIG_INVALID. Whether the group allows it is for the leader to say. */
export function checkedChange(change: MembersChange): MembershipChange {
  assertKnownFields(change, { add: true, addLearners: true, remove: true, promote: true, demote: true, move: true });
  const placed = (field: 'add' | 'addLearners' | 'move'): Member[] => {
    const record = change[field] ?? {};
    return typeof record === 'object' && Object.keys(record).length === 0 ? [] : membersOf(record, field);
  };
  const named = (field: 'remove' | 'promote' | 'demote'): NodeId[] => {
    const ids: readonly unknown[] = change[field] ?? [];
    if (!Array.isArray(ids)) throw invalid(field, 'must be a list of node ids');
    return ids.map((id: unknown) => {
      if (typeof id === 'string' && isNodeId(id)) return id;
      throw invalid(field, `names ${JSON.stringify(id)}, which is no node id`);
    });
  };
  return {
    add: placed('add'),
    addLearners: placed('addLearners'),
    remove: named('remove'),
    promote: named('promote'),
    demote: named('demote'),
    move: placed('move'),
  };
}

function checkedClusterId(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== 16) throw invalid('clusterId', 'must be 16 bytes');
  return value;
}

function checkedAttributes(value: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) throw invalid('attributes', 'must be an object of texts');
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid('attributes', `gives ${name} a value that is not text`);
  }
  return value;
}

function checkedSegmentBytes(value: number): number {
  const checked = positive('segmentBytes', value);
  if (checked >= segmentBytesMin && checked % sectorBytes === 0) return checked;
  throw invalid('segmentBytes', `must be a multiple of ${sectorBytes} from ${segmentBytesMin} up, not ${checked}`);
}

function checkedOnDamage(value: unknown): 'quarantine' | 'refuse' {
  if (value === 'quarantine' || value === 'refuse') return value;
  throw invalid('onDamage', `must be quarantine or refuse, not ${String(value)}`);
}

function checkedBoolean(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(field, `must be true or false, not ${String(value)}`);
  return value;
}

function textOr(field: string, value: unknown, fallback: string): string {
  const given = value ?? fallback;
  if (typeof given !== 'string' || (value !== undefined && given === '')) throw invalid(field, 'must be a text');
  return given;
}

function withMethods<T extends object>(
  field: string,
  value: T | null,
  methods: readonly (keyof T & string)[],
): T | null {
  if (value === null) return null;
  for (const method of methods) {
    if (typeof value[method] !== 'function') throw invalid(field, `has no method ${method}`);
  }
  return value;
}

function atMost(field: string, value: number, most: number): number {
  if (positive(field, value) > most) throw invalid(field, `must not be above ${most}, not ${value}`);
  return value;
}

function notNegative(field: string, value: number): number {
  return value === 0 ? 0 : positive(field, value);
}

function positive(field: string, value: number, orElse = ''): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
    throw invalid(field, `must be a whole number above 0${orElse}, not ${String(value)}`);
  }
  return value;
}

export function invalid(field: string, rule: string): NoriError {
  return new NoriError('CONFIG_INVALID', { message: `${field} ${rule}`, remedy: `mend ${field}` });
}
