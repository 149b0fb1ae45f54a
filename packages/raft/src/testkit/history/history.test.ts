import { expect, test } from 'vitest';
import { RegisterMachine, registerWorkload } from '../register-workload.ts';
import { simulate } from '../simulation.ts';
import { historyLines } from './history-lines.ts';

const short = { seconds: 5, nodes: 3 } as const;

/** Answers some queries from a state that is over. */
class Forgetful extends RegisterMachine {
  private readonly earlier = new Map<number, Uint8Array>();
  private asked = 0;

  override query(query: Uint8Array): Uint8Array {
    this.asked += 1;
    const register = query[0] as number;
    const answer = super.query(query);
    const earlier = this.earlier.get(register) ?? answer;
    this.earlier.set(register, answer);
    return this.asked % 5 === 0 ? earlier : answer;
  }
}

test('stale answers are seen by clients alone, without looking into any log', { timeout: 30_000 }, async () => {
  const workload = { ...registerWorkload({ registers: 2 }), stateMachine: () => new Forgetful() };
  delete workload.model;
  const { violation } = await simulate({ ...short, seed: 2, workload, faults: {} });
  expect(violation?.promise).toBe('Linearizable');
  expect(violation?.message).toMatch(/no order explains what clients were told\n[ ~]+client/);
});

test('a run writes its history in the format of docs/history-format.md', async () => {
  const workload = registerWorkload();
  const { operations, violation } = await simulate({ ...short, seed: 3, workload, faults: { crash: 20, split: 10 } });
  expect(violation).toBeNull();
  const lines = (historyLines(workload, operations) ?? '')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const writes = operations.filter(({ kind }) => kind === 'write');
  const reads = operations.filter(({ kind, outcome, consistency }) => {
    return kind === 'read' && outcome === 'ok' && consistency !== 'stale';
  });
  expect(lines.length).toBe(writes.length + reads.length);
  const [answered] = lines.filter(({ outcome }) => outcome === undefined);
  expect(Object.keys(answered as object)).toEqual(['client', 'command', 'start', 'end', 'result']);
  expect(new Set(lines.map(({ command }) => (command as string[])[0]))).toEqual(new Set(['GET', 'SET', 'INCRBY']));
  expect(historyLines({ ...workload, recorded: undefined } as never, operations)).toBeNull();
});
