import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runCheckHistory } from './check-history.ts';

const call = (key: string, start: number, command: readonly string[], result: unknown): string =>
  JSON.stringify({ client: 1, command: [command[0], key, ...command.slice(1)], start, end: start + 1, result });

describe('check-history', () => {
  let directory = '';
  let said = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nori-history-'));
    said = '';
    const hear = (text: unknown): boolean => {
      said += String(text);
      return true;
    };
    vi.spyOn(process.stdout, 'write').mockImplementation(hear);
    vi.spyOn(process.stderr, 'write').mockImplementation(hear);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  async function judged(lines: readonly string[]): Promise<typeof process.exitCode> {
    const file = join(directory, 'history.jsonl');
    writeFileSync(file, lines.join('\n'));
    await runCheckHistory(file, { seconds: 10 });
    return process.exitCode;
  }

  test('a legal history ends with 0 and a yes per key', async () => {
    expect(await judged([call('x', 0, ['SET', 'a'], 'OK'), call('x', 2, ['GET'], 'a')])).toBe(0);
    expect(said).toContain('key "x": yes (2 operations, 0 of unknown outcome)');
    expect(said).toContain('linearizable: yes');
  });

  test('of many keys only the illegal ones are listed, with their windows, and it ends with 1', async () => {
    const fine = [...Array(30).keys()].map((at) => call(`k${at}`, at, ['SET', 'a'], 'OK'));
    expect(await judged([...fine, call('bad', 0, ['GET'], 'never written')])).toBe(1);
    expect(said.split('\n').filter((line) => line.startsWith('key'))).toHaveLength(1);
    expect(said).toContain('GET bad  0 - 1  "never written"');
    expect(said).toContain('31 keys: 30 yes, 1 no; 31 operations');
  });

  test('what cannot be judged ends with 2 and says why', async () => {
    expect(await judged(['{"client":1,"start":0}'])).toBe(2);
    expect(said).toContain('history.jsonl: line 1: neither "command" nor "f" says what was called');
    expect(await judged(['# nothing'])).toBe(2);
    expect(said).toContain('there is no operation in it to judge');
    await runCheckHistory(join(directory, 'missing'), { seconds: 1 });
    expect(process.exitCode).toBe(2);
    expect(said).toContain('cannot read');
  });
});
