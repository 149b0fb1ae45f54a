import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { seedsOf, taskOf } from '../controls/main.ts';
import { edited, PatchedBuilds } from '../controls/patched-build.ts';
import { runPatched } from '../controls/runner.ts';
import { foundControls } from '../controls/found-controls.ts';
import { controls } from '../controls/table.ts';

// `npm run controls` runs them all; these take a fraction of a second each.

const known = JSON.parse(readFileSync(new URL('../controls/known-seeds.json', import.meta.url), 'utf8')) as Record<
  string,
  number
>;
const builds = new PatchedBuilds();
afterAll(() => builds.discardAll());

test.each(controls)('the bug "$name" can still be put into the sources', ({ edits }) => {
  expect(edited(edits).size).toBeGreaterThan(0);
});

test('no two bugs have one name', () => {
  expect(new Set(controls.map(({ name }) => name)).size).toBe(controls.length);
});

describe.each(controls.filter(({ fast }) => fast === true))('$name', ({ name, edits, ordeal = {}, ...control }) => {
  test(`the simulator finds: ${control.bug}`, { timeout: 120_000 }, async () => {
    const seeds = seedsOf(control, known[name]);
    const { found } = await runPatched(builds, edits, taskOf(ordeal, seeds));
    expect(found?.promise ?? `nothing in ${control.seeds} seeds`).toMatch(control.caughtBy);
  });
});

const quick = foundControls.filter(({ fast }) => fast === true);
test.each(quick)('the seed that finds "$name" passes without that bug', async ({ name, ordeal = {} }) => {
  const { found } = await runPatched(builds, [], taskOf(ordeal, seedsOf({ seeds: 0 }, known[name])));
  expect(known).toHaveProperty(name);
  expect(found).toBeNull();
});
