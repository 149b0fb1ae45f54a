import { expect, test } from 'vitest';
import { bytes, HostWorld, text } from '../support/host-world.test-support.ts';

test('a command is acknowledged by any node, once it is on a majority of disks and applied on the leader', async () => {
  const world = await HostWorld.elected();
  for (const [at, machine] of world.machines.entries()) {
    const { index, result } = await world.settled(machine.host.execute(1, bytes(`c${at}`)));
    expect(text(result)).toBe(String(at + 1));
    expect(index).toBe(3 + at);
    const durable = world.machines.filter(({ host }) => host.groupStatus(1).persistedIndex >= index);
    expect(durable.length).toBeGreaterThanOrEqual(2);
  }
  await world.until(() => world.machines.every((machine) => machine.ledger().commands.join() === 'c0,c1,c2'));
  await world.close();
});
