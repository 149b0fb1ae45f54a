import { expect, test } from 'vitest';
import { type Entry, EntryKind, type GroupId, type Term } from '../../core/types.ts';
import type { SimWorld } from '../checker.ts';
import { type ClientOperation, sealCommand } from '../operation.ts';
import type { Model } from '../workload.ts';
import { Canon } from './canon.ts';
import { ClientChecker } from './client-checker.ts';

const group = 1 as GroupId;
const nothing = new Uint8Array(0);

/** A world whose only node leads term 1, or term 2 and does not know yet how far the leader of term 1 had got. */
function worldOf(term: Term): SimWorld {
  const raft = { term, leader: { limboEnd: 3 }, log: { commit: 1, termAt: () => 1 } };
  return { saw: () => {}, nowMs: 0, groups: [group], machines: [{ raft: () => raft }] } as unknown as SimWorld;
}

const world = worldOf(1 as Term);

/** One cell, and a bystander nobody writes: a query of one byte asks for the bystander. */
class Cell implements Model {
  readonly limbo: boolean;
  private readonly versions: { readonly index: number; readonly value: number }[] = [];

  constructor(limbo: boolean) {
    this.limbo = limbo;
  }

  committed(index: number, _timeMs: number, command: Uint8Array): void {
    this.versions.push({ index, value: command[0] as number });
  }

  judge(query: Uint8Array, index: number, result: Uint8Array): string | null {
    const value = query.length > 0 ? 0 : (this.versions.findLast((version) => version.index <= index)?.value ?? 0);
    return result[0] === value ? null : `it is ${value} as of ${index}`;
  }
}

/** A group in which call 1 wrote 7 at index 2, and a leader began its term at 1 and at 3. */
function writtenOnce(limbo: boolean): ClientChecker {
  const canon = new Canon(group);
  const checker = new ClientChecker(new Map([[group, canon]]), new Map([[group, new Cell(limbo)]]));
  checker.onInvoke(world, call({ id: 1, kind: 'write' }));
  const commit = (index: number, kind: Entry['kind'], payload: Uint8Array): void =>
    canon.committed({ index, term: 1, kind, timeMs: 0, payload, configuration: null }, 'n1', 1, 0);
  commit(1, EntryKind.noop, nothing);
  commit(2, EntryKind.command, sealCommand(1, Uint8Array.of(7)));
  commit(3, EntryKind.noop, nothing);
  return checker;
}

function call(fields: Partial<ClientOperation>): ClientOperation {
  const made = { client: 0, group, payload: nothing, forward: true, node: 'n1', invokedMs: 0, answeredMs: 0 };
  const asked = { consistency: 'lease', proof: null } as const;
  return { ...made, id: 9, kind: 'read', outcome: 'ok', code: '', index: 0, result: nothing, ...asked, ...fields };
}

/** A read that began when `toldIndex` had been told of, and what it was answered. */
function read(
  checker: ClientChecker,
  toldIndex: number,
  answer: { index: number; value: number; query?: Uint8Array },
  term: Term = 1 as Term,
): void {
  const world = worldOf(term);
  checker.onRead(world, call({ id: 8, index: toldIndex, result: Uint8Array.of(toldIndex >= 2 ? 7 : 0) }));
  checker.onInvoke(world, call({ id: 9 }));
  const { index, value, query = nothing } = answer;
  const proof = { via: 'readIndex', index, term } as const;
  checker.onRead(world, call({ id: 9, index, payload: query, result: Uint8Array.of(value), proof }));
}

test('a read may be answered from before entries that change nothing', () => {
  expect(() => read(writtenOnce(false), 3, { index: 2, value: 7 })).not.toThrow();
  expect(() => read(writtenOnce(false), 1, { index: 0, value: 0 })).not.toThrow();
});

test('a read from before a command somebody was told of is stale', () => {
  for (const limbo of [false, true]) {
    expect(() => read(writtenOnce(limbo), 2, { index: 1, value: 0 })).toThrow(/though 2 was told of/);
    expect(() => read(writtenOnce(limbo), 3, { index: 0, value: 0 })).toThrow(/though 3 was told of/);
  }
});

test('only a leader in limbo, with a machine that can tell conflicts, answers from before a command that is no matter to the query', () => {
  const bystander = { index: 1, value: 0, query: Uint8Array.of(1) };
  const inLimbo = 2 as Term;
  expect(() => read(writtenOnce(true), 2, bystander, inLimbo)).not.toThrow();
  expect(() => read(writtenOnce(true), 2, bystander)).toThrow(/though 2 was told of/);
  expect(() => read(writtenOnce(false), 2, bystander, inLimbo)).toThrow(/though 2 was told of/);
});

test('an answer must be the one as of its index, whoever was told what', () => {
  expect(() => read(writtenOnce(true), 0, { index: 2, value: 0 })).toThrow(/it is 7 as of 2/);
  expect(() => read(writtenOnce(true), 0, { index: 4, value: 7 })).toThrow(/not committed/);
});
