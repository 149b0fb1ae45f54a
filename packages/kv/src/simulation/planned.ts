import type { PlannedOperation } from 'nori-raft/testkit';
import { decodeCommand, encodeCommand } from '../commands/command-codec.ts';
import { commandTable } from '../commands/command-table.ts';
import { decodeResult } from '../resp/result.ts';

const names: ReadonlyMap<number, string> = new Map(commandTable.map(({ opcode, name }) => [opcode, name]));

/** A command or query as the server sends it to its group. */
export function planned(kind: PlannedOperation['kind'], words: readonly (string | number)[]): PlannedOperation {
  return { kind, payload: encodeCommand(words.map((word) => Buffer.from(String(word), 'latin1'))) };
}

export function nameOf(opcode: number): string {
  return names.get(opcode) ?? `command ${opcode}`;
}

/** The words that were encoded, the name in capitals. */
export function wordsOf({ payload }: PlannedOperation): string[] {
  const { opcode, args } = decodeCommand(payload);
  const words = [nameOf(opcode).toUpperCase(), ...args.map((arg) => arg.toString('latin1'))];
  // APPEND carries the limit it was accepted under behind its own arguments.
  return words[0] === 'APPEND' ? words.slice(0, 3) : words;
}

function textOf(value: unknown): unknown {
  return Buffer.isBuffer(value) ? value.toString('latin1') : value;
}

/** An answer as clients read it; a list as JSON. */
export function answerOf(result: Uint8Array): string | number | null {
  const reply = decodeResult(result);
  if (reply === null || typeof reply === 'number' || typeof reply === 'string') return reply;
  if (Buffer.isBuffer(reply)) return reply.toString('latin1');
  if (typeof reply === 'bigint') return Number(reply);
  if (typeof reply === 'object' && 'simple' in reply) return reply.simple;
  if (typeof reply === 'object' && 'error' in reply) return `(error) ${reply.error}`;
  if (Array.isArray(reply)) return JSON.stringify(reply.map(textOf));
  throw new Error('no command of this workload answers like that');
}
