import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorCodes } from './errors.ts';

test('docs/errors.md says of every code what the table says, and nothing else', () => {
  const page = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8');
  const documented = page.split('\n').filter((line) => line.startsWith('| `'));
  const table = Object.entries(errorCodes).map(
    ([code, facts]) => `| \`${code}\` | ${facts.outcome} | ${facts.retryable ? 'yes' : 'no'} | ${facts.remedy} |`,
  );
  expect(documented).toEqual(table);
});
