import { expect, test } from 'vitest';
import { bytes, HostWorld, type Machine } from '../support/host-world.test-support.ts';

test('nothing is in the way of a group that is well', async () => {
  const world = await HostWorld.elected();
  await world.settled(world.leading().host.execute(1, bytes('x')));
  await world.run(200);
  for (const { host } of world.machines) expect(host.explain(1)).toEqual([]);
  await world.close();
});

test('a leader without quorum says whom it does not hear, a new one how long it waits for the old lease', async () => {
  const world = await HostWorld.elected();
  await world.settled(world.leading().host.execute(1, bytes('x')));
  const old = world.leading();
  world.isolate(old);
  await world.run(1200);
  const said = old.host.explain(1).join(' ');
  for (const { id } of world.machines.filter((machine) => machine !== old)) expect(said).toContain(id);
  expect(said).toMatch(/No quorum of the voters/);
  const next = world.machines.find((machine) => machine !== old && machine.host.isLeader(1));
  expect(next?.host.explain(1).join(' ')).toMatch(
    new RegExp(`Nothing is committed for \\d+ ms: ${old.id}, leader of term`),
  );
  await world.run(2500);
  expect(next?.host.explain(1)).toEqual([]);
  expect(old.host.explain(1).join(' ')).toMatch(/No leader is known in term \d+\. It asks for votes/);
  await world.close();
});

test('a node whose disk is slow says for how long, and one that has joined nothing yet says no more than that', async () => {
  const world = await HostWorld.started({ hosts: 2, founders: 1 });
  const [founder, joiner] = world.machines as [Machine, Machine];
  await world.until(() => world.leader(1) !== null);
  expect(joiner.host.explain(1)).toEqual([
    'No leader is known in term 0.',
    'This node has no vote in the configuration it knows.',
  ]);
  founder.syncMs = 400;
  const write = founder.host.execute(1, bytes('x'));
  await world.run(300);
  const forMs = Number(
    /The disk of this node has been at one write for (\d+) ms/.exec(founder.host.explain(1)[0] ?? '')?.[1],
  );
  expect(forMs).toBeGreaterThan(290);
  await world.settled(write);
  founder.syncMs = 0;
  await world.close();
});
