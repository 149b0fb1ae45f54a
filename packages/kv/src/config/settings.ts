import { z } from 'zod';
import { type EngineKind, engineKinds } from '../state/engine.ts';
import { ConfigError } from './config-error.ts';

const addressPattern = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;
const nodeIdPattern = /^[A-Za-z0-9._-]{1,64}$/;

const address = (smallestPort: number): z.ZodType<string> =>
  z.string().refine(
    (text) => {
      const port = addressPattern.exec(text)?.[2];
      return port !== undefined && Number(port) >= smallestPort && Number(port) <= 65_535;
    },
    { error: `must be HOST:PORT with a port from ${smallestPort} to 65535` },
  );

const nodeId: z.ZodType<string> = z
  .string()
  .regex(nodeIdPattern, { error: 'must be 1 to 64 letters, digits, dots, dashes or underscores' });

const whole = (smallest: number, largest: number): z.ZodType<number> =>
  z
    .number({ error: `must be a whole number from ${smallest} to ${largest}` })
    .int({ error: `must be a whole number from ${smallest} to ${largest}` })
    .min(smallest, { error: `must be at least ${smallest}` })
    .max(largest, { error: `must be at most ${largest}` });

const milliseconds = (smallest: number): z.ZodType<number> => whole(smallest, 86_400_000);

