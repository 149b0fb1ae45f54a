import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../src/base/text.ts';
import type { AppliedEntry, StateMachine } from '../../src/ports/state-machine.ts';
import * as conformance from '../../src/testkit/conformance/index.ts';

const page = readFileSync(new URL('../../../../docs/conformance.md', import.meta.url), 'utf8');

/** The user's state machine of the page. */
class Bank implements StateMachine {
  private balances = new Map<string, number>();

  apply(entries: readonly AppliedEntry[]): Uint8Array[] {
    return entries.map(({ command }) => {
      const [, from = '', to = '', amount] = fromUtf8(command).split(' ');
      this.balances.set(from, this.of(from) - Number(amount));
      this.balances.set(to, this.of(to) + Number(amount));
      return utf8(String(this.of(to)));
    });
  }

  query(query: Uint8Array): Uint8Array {
    return utf8(String(this.of(fromUtf8(query))));
  }

  snapshot(): AsyncIterable<Uint8Array> {
    const image = utf8(JSON.stringify([...this.balances]));
    return (async function* () {
      yield image;
    })();
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    let text = '';
    for await (const piece of image) text += fromUtf8(piece);
    this.balances = new Map(JSON.parse(text) as [string, number][]);
  }

  private of(account: string): number {
    return this.balances.get(account) ?? 0;
  }
}

type Run = () => Promise<void>;

/** Runs the example of the page; the tests it registers. */
function registered(bank: new () => StateMachine): Map<string, Run> {
  const block = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const imports = block.split('\n').filter((line) => line.startsWith('import '));
  expect(imports).toEqual([
    "import { test } from 'node:test';",
    "import { conformanceTests, stateMachineSuite } from 'nori-raft/testkit/conformance';",
    "import { Bank } from './bank.js';",
  ]);
  const body = block.replaceAll(/^import .*$/gm, '');
  const tests = new Map<string, Run>();
  const names = ['test', 'conformanceTests', 'stateMachineSuite', 'Bank'];
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func
  const example = new Function(...names, body) as (...values: unknown[]) => void;
  example(
    (name: string, run: Run) => tests.set(name, run),
    conformance.conformanceTests,
    conformance.stateMachineSuite,
    bank,
  );
  return tests;
}

test('the example of docs/conformance.md judges a sound bank as sound', async () => {
  const tests = registered(Bank);
  expect(tests.size).toBe(conformance.stateMachineSuite.laws.length);
  for (const run of tests.values()) await expect(run()).resolves.toBeUndefined();
});

test('and finds what is wrong with another', async () => {
  class Careless extends Bank {
    override async *snapshot(): AsyncIterable<Uint8Array> {
      yield* super.snapshot();
    }
  }
  const run = registered(Careless).get('StateMachine: a snapshot is of the moment it was asked for');
  await expect(run?.()).rejects.toThrow(conformance.ConformanceFailure);
});

test('the page names every suite there is', () => {
  const suites = Object.keys(conformance).filter((name) => name.endsWith('Suite'));
  expect(suites.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
