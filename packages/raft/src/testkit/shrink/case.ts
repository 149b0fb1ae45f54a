import type { Consistency } from '../../host/api.ts';
import { type Fault, faultKinds } from '../faults.ts';
import type { ClientOperation, ScriptedCall } from '../operation.ts';
import type { SimulationOptions } from '../simulation.ts';

/** A run with everything written down that can be left out of it. */
export interface SimulationCase {
  readonly seed: number;
  readonly nodes: number;
  readonly groups: number;
  /** Of faults; what has to be well afterwards takes more. */
  readonly seconds: number;
  readonly schedule: readonly Fault[];
  /** Null: clients draw their calls from the seed. */
  readonly calls: readonly ScriptedCall[] | null;
  /** The workload's name, so that a case is not replayed with another. */
  readonly workload: string;
  /** The promise that was broken. */
  readonly promise: string;
}

/** What a case does not say: code, not data. */
export type CaseSurroundings = Pick<
  SimulationOptions,
  'workload' | 'clients' | 'checkers' | 'host' | 'fragile' | 'witness' | 'traced'
>;

export function optionsOf(one: SimulationCase, surroundings: CaseSurroundings): SimulationOptions {
  const { seed, nodes, groups, seconds, schedule, calls } = one;
  const clients = calls === null ? surroundings.clients : { ...surroundings.clients, script: calls };
  return { ...surroundings, seed, nodes, groups, seconds, schedule, ...(clients === undefined ? {} : { clients }) };
}

/** What clients did, to be done again. */
export function scriptOf(operations: readonly ClientOperation[]): ScriptedCall[] {
  return operations
    .filter(({ client }) => client >= 0)
    .map(({ invokedMs, client, group, node, kind, payload, forward, consistency }) => {
      const place = Number(node.slice(1)) - 1;
      const call = { atMs: invokedMs, client, group, place, kind, payload, forward };
      return kind === 'read' ? { ...call, consistency } : call;
    });
}

const caseVersion = 1;

export function encodeCase(one: SimulationCase): string {
  const calls = one.calls?.map((call) => ({ ...call, payload: hexOf(call.payload) })) ?? null;
  const lines = (list: readonly unknown[]): string => list.map((item) => `\n  ${JSON.stringify(item)}`).join(',');
  const { schedule, calls: _, ...head } = one;
  const fields = Object.entries({ version: caseVersion, ...head }).map(
    ([name, value]) => ` "${name}": ${JSON.stringify(value)}`,
  );
  fields.push(` "schedule": [${lines(schedule)}]`);
  fields.push(calls === null ? ' "calls": null' : ` "calls": [${lines(calls)}]`);
  return `{\n${fields.join(',\n')}\n}\n`;
}

/** @throws TypeError when the text is not a case of this version. */
export function decodeCase(text: string): SimulationCase {
  const fields = recordOf(JSON.parse(text) as unknown);
  if (fields['version'] !== caseVersion) throw new TypeError(`a case of version ${String(fields['version'])}, not 1`);
  const { calls, schedule } = fields;
  return {
    seed: numberOf(fields, 'seed'),
    nodes: numberOf(fields, 'nodes'),
    groups: numberOf(fields, 'groups'),
    seconds: numberOf(fields, 'seconds'),
    schedule: listOf(schedule).map(faultOf),
    calls: calls === null ? null : listOf(calls).map(callOf),
    workload: textOf(fields, 'workload'),
    promise: textOf(fields, 'promise'),
  };
}

function faultOf(item: unknown): Fault {
  const fields = recordOf(item);
  const kind = faultKinds.find((known) => known === fields['kind']);
  if (kind === undefined) throw new TypeError(`no fault is called ${String(fields['kind'])}`);
  return { kind, atMs: numberOf(fields, 'atMs'), forMs: numberOf(fields, 'forMs'), seed: numberOf(fields, 'seed') };
}

function callOf(item: unknown): ScriptedCall {
  const fields = recordOf(item);
  const { kind } = fields;
  if (kind !== 'write' && kind !== 'read') throw new TypeError('a call is neither a write nor a read');
  return {
    atMs: numberOf(fields, 'atMs'),
    client: numberOf(fields, 'client'),
    group: numberOf(fields, 'group'),
    place: numberOf(fields, 'place'),
    kind,
    payload: bytesOf(textOf(fields, 'payload')),
    forward: fields['forward'] !== false,
    ...(kind === 'read' ? { consistency: consistencyOf(fields['consistency'] ?? 'lease') } : {}),
  };
}

function consistencyOf(value: unknown): Consistency {
  const known = (['lease', 'linearizable', 'stale'] as const).find((one) => one === value);
  if (known === undefined) throw new TypeError('a read is by lease, linearizable or stale');
  return known;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TypeError('a case is a JSON object, and so are its faults and calls');
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError('the schedule and the calls of a case are lists');
}

function numberOf(fields: Readonly<Record<string, unknown>>, name: string): number {
  const value = fields[name];
  if (typeof value === 'number' && value >= 0) return value;
  throw new TypeError(`"${name}" is a number of at least 0`);
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new TypeError(`"${name}" is a text`);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function bytesOf(hex: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new TypeError('a payload is written in hexadecimal');
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}