/** The settings of `nori-kv serve`, by the names they have in a config file. */
export interface Settings {
  readonly id: string;
  readonly dataDir: string;
  readonly resp: string;
  readonly http: string;
  readonly peer: string;
  readonly announceResp?: string | undefined;
  readonly announceHttp?: string | undefined;
  readonly members: Readonly<Record<string, string>>;
  /** Undefined: what the data directory says, or the default of a new cluster. */
  readonly shards?: number | undefined;
  readonly engine: EngineKind;
  readonly bootstrap: boolean;
  /** The HTTP address of a node of a cluster that exists; then `members` need not be given. */
  readonly join?: string | undefined;
  readonly clusterName: string;
  readonly routing: 'forward' | 'redirect';
  /** How reads are proved that do not say: by the lease, or by a round to a majority each. */
  readonly reads: 'lease' | 'linearizable';
  readonly password?: string | undefined;
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: { readonly min: number; readonly max: number };
  /** 0: no leases. */
  readonly leaseMs: number;
  readonly maxClockDrift: number;
  readonly commandTimeoutMs: number;
  /** A shard takes a snapshot after so many bytes of commands, or so many entries, and keeps so many of them in the log. */
  readonly snapshotLogBytes: number;
  readonly snapshotEntries: number;
  readonly snapshotTailEntries: number;
  /** What snapshots on their way to other nodes may take of the network. */
  readonly snapshotBytesPerSecond: number;
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  readonly clientsMax: number;
  /** 0: connections may be idle for ever. */
  readonly clientIdleMs: number;
  readonly balance: boolean;
  /** Which node is to lead, if it can. */
  readonly priority: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

const shape = {
  id: nodeId,
  dataDir: z.string().min(1, { error: 'must name a directory' }),
  resp: address(0),
  http: address(0),
  peer: address(1),
  announceResp: address(1).optional(),
  announceHttp: address(1).optional(),
  members: z.record(nodeId, address(1)),
  shards: whole(1, 16_384).optional(),
  engine: z.enum(engineKinds, { error: 'must be memory or lmdb' }).default('lmdb'),
  bootstrap: z.boolean().default(false),
  join: address(1).optional(),
  clusterName: z.string().min(1).max(256).default('nori-kv'),
  routing: z.enum(['forward', 'redirect'], { error: 'must be forward or redirect' }).default('forward'),
  reads: z.enum(['lease', 'linearizable'], { error: 'must be lease or linearizable' }).default('lease'),
  password: z.string().min(1, { error: 'must not be empty' }).optional(),
  heartbeatMs: milliseconds(1).default(150),
  electionTimeoutMs: z.strictObject({ min: milliseconds(1), max: milliseconds(1) }).default({ min: 300, max: 600 }),
  leaseMs: milliseconds(0).default(2000),
  maxClockDrift: z
    .number({ error: 'must be a number' })
    .min(0, { error: 'must be at least 0' })
    .max(0.2, { error: 'must be at most 0.2' })
    .default(0.01),
  commandTimeoutMs: milliseconds(1).default(5000),
  snapshotLogBytes: whole(1, Number.MAX_SAFE_INTEGER).default(256 * 1024 * 1024),
  snapshotEntries: whole(1, Number.MAX_SAFE_INTEGER).default(1_000_000),
  snapshotTailEntries: whole(0, Number.MAX_SAFE_INTEGER).default(10_000),
  snapshotBytesPerSecond: whole(1024, Number.MAX_SAFE_INTEGER).default(128 * 1024 * 1024),
  keyBytesMax: whole(1, 1_048_576).default(65_536),
  valueBytesMax: whole(1, 268_435_456).default(8_388_608),
  clientsMax: whole(1, 1_000_000).default(10_000),
  clientIdleMs: milliseconds(0).default(0),
  balance: z.boolean().default(true),
  priority: whole(0, 1000).default(100),
  logLevel: z.enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' }).default('info'),
};
const schema: z.ZodType<Settings> = z.strictObject(shape);

/** Every name a setting can have. */
export const settingNames: readonly string[] = Object.keys(shape);

/** Turns whatever was gathered into settings, or refuses it with the first thing that is wrong. */
export function checkSettings(gathered: Readonly<Record<string, unknown>>, nameOf: (key: string) => string): Settings {
  const { id, peer, join, members } = gathered;
  // Who joins learns from the cluster who is in it.
  const complete =
    join !== undefined && members === undefined ? { ...gathered, members: { [String(id)]: peer } } : gathered;
  const parsed = schema.safeParse(complete);
  if (!parsed.success) throw new ConfigError(describe(parsed.error.issues[0], gathered, nameOf));
  checkRelations(parsed.data, nameOf);
  return parsed.data;
}

function describe(
  issue: z.core.$ZodIssue | undefined,
  gathered: Readonly<Record<string, unknown>>,
  nameOf: (key: string) => string,
): string {
  if (issue === undefined) return 'the configuration is not valid';
  const key = String(issue.path[0] ?? '');
  if (issue.code === 'unrecognized_keys') {
    const where = key === '' ? '' : ` in ${nameOf(key)}`;
    return `unknown key ${issue.keys.join(', ')}${where}; nori-kv serve --help lists the keys`;
  }
  if (gathered[key] === undefined && key !== '') return `${nameOf(key)} is missing; give it as ${hint(key)}`;
  const inside = issue.path.slice(1).map(String).join('.');
  const name = inside === '' ? nameOf(key) : `${nameOf(key)} ${inside}`;
  if (issue.code === 'invalid_key')
    return `${nameOf(key)}: a node id ${inside} is not valid: 1 to 64 letters, digits, dots, dashes or underscores`;
  return `${name} ${issue.message.startsWith('must') ? issue.message : `is not valid: ${issue.message}`}`;
}

const examples: Readonly<Record<string, string>> = {
  id: '--id n1',
  dataDir: '--data-dir DIR',
  resp: '--resp 127.0.0.1:7001',
  http: '--http 127.0.0.1:7101',
  peer: '--peer 127.0.0.1:7201',
  members: '--members n1=HOST:PORT,n2=HOST:PORT,n3=HOST:PORT, or give --join HOST:PORT to enter a cluster that runs',
};

function hint(key: string): string {
  return examples[key] ?? `a flag, a NORI_ variable or a key of the config file`;
}

/** What no single field can know: the rules between fields. */
function checkRelations(settings: Settings, nameOf: (key: string) => string): void {
  const { heartbeatMs, electionTimeoutMs, members, id } = settings;
  if (electionTimeoutMs.max < electionTimeoutMs.min) {
    throw new ConfigError(`${nameOf('electionTimeoutMs')} must be MIN-MAX with MIN not above MAX, like 300-600`);
  }
  if (electionTimeoutMs.min < 2 * heartbeatMs) {
    throw new ConfigError(
      `${nameOf('electionTimeoutMs')} must begin at twice the heartbeat or later: ` +
        `${electionTimeoutMs.min} ms is too short for a heartbeat of ${heartbeatMs} ms; use ${2 * heartbeatMs}-${4 * heartbeatMs}, or a shorter heartbeat`,
    );
  }
  if (settings.leaseMs > 0 && settings.leaseMs <= heartbeatMs) {
    throw new ConfigError(
      `${nameOf('leaseMs')} must be above the heartbeat of ${heartbeatMs} ms, which renews the lease, or 0 for none`,
    );
  }
  if (settings.join !== undefined && settings.bootstrap) {
    throw new ConfigError(
      `${nameOf('join')} and ${nameOf('bootstrap')}: a node joins a cluster or founds one, not both`,
    );
  }
  if (!Object.hasOwn(members, id)) {
    throw new ConfigError(
      `${nameOf('members')} has no member called ${id} (it has ${Object.keys(members).join(', ') || 'none'}): add ${id}=HOST:PORT, or mend ${nameOf('id')}`,
    );
  }
  const owners = new Map<string, string>();
  for (const [member, memberAddress] of Object.entries(members)) {
    const other = owners.get(memberAddress);
    if (other !== undefined) {
      throw new ConfigError(`${nameOf('members')}: ${other} and ${member} have the same address ${memberAddress}`);
    }
    owners.set(memberAddress, member);
  }
  const own = [
    ['resp', settings.resp],
    ['http', settings.http],
    ['peer', settings.peer],
  ] as const;
  for (const [name, value] of own) {
    const twin = own.find(([other, otherValue]) => other !== name && otherValue === value && !value.endsWith(':0'));
    if (twin !== undefined) {
      throw new ConfigError(`${nameOf(name)} and ${nameOf(twin[0])} are both ${value}: each needs a port of its own`);
    }
  }
}
