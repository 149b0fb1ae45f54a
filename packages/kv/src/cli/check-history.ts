import { readFile } from 'node:fs/promises';
import {
  checkHistory,
  type HistoryReport,
  type KeyReport,
  register,
  type RegisterCommand,
  type RegisterResult,
  timeline,
  type Verdict,
} from 'nori-raft/testkit/linearizability';
import { readHistory } from '../history/read-history.ts';

type Report = HistoryReport<RegisterCommand, RegisterResult>;
type Key = KeyReport<RegisterCommand, RegisterResult>;

const exitOf: Readonly<Record<Verdict, number>> = { legal: 0, illegal: 1, undecided: 2 };
/** With more keys only those that are not fine are listed. */
const keysListedMax = 20;

export interface CheckHistoryOptions {
  readonly seconds: number;
}

/** Judges a history of docs/history-format.md, and says so with the exit code. */
export async function runCheckHistory(file: string, { seconds }: CheckHistoryOptions): Promise<void> {
  const text = await contentOf(file);
  if (text === null) return;
  let history;
  try {
    history = readHistory(text);
  } catch (error) {
    refuse(`${file}: ${(error as Error).message}; docs/history-format.md describes a line`);
    return;
  }
  if (history.operations.length === 0) {
    refuse(`${file}: there is no operation in it to judge`);
    return;
  }
  const report = checkHistory(register, history.operations, {
    timeMsMax: seconds * 1000,
    nowMs: () => performance.now(),
  });
  process.stdout.write(`${reportLines(report, history.failed).join('\n')}\n`);
  process.exitCode = exitOf[report.verdict];
}

async function contentOf(file: string): Promise<string | null> {
  try {
    if (file !== '-') return await readFile(file, 'utf8');
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    refuse(`cannot read ${file}: ${(error as Error).message}`);
    return null;
  }
}

function refuse(problem: string): void {
  process.stderr.write(`nori-kv: ${problem}\n`);
  process.exitCode = exitOf.undecided;
}

export function reportLines(report: Report, failed: number): readonly string[] {
  const all = report.keys.length <= keysListedMax;
  const listed = report.keys.filter(({ verdict }) => all || verdict !== 'legal');
  const count = (verdict: Verdict): number => report.keys.filter((key) => key.verdict === verdict).length;
  const answers = [
    `${count('legal')} yes`,
    `${count('illegal')} no`,
    ...(count('undecided') > 0 ? [`${count('undecided')} undecided`] : []),
  ];
  return [
    ...listed.flatMap(keyLines),
    `${counted(report.keys.length, 'key')}: ${answers.join(', ')}; ${counted(report.operations, 'operation')}, ` +
      `${report.unknownOutcomes} of unknown outcome, ${failed} failed and left out`,
    { legal: 'linearizable: yes', illegal: 'linearizable: no', undecided: 'linearizable: undecided' }[report.verdict],
  ];
}

function keyLines(key: Key): readonly string[] {
  const { verdict, operations, unknownOutcomes, window } = key;
  const size = `${counted(operations, 'operation')}, ${unknownOutcomes} of unknown outcome`;
  const name = `key ${JSON.stringify(key.key)}`;
  if (verdict === 'legal') return [`${name}: yes (${size})`];
  if (verdict === 'undecided') {
    return [
      `${name}: undecided (${size}); the search ended at its limit: give it more --seconds, or a shorter history`,
    ];
  }
  if (window === null) return [`${name}: no (${size})`];
  const context = window.context.length > 0 ? '; ~ shows where values came from' : '';
  return [
    `${name}: no (${size})`,
    `  no order explains ${window.operations.length === 1 ? 'this operation' : `these ${window.operations.length} operations`}, ` +
      `whatever became of the others${context}:`,
    ...timeline(register, window).map((line) => `  ${line}`),
  ];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
