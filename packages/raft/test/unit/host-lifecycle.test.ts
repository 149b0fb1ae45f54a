import { expect, test } from 'vitest';
import { bytes, HostWorld, Ledger, type Machine, text } from '../support/host-world.test-support.ts';

const first = (world: HostWorld): Machine => world.machines[0] as Machine;

test('a group that is still being written down hears nothing, wakes nobody, and cannot be made twice', async () => {
  const world = await HostWorld.elected();
  const machine = first(world);
  machine.syncMs = 3000;
  const creating = machine.host.createGroup({ group: 2, stateMachine: new Ledger() });
  expect(await world.failure(machine.host.createGroup({ group: 2, stateMachine: new Ledger() }))).toMatchObject({
    code: 'GROUP_EXISTS',
  });
  const wakes = machine.clock.wakes;
  await world.run(1000);
  expect(machine.clock.wakes - wakes).toBeLessThan(200);
  expect(() => machine.host.groupStatus(2)).toThrow(/not open/);
  machine.syncMs = 0;
  await world.settled(creating);
  expect(machine.host.groupStatus(2).commit).toBeGreaterThanOrEqual(0);
  await world.close();
});

test('a destroyed group stays destroyed, also after a restart, whatever its peers still send', async () => {
  const world = await HostWorld.elected({ groups: [1, 2] });
  const machine = world.leading(2);
  await world.settled(machine.host.execute(2, bytes('x')));
  await world.settled(machine.host.destroyGroup(2));
  await world.run(2000);
  expect(machine.host.status().groups.map(({ group }) => group)).toEqual([1]);
  const again = { group: 2, stateMachine: new Ledger() };
  expect(await world.failure(machine.host.createGroup(again))).toMatchObject({ code: 'GROUP_DESTROYED' });
  world.powerCut(machine);
  expect(await world.failure(world.start(machine))).toMatchObject({ code: 'GROUP_DESTROYED' });
  // The other two go on without it.
  const other = world.machines.find((each) => each !== machine) as Machine;
  expect(text((await world.settled(other.host.execute(2, bytes('y')))).result)).toBe('2');
  await world.close();
});

test('a group destroyed and another created in the same moment do not share a place', async () => {
  const world = await HostWorld.elected({ hosts: 1, groups: [1, 2] });
  const { host } = first(world);
  for (let group = 3; group < 30; group += 1) {
    host.submit(group - 1, bytes('x'), {}, () => undefined);
    const destroying = host.destroyGroup(group - 1);
    const creating = host.createGroup({ group, stateMachine: new Ledger() });
    await world.settled(Promise.all([destroying, creating]));
    await world.settled(host.execute(group, bytes('y')));
  }
  expect(text((await world.settled(host.execute(1, bytes('y')))).result)).toBe('1');
  await world.close();
});

const misfits: readonly (readonly [string, object, RegExp])[] = [
  ['without a state machine', { stateMachine: undefined }, /no method apply/],
  ['that a stranger founds', { members: { n1: 'n1:7000', n9: 'n9:7000' } }, /no member of this host/],
  ['that this node does not found', { members: { n2: 'n2:7000' } }, /does not name this node/],
  ['of number 0', { group: 0 }, /whole number/],
];
for (const [what, change, message] of misfits) {
  test(`a group ${what} is refused`, async () => {
    const world = await HostWorld.started({ hosts: 2 });
    const create = { group: 5, stateMachine: new Ledger(), ...change };
    await expect(first(world).host.createGroup(create)).rejects.toThrow(message);
    await expect(first(world).host.createGroup(create)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await world.close();
  });
}

test('a closed host answers everything at once, and closing twice is closing once', async () => {
  const world = await HostWorld.elected();
  const { host } = first(world);
  const creating = host.createGroup({ group: 9, stateMachine: new Ledger() });
  const closing = host.close();
  expect(host.close()).toBe(closing);
  await world.settled(Promise.allSettled([closing, creating]));
  expect(await world.failure(host.execute(1, bytes('x')))).toMatchObject({ code: 'CLOSED', outcome: 'notApplied' });
  expect(await world.failure(host.read(1, bytes('')))).toMatchObject({ code: 'CLOSED' });
  expect(await world.failure(host.createGroup({ group: 3, stateMachine: new Ledger() }))).toMatchObject({
    code: 'CLOSED',
  });
  expect(() => host.subscribeApplied(1)).toThrow(/closed/);
  expect(host.status().state).toBe('closed');
  await world.close();
});

test('a leader that closes hands over first: the others have a leader before an election timeout is over', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  await world.settled(leader.host.close());
  leader.current = null;
  await world.until(() => world.leader() !== null, 100);
  expect(world.leading()).not.toBe(leader);
  await world.close();
});

