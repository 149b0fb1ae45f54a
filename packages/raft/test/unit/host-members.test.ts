import { expect, test } from 'vitest';
import type { Logger } from '../../src/host/options.ts';
import { MemoryDisk } from '../support/memory-disk.test-support.ts';
import { bytes, HostWorld, type Machine } from '../support/host-world.test-support.ts';

const at = (world: HostWorld, place: number): Machine => world.machines[place] as Machine;
const address = (machine: Machine): string => `${machine.id}:7000`;
const votersOf = (machine: Machine): readonly string[] => machine.statusOf(1)?.voters ?? [];

async function add(world: HostWorld, by: Machine, who: Machine): Promise<void> {
  await world.settled(by.host.addMember(1, who.id, address(who)));
}

test('a cluster of one grows to three by nodes that join it, and goes on without the founder', async () => {
  const world = await HostWorld.started({ hosts: 3, founders: 1 });
  const [n1, n2, n3] = [at(world, 0), at(world, 1), at(world, 2)];
  await world.until(() => world.leader(1) !== null);
  await world.settled(n1.host.execute(1, bytes('x')));
  await add(world, n1, n2);
  // Any member may be asked.
  await add(world, n2, n3);
  await world.until(() => votersOf(n3).length === 3);
  await world.settled(n1.host.removeMember(1, 'n1'));
  await world.until(() => world.leader(1) !== null && world.leader(1) !== n1);
  await world.settled(n3.host.execute(1, bytes('y')));
  await world.until(() => n2.ledger().commands.length === 2);
  expect(n2.ledger().commands).toEqual(['x', 'y']);
  expect(n3.host.members(1)).toEqual([
    { id: 'n2', address: 'n2:7000', role: 'voter' },
    { id: 'n3', address: 'n3:7000', role: 'voter' },
  ]);
  await world.until(() => n2.host.peers().length === 1);
  await world.close();
});

test('nodes that were restarted know each other from the log, whatever they were founded with', async () => {
  const world = await HostWorld.started({ hosts: 3, founders: 1 });
  const [n1, n2, n3] = [at(world, 0), at(world, 1), at(world, 2)];
  await world.until(() => world.leader(1) !== null);
  await add(world, n1, n2);
  await add(world, n1, n3);
  for (const machine of world.machines) world.powerCut(machine);
  for (const machine of [n2, n3]) await world.start(machine);
  await world.until(() => world.leader(1) !== null);
  await world.settled(n3.host.execute(1, bytes('x')));
  expect(n3.host.peers().map(({ id }) => id)).toEqual(['n1', 'n2']);
  await world.close();
});

test('a wiped node is refused until it is removed and added again, and learns before it votes', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const n3 = at(world, 2);
  await world.settled(at(world, 0).host.execute(1, bytes('x')));
  world.crash(n3);
  n3.disk = new MemoryDisk();
  await world.start(n3);
  await world.until(() => n3.host.peers().every(({ refusal }) => refusal !== null));
  expect(n3.host.peers()[0]?.refusal).toMatch(/another disk/);
  world.crash(n3);
  n3.disk = new MemoryDisk();
  const n1 = at(world, 0);
  await world.settled(n1.host.removeMember(1, 'n3'));
  await world.until(() => votersOf(at(world, 1)).length === 2);
  await world.start(n3, { join: true });
  await add(world, n1, n3);
  await world.until(() => n3.ledger().commands.length === 1);
  expect(votersOf(n3)).toEqual(['n1', 'n2', 'n3']);
  await world.close();
});

