import { readFileSync } from 'node:fs';
import { ConfigError } from './config-error.ts';
import { checkSettings, type Settings, settingNames } from './settings.ts';

/** Text, from a flag or a variable, to the value its field wants. What cannot be read stays text, for the schema to refuse. */
const readers: Readonly<Record<string, (text: string, name: string) => unknown>> = {
  members: readMembers,
  electionTimeoutMs: readRange,
  bootstrap: readBoolean,
  balance: readBoolean,
  priority: readNumber,
  shards: readNumber,
  heartbeatMs: readNumber,
  leaseMs: readNumber,
  maxClockDrift: readNumber,
  commandTimeoutMs: readNumber,
  snapshotLogBytes: readNumber,
  snapshotEntries: readNumber,
  snapshotTailEntries: readNumber,
  snapshotBytesPerSecond: readNumber,
  keyBytesMax: readNumber,
  valueBytesMax: readNumber,
  clientsMax: readNumber,
  clientIdleMs: readNumber,
};

export interface Sources {
  /** By setting name; text, or true for a flag without value. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Gathered {
  readonly settings: Settings;
  /** Things to tell the operator that are no reason not to start. */
  readonly warnings: readonly string[];
}

/** Flags before variables before the config file. */
export function gatherSettings(sources: Sources): Gathered {
  const gathered: Record<string, unknown> = {};
  const origin = new Map<string, string>();
  const warnings: string[] = [];
  const { config: configFlag, ...flags } = sources.flags;
  const file = typeof configFlag === 'string' ? configFlag : sources.environment['NORI_CONFIG'];
  if (file !== undefined) {
    for (const [key, value] of Object.entries(readConfigFile(file))) {
      if (!settingNames.includes(key)) {
        throw new ConfigError(`unknown key ${key} in ${file}; nori-kv serve --help lists the keys`);
      }
      gathered[key] =
        typeof value === 'string' && key in structured ? fromText(key, value, `${key} in ${file}`) : value;
      origin.set(key, `${key} in ${file}`);
    }
  }
  const variables = new Map(settingNames.map((key) => [variableOf(key), key]));
  for (const [variable, text] of Object.entries(sources.environment)) {
    if (!variable.startsWith('NORI_') || variable === 'NORI_CONFIG' || text === undefined) continue;
    const key = variables.get(variable);
    // Not refused: a scheduler sets variables of its own, named after a service that may be called "nori".
    if (key === undefined) warnings.push(`the variable ${variable} means nothing to nori-kv`);
    else take(key, text, variable);
  }
  for (const [key, value] of Object.entries(flags)) if (value !== undefined) take(key, value, flagOf(key));
  return { settings: checkSettings(gathered, (key) => origin.get(key) ?? flagOf(key)), warnings };

  function take(key: string, value: unknown, name: string): void {
    gathered[key] = typeof value === 'string' ? fromText(key, value, name) : value;
    origin.set(key, name);
  }
}

const structured: Readonly<Record<string, true>> = { members: true, electionTimeoutMs: true };

function fromText(key: string, text: string, name: string): unknown {
  return readers[key]?.(text, name) ?? text;
}

function readConfigFile(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `cannot read the config file ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`the config file ${path} is not JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`the config file ${path} must hold one JSON object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function readMembers(text: string, name: string): Record<string, string> {
  const members: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const part of text.split(',')) {
    const [id = '', address = '', ...rest] = part.trim().split('=');
    if (id === '' || address === '' || rest.length > 0) {
      throw new ConfigError(`${name} must be ID=HOST:PORT,ID=HOST:PORT,...; "${part.trim()}" is not ID=HOST:PORT`);
    }
    if (members[id] !== undefined)
      throw new ConfigError(`${name} names ${id} twice: every node needs an id of its own`);
    members[id] = address;
  }
  return { ...members };
}

function readRange(text: string, name: string): { min: number; max: number } {
  const match = /^(\d{1,9})-(\d{1,9})$/.exec(text.trim());
  if (match === null) throw new ConfigError(`${name} must be MIN-MAX in milliseconds, like 300-600`);
  return { min: Number(match[1]), max: Number(match[2]) };
}

function readNumber(text: string): number | string {
  return /^-?\d{1,15}(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
}

function readBoolean(text: string, name: string): boolean {
  if (['true', '1', 'yes', 'on'].includes(text.toLowerCase())) return true;
  if (['false', '0', 'no', 'off'].includes(text.toLowerCase())) return false;
  throw new ConfigError(`${name} must be true or false`);
}

/** dataDir -> --data-dir */
export function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** dataDir -> NORI_DATA_DIR */
export function variableOf(key: string): string {
  return `NORI_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
