import type { AppliedEntry, StateMachine } from 'nori-raft';
import { historyLines, simulate, simulateSeed, type Workload } from 'nori-raft/testkit';
import { checkHistory, register } from 'nori-raft/testkit/linearizability';
import { describe, expect, test } from 'vitest';
import { readHistory } from '../history/read-history.ts';
import { KvStateMachine } from '../state/kv-state-machine.ts';
import kvWorkload, { drawCommand, drawQuery } from './kv-workload.ts';
import { answerOf, planned, wordsOf } from './planned.ts';

const short = { nodes: 3, groups: 1, seconds: 6 } as const;
const on = (stateMachine: () => StateMachine, rest: Partial<Workload> = {}): Workload => ({
  ...kvWorkload(),
  ...rest,
  stateMachine,
});

describe('nori-kv under the simulator', { timeout: 60_000 }, () => {
  test('keeps every promise under faults, whatever the command', async () => {
    const answered = new Map<string, Set<string>>();
    for (let seed = 1; seed <= 4; seed += 1) {
      const { violation, operations } = await simulateSeed({ ...short, seed, workload: kvWorkload() });
      expect(violation?.message, `npm run sim:kv -- --seed ${seed} --nodes 3 --groups 1 --seconds 6`).toBeUndefined();
      for (const operation of operations) {
        if (operation.outcome !== 'ok') continue;
        const [name = '', key = ''] = wordsOf({
          kind: operation.kind === 'read' ? 'read' : 'write',
          payload: operation.payload,
        });
        const said = answered.get(`${name} ${key[0]}`) ?? new Set();
        answered.set(`${name} ${key[0]}`, said.add(String(answerOf(operation.result)).slice(0, 1)));
      }
    }
    const all = ['SET', 'SETNX', 'DEL', 'GET', 'INCR', 'DECR', 'INCRBY'].map((name) => `${name} n`);
    all.push('APPEND s', 'SET s', 'PEXPIRE t', 'PERSIST t', 'PTTL t');
    all.push(...['MSET', 'MSETNX', 'RENAME', 'RENAMENX', 'DEL', 'MGET'].map((name) => `${name} p`));
    expect([...answered.keys()]).toEqual(expect.arrayContaining(all));
    // Both of a condition's answers, and keys that are gone: n of null, - of -2, O of OK.
    expect(answered.get('SET n')).toEqual(new Set(['O', 'n']));
    expect(answered.get('SETNX n')).toEqual(new Set(['0', '1']));
    expect(answered.get('PERSIST t')).toEqual(new Set(['0', '1']));
    expect(answered.get('PTTL t')?.has('-')).toBe(true);
  });

  test('answers the same one by one, and after its snapshot was restored', async () => {
    const { violations, coverage } = await simulate({
      ...short,
      seeds: 1,
      faults: 'gentle',
      stateMachine: () => new KvStateMachine({ random: () => 0 }),
      workload: {
        commands: (prng) => planned('write', drawCommand(prng, prng.uint32())).payload,
        queries: (prng) => planned('read', drawQuery(prng)).payload,
      },
    });
    expect(violations[0]?.story).toBeUndefined();
    expect(coverage['replica restored from a snapshot']).toBeGreaterThan(10);
  });

  test('what its clients were told is a history that check-history judges; keys with lifetimes are left out', async () => {
    const workload = kvWorkload();
    const { operations } = await simulateSeed({ ...short, groups: 2, seed: 3, workload });
    const history = readHistory(historyLines(workload, operations) ?? '');
    const keys = new Set(history.operations.map(({ command }) => command.key.replace(/\d$/, '')));
    expect([...keys].sort()).toEqual(['g1:n', 'g1:s', 'g2:n', 'g2:s']);
    expect(history.operations.length).toBeGreaterThan(50);
    expect(checkHistory(register, history.operations).verdict).toBe('legal');
  });

  test('lifetimes that no replica keeps are noticed, though all replicas agree', async () => {
    class Eternal extends KvStateMachine {
      override apply(entries: readonly AppliedEntry[]): ReturnType<KvStateMachine['apply']> {
        return super.apply(entries.map((entry) => ({ ...entry, timeMs: 0 })));
      }
      override advanceTime(): void {
        // Its clock stands still.
      }
    }
    const { violation } = await simulateSeed({ ...short, seed: 1, faults: {}, workload: on(() => new Eternal()) });
    expect(violation?.promise).toBe('ReadLinearizable');
    expect(violation?.message).toMatch(/t\d as of index \d+ is/);
  });

  test('a replica that judges lifetimes by a clock of its own is noticed', async () => {
    class Hasty extends KvStateMachine {
      override apply(entries: readonly AppliedEntry[]): ReturnType<KvStateMachine['apply']> {
        return super.apply(entries.map((entry) => ({ ...entry, timeMs: entry.timeMs + 100 * entry.index })));
      }
    }
    const make = (node: string): StateMachine => (node === 'n1' ? new Hasty() : new KvStateMachine());
    const workload = { ...kvWorkload(), stateMachine: make };
    const { violation } = await simulateSeed({ ...short, seed: 1, faults: {}, workload });
    expect(['StateMachineSafety', 'ReadLinearizable']).toContain(violation?.promise);
  });

  test('stale answers are noticed from what clients saw alone', async () => {
    class Late extends KvStateMachine {
      #asked = 0;
      readonly #earlier = new Map<string, Uint8Array>();
      override query(query: Uint8Array): Uint8Array {
        this.#asked += 1;
        const key = wordsOf({ kind: 'read', payload: query }).join(' ');
        const answer = super.query(query);
        const said = this.#asked % 4 === 0 ? (this.#earlier.get(key) ?? answer) : answer;
        this.#earlier.set(key, answer);
        return said;
      }
    }
    const workload = on(() => new Late());
    delete workload.model;
    const { violation } = await simulateSeed({ ...short, seed: 1, faults: {}, workload });
    expect(violation?.promise).toBe('Linearizable');
  });

  test('half of a command on two keys is noticed from what clients saw alone', async () => {
    class Halving extends KvStateMachine {
      override apply(entries: readonly AppliedEntry[]): ReturnType<KvStateMachine['apply']> {
        return super.apply(entries.map((entry) => ({ ...entry, command: firstHalf(entry.command) })));
      }
    }
    const workload = on(() => new Halving());
    delete workload.model;
    const { violation } = await simulateSeed({ ...short, seed: 1, faults: {}, workload });
    expect(violation?.promise).toBe('Linearizable');
    expect(violation?.message).toMatch(/key p/);
  });
});

function firstHalf(command: Uint8Array): Uint8Array {
  if (command.length === 0) return command;
  const [name, key, value] = wordsOf({ kind: 'write', payload: command });
  return name === 'MSET' ? planned('write', ['SET', key ?? '', value ?? '']).payload : command;
}