test('who founded a group alone, was wiped and joins it again elects itself by no configuration of that time', async () => {
  const world = await HostWorld.started({ hosts: 3, founders: 1, config: { segmentBytes: 4 << 20 } });
  const [n1, n2, n3] = [at(world, 0), at(world, 1), at(world, 2)];
  const members = { n1: 'n1:7000', n2: 'n2:7000', n3: 'n3:7000' };
  await world.until(() => world.leader(1) !== null);
  // More than travels at once: the members of today come later than those of then.
  for (let left = 5; left > 0; left -= 1) await world.settled(n1.host.execute(1, bytes('x'.repeat(300_000))));
  for (const joins of [n2, n3]) await add(world, n1, joins);
  await world.settled(n1.host.removeMember(1, 'n1'));
  await world.until(() => [n2, n3].some((machine) => world.leader(1) === machine));
  world.crash(n1);
  n1.disk = new MemoryDisk();
  await world.start(n1, { join: true, members });
  await world.run(3000);
  n1.syncMs = 20;
  const added = world.leading(1).host.addMember(1, 'n1', 'n1:7000');
  await world.until(() => votersOf(n1).length > 0);
  expect(votersOf(n1)).toEqual(['n1']);
  world.isolate(n1);
  await world.run(2000);
  expect(n1.statusOf(1)?.role).toBe('follower');
  world.crash(n1);
  n1.syncMs = 0;
  await world.start(n1, { join: true, members });
  await world.run(2000);
  expect(n1.statusOf(1)?.role).toBe('follower');
  world.network.heal();
  await world.settled(added);
  await world.until(() => n1.ledger().commands.length === 5);
  // It is a member like any other, and leads when it is to.
  await world.settled(world.leading(1).host.transferLeadership(1, 'n1'));
  await world.until(() => world.leader(1) === n1);
  await world.close();
});

test.each(['n1', 'n2', 'n3'])(
  '%s comes back at another address: the others find it there, with its disk and its vote',
  async (id) => {
    const world = await HostWorld.elected({ hosts: 3, groups: [1, 2] });
    const moving = world.machines.find((machine) => machine.id === id) as Machine;
    world.crash(moving);
    await world.start(moving, { listen: `${id}:9000` });
    await world.until(() => world.leader(1) !== null && world.leader(2) !== null);
    const other = world.machines.find((machine) => machine !== moving) as Machine;
    for (const group of [1, 2]) await world.settled(other.host.execute(group, bytes('x')));
    // One group after another: meanwhile the groups do not agree where it is.
    await world.settled(other.host.moveMember(1, id, `${id}:9000`));
    await world.until(() => moving.host.peers().every(({ connected }) => connected));
    await world.settled(moving.host.moveMember(2, id, `${id}:9000`));
    await world.settled(moving.host.execute(1, bytes('x')));
    await world.until(() => world.machines.every((machine) => machine.ledger().commands.length === 2));
    expect(other.host.members(2).find((member) => member.id === id)).toMatchObject({
      address: `${id}:9000`,
      role: 'voter',
    });
    // Whoever starts anew knows it from the log alone; what it was founded with is out of date.
    world.crash(other);
    await world.start(other);
    await world.until(() => other.host.peers().every(({ connected }) => connected));
    expect(other.host.peers().find((peer) => peer.id === id)?.address).toBe(`${id}:9000`);
    await world.close();
  },
);

test('a node that was removed knows of no leader soon after, and each refusal is one line in a log', async () => {
  const lines: { readonly machine: string; readonly code: unknown; readonly message: string }[] = [];
  const world = await HostWorld.elected({ hosts: 3 });
  const [n1, n2, n3] = [at(world, 0), at(world, 1), at(world, 2)];
  await world.settled(n1.host.removeMember(1, 'n3'));
  await world.until(() => n3.statusOf(1)?.removed === true);
  await world.run(2000);
  expect(n3.statusOf(1)).toMatchObject({ leader: null, removed: true });
  expect(n3.host.leader(1)).toBeNull();
  world.crash(n2);
  const disk = n2.disk;
  n2.disk = new MemoryDisk();
  const log = (machine: string) => (fields: object, message: string) =>
    lines.push({ machine, code: (fields as { code?: unknown }).code, message });
  const loggerOf = (machine: string): Logger => {
    const told = log(machine);
    return { debug: () => undefined, info: () => undefined, warn: told, error: told };
  };
  world.crash(n1);
  await world.start(n1, { logger: loggerOf('n1') });
  await world.start(n2, { logger: loggerOf('n2') });
  await world.until(() => n2.host.peers().some(({ id, refusal }) => id === 'n1' && refusal !== null));
  const about = (machine: string): readonly string[] =>
    lines.filter((line) => line.machine === machine && line.code === 'DISK_REPLACED').map(({ message }) => message);
  expect(about('n1')).toEqual([expect.stringMatching(/^this node knows n2 with another disk/)]);
  expect(about('n2').filter((message) => message.includes('n1'))).toEqual([expect.stringMatching(/^n1 refuses this/)]);
  n2.disk = disk;
  await world.close();
});

