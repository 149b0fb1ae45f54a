import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { retell } from './script.ts';

// The traces are read as prose: after a change, `UPDATE_TRACES=1 npm run test:unit` tells them anew, and the diff is
// read before it is committed.
const folder = fileURLToPath(new URL('../traces/', import.meta.url));
const update = process.env['UPDATE_TRACES'] === '1';

for (const name of readdirSync(folder)) {
  if (!name.endsWith('.txt')) continue;
  const text = readFileSync(`${folder}${name}`, 'utf8');
  const title = text.split('\n')[0]?.replace(/^# /, '') ?? name;
  test(`${name.replace('.txt', '')}: ${title}`, () => {
    const told = retell(text);
    if (update) writeFileSync(`${folder}${name}`, told);
    expect(told).toBe(update ? told : text);
  });
}
