import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { NoriError } from 'nori-raft';

const fileName = 'nori-kv.json';
const formatVersion = 1;

/**
 * How many shards the cluster was founded with, or null when the directory does not say. The count decides which shard
 * a key lives in, so it may never change for data that exists.
 */
export function readShardCount(directory: string): number | null {
  const path = join(directory, fileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new NoriError('DATA_DIR_UNUSABLE', {
      message: `cannot read ${path}: ${code ?? String(error)}`,
      cause: error,
    });
  }
  const shards = shardsIn(text);
  if (shards === null) {
    throw new NoriError('DATA_DIR_UNUSABLE', {
      message: `${path} is damaged or of a newer version`,
      remedy: `restore it: {"version":${formatVersion},"shards":N} with the number of shards the cluster was founded with`,
    });
  }
  return shards;
}

function shardsIn(text: string): number | null {
  try {
    const { version, shards } = JSON.parse(text) as { version?: unknown; shards?: unknown };
    return version === formatVersion && Number.isInteger(shards) && (shards as number) > 0 ? (shards as number) : null;
  } catch {
    return null;
  }
}

/** Written whole or not at all. */
export function writeShardCount(directory: string, shards: number): void {
  const path = join(directory, fileName);
  const file = openSync(`${path}.new`, 'w');
  try {
    writeSync(file, `${JSON.stringify({ version: formatVersion, shards })}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  const parent = openSync(directory, 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}