test('of two nodes one moves when the group was told of it first', async () => {
  const world = await HostWorld.elected({ hosts: 2 });
  const [n1, n2] = [at(world, 0), at(world, 1)];
  await world.settled(n1.host.moveMember(1, 'n2', 'n2:9000'));
  expect(n2.host.status().peers).toMatchObject([{ id: 'n1', connected: true }]);
  world.crash(n2);
  await world.start(n2, { listen: 'n2:9000' });
  await world.settled(n2.host.execute(1, bytes('x')));
  await world.close();
});

test('a change that waits for a node that never comes is seen, and can be given up', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const { host } = world.leading(1);
  const waiting = world.failure(host.addMember(1, 'n9', 'n9:7000'));
  await world.until(() => host.groupStatus(1).change !== null);
  expect(host.groupStatus(1)).toMatchObject({ learners: ['n9'], change: { voters: ['n1', 'n2', 'n3', 'n9'] } });
  expect(await world.failure(host.removeMember(1, 'n2'))).toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
  await world.settled(host.giveUpChange(1));
  expect(await waiting).toMatchObject({ code: 'CHANGE_GIVEN_UP', outcome: 'notApplied' });
  expect(host.groupStatus(1)).toMatchObject({ learners: [], change: null });
  await world.close();
});

test('a caller that stops waiting is told that the change goes on', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const { host } = world.leading(1);
  const failure = await world.failure(host.addMember(1, 'n9', 'n9:7000', { timeoutMs: 300 }));
  expect(failure).toMatchObject({ code: 'COMMIT_TIMEOUT', outcome: 'unknown' });
  expect(host.groupStatus(1).change).toMatchObject({ phase: 'catchingUp' });
  await world.close();
});

test('one change replaces every node of a group', async () => {
  const world = await HostWorld.started({ hosts: 6, founders: 3 });
  await world.until(() => world.leader(1) !== null);
  await world.settled(at(world, 0).host.execute(1, bytes('x')));
  const added = Object.fromEntries(world.machines.slice(3).map((machine) => [machine.id, address(machine)]));
  await world.settled(at(world, 1).host.changeMembers(1, { add: added, remove: ['n1', 'n2', 'n3'] }));
  await world.until(() => ['n4', 'n5', 'n6'].includes(world.leader(1)?.id ?? ''));
  await world.settled(at(world, 4).host.execute(1, bytes('y')));
  await world.until(() => at(world, 5).ledger().commands.length === 2);
  expect(votersOf(at(world, 5))).toEqual(['n4', 'n5', 'n6']);
  await world.close();
});

const misfits: readonly (readonly [string, object, string])[] = [
  ['a node that votes already', { add: { n1: 'n1:7000' } }, 'CONFIGURATION_INVALID'],
  ['a stranger to remove', { remove: ['n8'] }, 'CONFIGURATION_INVALID'],
  ['nobody left to vote', { remove: ['n1', 'n2', 'n3'] }, 'CONFIGURATION_INVALID'],
  ['a stranger that moves', { move: { n8: 'n8:7000' } }, 'CONFIGURATION_INVALID'],
  ['a move to where it is', { move: { n1: 'n1:7000' } }, 'CONFIGURATION_INVALID'],
  ['a name that is none', { add: { 'n 4': 'n4:7000' } }, 'CONFIG_INVALID'],
  ['a list that is none', { remove: 'n1' }, 'CONFIG_INVALID'],
  ['a field that is none', { evict: ['n1'] }, 'CONFIG_INVALID'],
];

