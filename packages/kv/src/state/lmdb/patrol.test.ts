import { expect, test } from 'vitest';
import type { Capture, Store } from '../store.ts';
import { Patrol } from './patrol.ts';

/** A store without end, and what was done with it. */
class Endless {
  damage = null;
  hasRoom = true;
  seen = 0;
  open = 0;

  capture(): Partial<Capture> {
    this.open += 1;
    return {
      entries: () => this.entries(),
      close: () => {
        this.open -= 1;
      },
    };
  }

  *entries(): Generator<never, void, void> {
    for (;;) {
      this.seen += 1;
      yield undefined as never;
    }
  }
}

async function looking(): Promise<{ readonly store: Endless; readonly patrol: Patrol }> {
  const store = new Endless();
  const patrol = new Patrol();
  patrol.add(store as unknown as Store);
  await expect.poll(() => store.open).toBe(1);
  return { store, patrol };
}

test('who stops it may close the tree: nothing of it is looked at, or held, any more', async () => {
  const { store, patrol } = await looking();
  await patrol.stop();
  expect(store.open).toBe(0);
  const { seen } = store;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(store.seen).toBe(seen);
  await patrol.stop();
});

test('on a full volume it lets go of what it holds, for the tree grows by that', async () => {
  const { store, patrol } = await looking();
  store.hasRoom = false;
  await expect.poll(() => store.open).toBe(0);
  await patrol.stop();
});