test('a leader that closes stays until its successor commits: with its vote and its disk, and every write is answered', async () => {
  const world = await HostWorld.elected();
  await world.run(500);
  const leader = world.leading();
  const [successor, down] = world.followers() as [Machine, Machine];
  for (const machine of [leader, successor]) machine.syncMs = 5;
  world.crash(down);
  const answers: string[] = [];
  const submit = (machine: Machine, name: string): void =>
    machine.host.submit(1, bytes(name), {}, (error) => answers.push(`${name} ${error?.code ?? 'done'}`));
  submit(leader, 'here');
  submit(successor, 'passed on');
  await world.run(2); // they are in the log, and on no disk yet
  await world.settled(leader.host.close(), 200);
  expect(answers.toSorted()).toEqual(['here done', 'passed on done']);
  expect(successor.host.isLeader(1)).toBe(true);
  await world.close();
});

test('a group that nobody else can lead keeps no host from closing for longer than three election timeouts', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  for (const machine of world.followers()) world.crash(machine);
  await world.settled(leader.host.close(), 3 * 600);
  expect(leader.host.status().state).toBe('closed');
  await world.close();
});

test('after a handover writes are acknowledged by the successor at once, whatever the lease', async () => {
  const world = await HostWorld.elected({ config: { leaseMs: 2000 } });
  await world.run(500);
  for (const machine of world.machines) machine.syncMs = 2;
  const leader = world.leading();
  const [follower] = world.followers() as [Machine, Machine];
  const closing = leader.host.close();
  const { result } = await world.settled(follower.host.execute(1, bytes('x')), 40);
  expect(text(result)).toBe('1');
  await world.settled(closing, 40);
  await world.close();
});

for (const provesDeath of [true, false]) {
  const outcome = provesDeath
    ? 'frees its successor before it has taken up a group'
    : 'without proof of death frees nobody';
  test(`a killed leader that is back ${outcome}`, async () => {
    const world = await HostWorld.elected({ config: { leaseMs: 2000 }, provesDeath });
    await world.run(500);
    const old = world.leading();
    world.crash(old);
    await world.until(() => world.leader() !== null && world.leading() !== old, 700);
    const answers: string[] = [];
    world.leading().host.submit(1, bytes('x'), {}, (error) => answers.push(error?.code ?? 'done'));
    await world.run(300);
    expect(answers, 'the old lease may still run').toEqual([]);
    await world.start(old, {}, []);
    await world.run(100);
    expect(answers).toEqual(provesDeath ? ['done'] : []);
    await world.until(() => answers.length > 0, 2000);
    expect(answers).toEqual(['done']);
    await world.close();
  });
}

test('closing with a disk that hangs takes 5 s at most, says so, and keeps the directory locked', async () => {
  const world = await HostWorld.elected();
  const machine = world.leading();
  machine.disk.judge = (operation) => (operation === 'sync' ? 'hang' : 'pass');
  const executed = world.failure(machine.host.execute(1, bytes('x')));
  await world.run(10);
  const startMs = world.clock.nowMs();
  expect(await world.failure(machine.host.close())).toMatchObject({ code: 'DISK_FAILED' });
  expect(world.clock.nowMs() - startMs).toBeLessThan(8000);
  await executed;
  machine.current = null;
  await world.close();
});