test.each(misfits)('a change is refused with words: %s', async (_what, change, code) => {
  const world = await HostWorld.elected({ hosts: 3 });
  for (const machine of world.machines) {
    expect(await world.failure(machine.host.changeMembers(1, change))).toMatchObject({ code });
  }
  await world.close();
});

test('a node that was removed says so at once instead of waiting for a leader', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const gone = world.leading(1);
  const by = world.machines.find((machine) => machine !== gone) as Machine;
  await world.settled(by.host.removeMember(1, gone.id));
  await world.until(() => gone.statusOf(1)?.removed === true && gone.statusOf(1)?.role === 'follower');
  await world.until(() => gone.host.peers().every(({ connected }) => !connected));
  const refused = { code: 'NOT_MEMBER', outcome: 'notApplied' };
  expect(await world.failure(gone.host.execute(1, bytes('x')))).toMatchObject(refused);
  expect(await world.failure(gone.host.read(1, bytes('')))).toMatchObject({ code: 'NOT_MEMBER' });
  await world.settled(gone.host.read(1, bytes(''), { consistency: 'stale' }));
  await world.close();
});

test('a node that was removed passes writes and reads on for as long as its leader hears it', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const leader = world.leading(1);
  const gone = world.machines.find((machine) => machine !== leader) as Machine;
  await world.settled(leader.host.removeMember(1, gone.id));
  await world.until(() => gone.statusOf(1)?.removed === true);
  await world.settled(gone.host.execute(1, bytes('x')));
  // Its own state stands still, so waiting for it would be in vain.
  const { index } = await world.settled(gone.host.read(1, bytes('')));
  expect(index).toBeGreaterThan(gone.statusOf(1)?.applied ?? 0);
  expect(await world.failure(gone.host.readIndex(1))).toMatchObject({ code: 'NOT_MEMBER' });
  await world.close();
});

test('a node that was removed is found again when it is added again, whoever leads by then', async () => {
  const world = await HostWorld.elected({ hosts: 4 });
  const [n1, n2, n3, n4] = [at(world, 0), at(world, 1), at(world, 2), at(world, 3)];
  await world.settled(n1.host.removeMember(1, 'n4'));
  await world.until(() => n4.statusOf(1)?.removed === true);
  // What it knows of the group is out of date: those who were in it when it left are gone.
  await world.settled(n1.host.removeMember(1, 'n3'));
  await world.settled(n1.host.removeMember(1, 'n2'));
  await add(world, n1, n4);
  await world.until(() => votersOf(n4).length === 2);
  expect(votersOf(n4)).toEqual(['n1', 'n4']);
  expect([n2, n3].map((machine) => machine.statusOf(1)?.removed)).toEqual([true, true]);
  await world.settled(n4.host.execute(1, bytes('x')));
  await world.close();
});

test('who was removed and founds anew on an empty disk is kept out, also where a leader is missing', async () => {
  const world = await HostWorld.elected({ hosts: 4 });
  const [n1, n2, n3, n4] = [at(world, 0), at(world, 1), at(world, 2), at(world, 3)];
  await world.settled(n1.host.removeMember(1, 'n4'));
  await world.until(() => [n1, n2, n3].every((machine) => votersOf(machine).length === 3));
  world.crash(n4);
  n4.disk = new MemoryDisk();
  // Alone, n1 is in doubt and lets in again whom it knew once, with whatever disk.
  world.crash(n2);
  world.crash(n3);
  await world.start(n4);
  await world.until(
    () =>
      n4.host
        .peers()
        .find(({ id }) => id === 'n1')
        ?.refusal?.includes('another disk') === true,
  );
  expect(n4.host.status().founded).toBe(false);
  await world.close();
});

