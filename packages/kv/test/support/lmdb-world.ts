import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppliedEntry } from 'nori-raft';
import { encodeCommand } from '../../src/commands/command-codec.ts';
import type { KvStateMachine } from '../../src/state/kv-state-machine.ts';
import { LmdbEnvironment, type LmdbOptions } from '../../src/state/lmdb/environment.ts';

/** Directories of trees, all of them gone in the end. */
export class LmdbWorld {
  readonly #root: string = mkdtempSync(join(tmpdir(), 'nori-lmdb-'));
  readonly #opened: LmdbEnvironment[] = [];
  #directories = 0;

  freshPath(): string {
    this.#directories += 1;
    return join(this.#root, String(this.#directories));
  }

  /** Nothing is written until it is asked for, unless `gatherMs` says otherwise. */
  open(options: Partial<LmdbOptions> = {}): LmdbEnvironment {
    const environment = new LmdbEnvironment({ path: this.freshPath(), gatherMs: 100_000, checkMs: 60_000, ...options });
    this.#opened.push(environment);
    return environment;
  }

  /** What another process would find there. */
  copyOf(path: string): string {
    const copy = this.freshPath();
    cpSync(path, copy, { recursive: true });
    return copy;
  }

  async close(): Promise<void> {
    for (const environment of this.#opened) await environment.close();
    rmSync(this.#root, { recursive: true, force: true });
  }
}

export const encode = (line: string): Buffer =>
  encodeCommand(line.split(' ').map((word) => Buffer.from(word, 'latin1')));

export async function apply(machine: KvStateMachine, entries: readonly AppliedEntry[]): Promise<string[]> {
  return (await machine.apply(entries)).map((result) => Buffer.from(result).toString('latin1'));
}

export function ask(machine: KvStateMachine, line: string): string {
  return Buffer.from(machine.query(encode(line))).toString('latin1');
}
