import type { Operation, RegisterCommand, RegisterResult } from 'nori-raft/testkit/linearizability';
import { commandOf, textOf } from './history-command.ts';
import { MalformedHistory } from './malformed.ts';

export type HistoryOperation = Operation<RegisterCommand, RegisterResult>;

export interface History {
  readonly operations: readonly HistoryOperation[];
  /** Calls that certainly were not applied: they are nobody's business. */
  readonly failed: number;
}

type Line = Readonly<Record<string, unknown>>;

/** Reads docs/history-format.md, both forms. @throws MalformedHistory */
export function readHistory(text: string): History {
  const reader = new HistoryReader();
  let number = 0;
  for (const raw of text.replace(/^\u{feff}/u, '').split('\n')) {
    number += 1;
    const line = raw.trim();
    if (line !== '' && !line.startsWith('#')) reader.add(number, parsed(number, line));
  }
  return reader.end();
}

function parsed(number: number, line: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new MalformedHistory(number, 'this is not JSON; every line holds one object');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Line;
  throw new MalformedHistory(number, 'every line holds one object, {"client":..}');
}

interface OpenCall {
  readonly line: number;
  readonly client: string | number;
  readonly command: RegisterCommand;
  readonly calledAt: number;
}

const outcomes: ReadonlySet<unknown> = new Set(['ok', 'failed', 'unknown']);
const eventTypes: ReadonlySet<unknown> = new Set(['invoke', 'ok', 'fail', 'info']);

class HistoryReader {
  readonly #operations: HistoryOperation[] = [];
  readonly #open: Map<string | number, OpenCall> = new Map();
  #failed = 0;
  /** What gives the order: times of the lines, or, in events without times, the lines themselves. */
  #clock: 'times' | 'lines' | null = null;

  add(number: number, line: Line): void {
    if ('type' in line) this.#addEvent(number, line);
    else this.#addCall(number, line);
  }

  /** Who was never answered has an unknown outcome. */
  end(): History {
    for (const call of this.#open.values()) this.#unknown(call);
    return { operations: this.#operations, failed: this.#failed };
  }

  #addCall(number: number, line: Line): void {
    const call = this.#callOf(number, line, line['client'], 'client', this.#timeOf(number, line['start'], '"start"'));
    const ended = line['end'] !== undefined && line['end'] !== null;
    const outcome = line['outcome'] ?? (ended ? 'ok' : 'unknown');
    if (!outcomes.has(outcome)) throw new MalformedHistory(number, '"outcome" is ok, failed or unknown');
    if (outcome === 'failed') this.#failed += 1;
    else if (outcome === 'unknown') this.#unknown(call);
    else this.#returned(call, number, line['result'], this.#timeOf(number, line['end'], '"end"'));
  }

  #addEvent(number: number, line: Line): void {
    const { type, process } = line;
    if (!eventTypes.has(type)) throw new MalformedHistory(number, '"type" is invoke, ok, fail or info');
    // Jepsen notes in the history what it did to the cluster.
    if (process === 'nemesis' || process === ':nemesis') return;
    const client = clientOf(number, process, 'process');
    const at = line['time'] === undefined ? this.#lineAsTime(number) : this.#timeOf(number, line['time'], '"time"');
    const open = this.#open.get(client);
    if (type === 'invoke') {
      if (open !== undefined) {
        throw new MalformedHistory(number, `process ${client} calls again, but its call of line ${open.line} is open`);
      }
      this.#open.set(client, this.#callOf(number, line, client, 'process', at));
      return;
    }
    if (open === undefined) throw new MalformedHistory(number, `process ${client} has no open call`);
    this.#open.delete(client);
    if (type === 'fail') this.#failed += 1;
    else if (type === 'info') this.#unknown(open);
    else this.#returned(open, number, eventResult(open.command, line), at);
  }

  #callOf(number: number, line: Line, who: unknown, whoName: string, calledAt: number): OpenCall {
    const command = commandOf(line);
    if (typeof command === 'string') throw new MalformedHistory(number, command);
    return { line: number, client: clientOf(number, who, whoName), command, calledAt };
  }

  #returned(call: OpenCall, number: number, result: unknown, returnedAt: number): void {
    if (returnedAt < call.calledAt) throw new MalformedHistory(number, 'it ends before it starts');
    const { client, command, calledAt } = call;
    this.#operations.push({ client, command, result: resultOf(number, command, result), calledAt, returnedAt });
  }

  #unknown({ client, command, calledAt }: OpenCall): void {
    this.#operations.push({ client, command, result: undefined, calledAt, returnedAt: Infinity });
  }

  #timeOf(number: number, time: unknown, name: string): number {
    if (typeof time !== 'number' || !Number.isFinite(time))
      throw new MalformedHistory(number, `${name} must be a number`);
    return this.#useClock(number, 'times', time);
  }

  #lineAsTime(number: number): number {
    return this.#useClock(number, 'lines', number);
  }

  #useClock(number: number, clock: 'times' | 'lines', time: number): number {
    this.#clock ??= clock;
    if (this.#clock === clock) return time;
    throw new MalformedHistory(number, 'some lines have times and some have none: their order is not known');
  }
}

function clientOf(number: number, client: unknown, name: string): string | number {
  if (typeof client === 'string' || typeof client === 'number') return client;
  throw new MalformedHistory(number, `"${name}" must be a string or a number`);
}

/** Jepsen completes a call with its `value`; a write or cas that is ok has done what it was asked to. */
function eventResult(command: RegisterCommand, line: Line): unknown {
  if ('result' in line || !('f' in line)) return line['result'];
  return command.name === 'GET' ? line['value'] : 'OK';
}

function resultOf(number: number, { name }: RegisterCommand, result: unknown): RegisterResult | undefined {
  if (result === undefined) return undefined;
  if (result === null && (name === 'GET' || name === 'CAS')) return null;
  const text = textOf(result);
  switch (name) {
    case 'GET':
      if (text !== null) return text;
      throw new MalformedHistory(number, 'the result of GET is a string, or null when there was no value');
    case 'SET':
    case 'CAS':
      if (text?.toUpperCase() === 'OK') return 'OK';
      throw new MalformedHistory(number, `the result of SET is "OK"${name === 'CAS' ? ' or null' : ''}`);
    default:
      if (text !== null && /^-?\d+$/.test(text)) return text;
      throw new MalformedHistory(number, `the result of ${name} is a whole number`);
  }
}