test('a cluster is founded only when every founder has met every other, and then once', async () => {
  const world = new HostWorld();
  const [a, b, c] = world.machines as [Machine, Machine, Machine];
  await world.start(a);
  await world.start(b);
  await world.run(3000);
  expect([a, b].map(({ host }) => host.status().founded)).toEqual([false, false]);
  expect(world.leader()).toBeNull();
  world.network.cut('n2', 'n3');
  await world.start(c);
  await world.run(3000);
  expect([a, b, c].map(({ host }) => host.status().founded)).toEqual([true, false, false]);
  world.network.heal();
  await world.until(() => world.leader() !== null);
  expect([a, b, c].map(({ host }) => host.status().founded)).toEqual([true, true, true]);
  // From now on a majority is enough.
  for (const machine of world.machines) world.powerCut(machine);
  await world.start(b);
  await world.start(c);
  await world.until(() => world.leader() !== null);
  await world.close();
});

test('a wiped founder is refused by those who knew it, and its entries are not lost with it', async () => {
  const world = await HostWorld.elected();
  await world.settled(world.leading().host.execute(1, bytes('x')));
  const wiped = world.followers()[0] as Machine;
  world.crash(wiped);
  for (const path of wiped.disk.paths()) wiped.disk.drop(path);
  await world.start(wiped);
  const refusals: string[] = [];
  wiped.host.onRefused = (_peer, error) => refusals.push(error.code);
  await world.run(5000);
  expect(new Set(refusals)).toEqual(new Set(['DISK_REPLACED']));
  expect(wiped.host.groupStatus(1).leader).toBeNull();
  expect(text((await world.settled(world.leading().host.read(1, bytes('')))).result)).toBe('1');
  await world.close();
});

test('a node that restarts is known by its attributes of now', async () => {
  const world = await HostWorld.elected();
  const machine = world.followers()[0] as Machine;
  world.crash(machine);
  const config = world.config(machine);
  world.config = () => ({ ...config, attributes: { resp: 'elsewhere:6379' } });
  await world.start(machine);
  const attributes = (): unknown =>
    world
      .leading()
      .host.peers()
      .find(({ id }) => id === machine.id)?.attributes;
  await world.until(() => JSON.stringify(attributes()) !== '{}');
  expect(attributes()).toEqual({ resp: 'elsewhere:6379' });
  await world.close();
});

test('an old copy of a disk is refused however often it is started, also by peers that were away meanwhile', async () => {
  const world = await HostWorld.elected();
  const [a, b, c] = world.machines as [Machine, Machine, Machine];
  world.crash(a);
  const copy = a.disk.clone();
  await world.start(a);
  await world.run(2000);
  world.crash(c); // knows only the first two lives
  world.crash(a);
  await world.start(a);
  await world.until(() => world.leader() !== null);
  await world.settled(world.leading().host.execute(1, bytes('x')));
  world.crash(a);
  a.disk = copy;
  await world.start(c);
  await world.start(a);
  await world.until(() => a.host.status().state === 'failed');
  expect(a.host.status().failure).toMatch(/incarnation 2/);
  for (let again = 0; again < 4; again += 1) {
    world.crash(a);
    expect(await world.failure(world.start(a))).toMatchObject({ code: 'STALE_INCARNATION' });
  }
  await world.until(() => world.leader() !== null);
  expect([b, c]).toContain(world.leading());
  expect((await world.settled(world.leading().host.read(1, bytes('')))).result).toEqual(bytes('1'));
  await world.close();
});

test('a closed host leads nothing and knows no leader', async () => {
  const world = await HostWorld.elected({ hosts: 1 });
  const { host } = first(world);
  await world.settled(host.close());
  expect(host.isLeader(1)).toBe(false);
  expect(host.leader(1)).toBeNull();
  await world.close();
});
