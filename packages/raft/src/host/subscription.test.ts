import { expect, test } from 'vitest';
import { Subscription } from './subscription.ts';

for (const [what, count, size] of [
  ['commands', 65_537, 1],
  ['bytes', 65, 1 << 20],
] as const) {
  test(`a reader that is too many ${what} behind is told so, once, and holds nothing any more`, async () => {
    const released: unknown[] = [];
    const subscription = new Subscription((ended) => released.push(ended));
    const command = new Uint8Array(size);
    for (let index = 1; index <= count; index += 1) subscription.offer(index, command);
    expect(released).toEqual([subscription]);
    await expect(subscription.next()).rejects.toMatchObject({ code: 'OVERLOADED', outcome: 'none' });
    expect(await subscription.next()).toEqual({ value: undefined, done: true });
  });
}

test('what was read makes room', async () => {
  const subscription = new Subscription(() => undefined);
  const command = new Uint8Array(1 << 20);
  for (let index = 1; index <= 200; index += 1) {
    subscription.offer(index, command);
    expect((await subscription.next()).value?.index).toBe(index);
  }
});

test('a reader gets a copy of each command', async () => {
  const subscription = new Subscription(() => undefined);
  const command = Buffer.from([1]);
  subscription.offer(1, command);
  command[0] = 2;
  expect((await subscription.next()).value?.command).toEqual(Uint8Array.of(1));
});