test('the node of the highest priority leads when it can, and nobody hands over to one that cannot', async () => {
  const world = new HostWorld({ hosts: 3 });
  const priorities: Record<string, number> = { n1: 100, n2: 300, n3: 200 };
  await Promise.all(world.machines.map((machine) => world.start(machine, { priority: priorities[machine.id] ?? 0 })));
  const [n2, n3] = [at(world, 1), at(world, 2)];
  await world.until(() => world.leader(1) === n2);
  const { term } = n2.statusOf(1) ?? { term: 0 };
  await world.run(5000);
  expect(n2.statusOf(1)).toMatchObject({ role: 'leader', term });

  world.crash(n2);
  await world.until(() => world.leader(1) === n3);
  await world.settled(n3.host.execute(1, bytes('x')));
  await world.start(n2, { priority: 300 });
  await world.until(() => world.leader(1) === n2);
  expect(n2.ledger().commands).toEqual(['x']);
  await world.close();
});

test('a node that is about to stop is handed nothing back, however much it is wanted to lead', async () => {
  const world = new HostWorld({ hosts: 3 });
  const priorities: Record<string, number> = { n1: 100, n2: 300, n3: 100 };
  await Promise.all(world.machines.map((machine) => world.start(machine, { priority: priorities[machine.id] ?? 0 })));
  const n2 = at(world, 1);
  await world.until(() => world.leader(1) === n2);
  await world.run(3000);
  await world.settled(n2.host.handOver());
  const { term } = n2.statusOf(1) ?? { term: 0 };
  await world.run(2500);
  expect(n2.statusOf(1)).toMatchObject({ role: 'follower', term });
  await world.until(() => world.leader(1) === n2);
  await world.close();
});

test('who was restarted just after a node was removed lets it in when it was wiped and added again', async () => {
  const world = await HostWorld.elected({ hosts: 3 });
  const leader = world.leading();
  const [restarted, wiped] = world.followers() as [Machine, Machine];
  await world.settled(leader.host.execute(1, bytes('x')));
  await world.run(300);
  world.crash(wiped);
  wiped.disk = new MemoryDisk();
  await world.settled(leader.host.removeMember(1, wiped.id));
  await world.until(() => votersOf(restarted).length === 2);
  world.crash(restarted);
  await world.start(restarted);
  await world.run(1000);
  await world.start(wiped, { join: true });
  await add(world, leader, wiped);
  await world.until(() => restarted.host.peers().some(({ id, connected }) => id === wiped.id && connected), 10_000);
  expect(restarted.host.peers().map(({ refusal }) => refusal)).toEqual([null, null]);
  await world.close();
});

test('who was away while a node was removed, wiped and added again lets it in with its new disk', async () => {
  const world = await HostWorld.elected({ hosts: 5 });
  const [away, wiped] = [at(world, 1), at(world, 4)];
  await world.settled(world.leading().host.execute(1, bytes('x')));
  await world.run(300);
  if (world.leading() === away || world.leading() === wiped) {
    await world.settled(world.leading().host.transferLeadership(1, 'n1'));
  }
  world.isolate(away);
  await world.run(3000);
  world.crash(wiped);
  wiped.disk = new MemoryDisk();
  await world.settled(world.leading().host.removeMember(1, wiped.id));
  await world.run(3000);
  await world.start(wiped, { join: true });
  await add(world, world.leading(), wiped);
  world.network.heal();
  await world.until(() => away.host.peers().some(({ id, connected }) => id === wiped.id && connected), 10_000);
  expect(away.host.peers().find(({ id }) => id === wiped.id)?.refusal).toBeNull();
  await world.close();
});
