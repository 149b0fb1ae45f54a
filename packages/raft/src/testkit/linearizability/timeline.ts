import type { Model, Operation } from './model.ts';
import type { FailingWindow } from './window.ts';

const barWidth = 32;
const textWidthMax = 60;

/**
 * The window as lines of text: who, what, from when to when, the answer, and a bar over time. `~` marks operations that
 * only explain where a value came from.
 */
export function timeline<Command, Result>(
  model: Pick<Model<unknown, Command, Result>, 'text'>,
  window: FailingWindow<Command, Result>,
): readonly string[] {
  const shown = [
    ...window.operations.map((operation) => ({ operation, mark: ' ' })),
    ...window.context.map((operation) => ({ operation, mark: '~' })),
  ].sort((a, b) => a.operation.calledAt - b.operation.calledAt);
  const rows = shown.map(({ operation, mark }) => [
    `${mark} client ${operation.client}`,
    shortened(model.text(operation.command)),
    `${timeText(operation.calledAt)} - ${operation.returnedAt === Infinity ? '?' : timeText(operation.returnedAt)}`,
    answerText(operation),
    bar(operation, window),
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
}

function bar(
  { calledAt, returnedAt }: Operation<unknown, unknown>,
  { from, to }: { from: number; to: number },
): string {
  const columnOf = (time: number): number =>
    to === from ? 0 : Math.round(((Math.min(time, to) - from) / (to - from)) * (barWidth - 1));
  const start = columnOf(calledAt);
  const end = Math.max(columnOf(returnedAt), start);
  const last = returnedAt > to ? '>' : '|';
  const length = end - start;
  const body = length === 0 ? last : `|${'-'.repeat(length - 1)}${last}`;
  return ' '.repeat(start) + body;
}

function answerText({ result, returnedAt }: Operation<unknown, unknown>): string {
  if (returnedAt === Infinity) return 'outcome unknown';
  if (result === undefined) return 'answer not recorded';
  if (result === null) return 'nil';
  return shortened(typeof result === 'bigint' ? String(result) : JSON.stringify(result));
}

function shortened(text: string): string {
  return text.length <= textWidthMax ? text : `${text.slice(0, textWidthMax - 3)}...`;
}

function timeText(time: number): string {
  return Number.isInteger(time) ? String(time) : time.toFixed(3);
}
