import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { StateMachine } from '../../src/ports/state-machine.ts';
import { simulate, type SimulateOptions, type SimulateReport } from '../../src/testkit/users/simulate.ts';

const page = readFileSync(new URL('../../../../docs/simulator.md', import.meta.url), 'utf8');
const [bankSource = '', testSource = '', mended = ''] = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(
  ([, code]) => code,
);

function evaluated(names: readonly string[], body: string): (...values: unknown[]) => unknown {
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func
  return new Function(...names, body) as (...values: unknown[]) => unknown;
}

function bankOf(source: string): new () => StateMachine {
  return evaluated([], `${source.replace('export class', 'class')}; return Bank;`)() as new () => StateMachine;
}

/** Runs the page's test with a bank; what it reported, and what it asserted. */
async function judged(
  source: string,
  limits: Partial<SimulateOptions> = {},
): Promise<{ readonly report: SimulateReport; readonly story: string | null }> {
  let run = (): Promise<void> => Promise.resolve();
  let report: SimulateReport | null = null;
  let story: string | null = null;
  const names = ['assert', 'test', 'simulate', 'Bank'];
  evaluated(names, testSource.replaceAll(/^import .*$/gm, ''))(
    (holds: boolean, message: string) => {
      if (!holds) story = message;
    },
    (_name: string, body: () => Promise<void>) => {
      run = body;
    },
    async (options: SimulateOptions) => {
      report = await simulate({ ...options, ...limits });
      return report;
    },
    bankOf(source),
  );
  await run();
  return { report: report as unknown as SimulateReport, story };
}

const soundBank = bankSource.replace(/^ {4}const image = .*$/m, mended.trimEnd());

test('the bank of docs/simulator.md is found out, by the story the page tells', { timeout: 30_000 }, async () => {
  const { report, story } = await judged(bankSource);
  const [violation] = report.violations;
  expect(violation?.promise).toBe('SnapshotComplete');
  expect(violation?.trace.events.filter(({ kind }) => kind === 'call').length).toBeLessThanOrEqual(4);
  expect(story).toMatch(/answers entry \d+ with "paid", the cluster with "paid before"/);
  expect(page).toContain('answers entry 4 with "paid", the cluster with "paid before"');
});

test('mended as the page says, it keeps its promises', { timeout: 30_000 }, async () => {
  expect(soundBank).not.toBe(bankSource);
  const { report, story } = await judged(soundBank, { seeds: 2 });
  expect(story).toBeNull();
  expect(report.ok).toBe(true);
  expect(report.runs).toBe(2);
  expect(report.acknowledged).toBeGreaterThan(100);
  expect(report.coverage['replica restored from a snapshot']).toBeGreaterThan(5);
});

describe('a bank is found out', { timeout: 30_000 }, () => {
  const bugs: readonly (readonly [does: string, promise: string, from: string, to: string])[] = [
    ['asks what time it is', 'NoGroupHalts', "'paid';", '`paid at ${Date.now()}`;'],
    ['asks chance', 'NoGroupHalts', "'paid';", '`paid, receipt ${Math.random()}`;'],
    ['pays when it is asked', 'Invariant', 'query(name) {', 'query(name) { this.balances.set("ada", 1);'],
    [
      'looks at balances once per batch',
      'BatchesDoNotMatter',
      'apply(entries) {',
      'apply(entries) { this.paid.clear();',
    ],
    ['overdraws', 'Invariant', '< Number(amount)', '< 0'],
    ['makes money', 'Invariant', '+ Number(amount)', '+ Number(amount) + 1'],
  ];
  for (const [does, promise, from, to] of bugs) {
    test(`when it ${does}`, async () => {
      const source = soundBank.replace(from, to);
      expect(source).not.toBe(soundBank);
      const { report } = await judged(source, { seeds: 3, seconds: 5, shrink: { triesMax: 0 } });
      // Whichever notices first.
      expect([promise, 'StateMachineSafety', 'BatchesDoNotMatter']).toContain(report.violations[0]?.promise);
    });
  }
});

test('the page names every option and every kind of event in a trace', async () => {
  const { report } = await judged(bankSource, { shrink: { triesMax: 0 }, faults: 'all', nodes: 3 });
  const kinds = new Set(report.violations[0]?.trace.events.map(({ kind }) => kind));
  expect([...kinds].filter((kind) => !page.includes(`\`${kind}\``))).toEqual([]);
  const sources = ['users/simulate.ts', 'users/user-workload.ts'].map((path) =>
    readFileSync(new URL(`../../src/testkit/${path}`, import.meta.url), 'utf8'),
  );
  const options = /interface SimulateOptions[^{]*\{([\s\S]*?)\n\}/.exec(sources[0] ?? '')?.[1] ?? '';
  const names = [...options.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !page.includes(`\`${name}`))).toEqual([]);
});
