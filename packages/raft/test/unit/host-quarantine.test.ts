import { expect, test } from 'vitest';
import type { VizEvent } from '../../src/ports/meter.ts';
import { bytes, ForgetfulLedger, HostWorld, Ledger, type Machine, text } from '../support/host-world.test-support.ts';

const groups = [1, 2];

async function write(world: HostWorld, group: number, ...commands: string[]): Promise<void> {
  for (const command of commands) await world.settled(world.leading(group).host.execute(group, bytes(command)));
}

/** Flips a bit of every stored copy of the text on the disk of a machine that is down. */
function flip(machine: Machine, wanted: string, where: RegExp): number {
  let flipped = 0;
  for (const path of machine.disk.paths().filter((name) => where.test(name))) {
    const raw = machine.disk.bytesOf(path);
    for (let at = Buffer.from(raw).indexOf(wanted); at >= 0; at = Buffer.from(raw).indexOf(wanted, at)) {
      (raw[at] as number) ^= 0x10;
      flipped += 1;
    }
  }
  return flipped;
}

const inWal = /^data\/wal\/[0-9a-f]{16}\.wal$/;

function watched(): { events: VizEvent[]; observer: { onEvent(event: VizEvent): void } } {
  const events: VizEvent[] = [];
  return { events, observer: { onEvent: (event) => void events.push(event) } };
}

const agree = (world: HostWorld, group: number) => (): boolean =>
  new Set(world.machines.map((machine) => machine.ledger(group).commands.join())).size === 1;

const whole = (machine: Machine, group: number) => (): boolean => {
  const status = machine.statusOf(group);
  return status !== null && status.quarantine === null && status.voters.includes(machine.host.id);
};

test('a node with a flipped bit in the log of one group serves the others, and the others refill the one', async () => {
  const { events, observer } = watched();
  const world = await HostWorld.elected({ groups, config: { observer } });
  await write(world, 1, 'a', 'damaged', 'b');
  await write(world, 2, 'x', 'y');
  await world.run(300);
  const [hurt] = world.followers(1) as [Machine];
  world.crash(hurt);
  expect(flip(hurt, 'damaged', inWal)).toBe(1);
  await write(world, 1, 'c');
  await world.start(hurt);
  expect(hurt.statusOf(1)?.quarantine?.stage).toBe('quarantined');
  expect(hurt.statusOf(2)?.quarantine).toBeNull();
  expect((await world.failure(hurt.host.execute(1, bytes('no'), { timeoutMs: 5, forward: false }))).code).toBe(
    'GROUP_QUARANTINED',
  );
  await world.until(() => hurt.ledger(2).commands.length === 2);
  await world.until(whole(hurt, 1));
  await write(world, 1, 'd');
  await world.until(agree(world, 1));
  expect(hurt.ledger(1).commands).toEqual(['a', 'damaged', 'b', 'c', 'd']);
  const told = events.map(({ event }) => event.type).filter((type) => type.startsWith('Group'));
  expect(told).toEqual(['GroupQuarantined', 'GroupRefilling', 'GroupRefilled']);
  // A restart finds a log like any other.
  world.powerCut(hurt);
  await world.start(hurt);
  await world.until(agree(world, 1));
  expect(hurt.statusOf(1)?.quarantine).toBeNull();
  await world.close();
});

test('a replica that lost its log neither votes nor acknowledges until the group counts on it no more', async () => {
  const world = await HostWorld.elected({ groups });
  await write(world, 1, 'a', 'damaged');
  await world.run(300);
  const leader = world.leading(1);
  const [hurt, other] = world.followers(1) as [Machine, Machine];
  world.crash(hurt);
  flip(hurt, 'damaged', inWal);
  // The leader alone, and a replica that remembers nothing: that is no majority.
  world.isolate(other);
  await world.start(hurt);
  await world.run(3000);
  const stuck = await world.failure(leader.host.execute(1, bytes('lost'), { timeoutMs: 500 }));
  expect(['COMMIT_TIMEOUT', 'QUORUM_UNAVAILABLE', 'NOT_LEADER']).toContain(stuck.code);
  expect(hurt.statusOf(1)?.quarantine?.stage).toBe('quarantined');
  expect(hurt.statusOf(1)?.lastIndex).toBe(0);
  world.network.heal();
  await world.until(whole(hurt, 1));
  await write(world, 1, 'b');
  await world.until(agree(world, 1));
  await world.close();
});

test('every crash on the way back from quarantine only delays it', async () => {
  for (let crashMs = 5; crashMs < 600; crashMs += 35) {
    const world = await HostWorld.elected({ groups, seed: crashMs });
    await write(world, 1, 'a', 'damaged', 'b');
    await world.run(300);
    const [hurt] = world.followers(1) as [Machine];
    world.crash(hurt);
    flip(hurt, 'damaged', inWal);
    await world.start(hurt);
    await world.run(crashMs);
    if (crashMs % 2 === 0) world.powerCut(hurt);
    else world.crash(hurt);
    await world.start(hurt);
    await world.until(whole(hurt, 1));
    await write(world, 1, 'c');
    await world.until(agree(world, 1));
    expect(hurt.ledger(1).commands).toEqual(['a', 'damaged', 'b', 'c']);
    await world.close();
  }
});

test('a leader that dies while it makes a voter a learner leaves that to its successor', async () => {
  const world = await HostWorld.elected({ hosts: 5, groups });
  await write(world, 1, 'a', 'damaged', 'b');
  await world.run(300);
  const leader = world.leading(1);
  const [hurt] = world.followers(1) as [Machine];
  world.crash(hurt);
  flip(hurt, 'damaged', inWal);
  await world.start(hurt);
  await world.until(() => (leader.statusOf(1)?.learners.length ?? 0) > 0 || leader.statusOf(1)?.change !== null);
  world.crash(leader);
  await world.until(whole(hurt, 1));
  await world.start(leader);
  await write(world, 1, 'c');
  await world.until(agree(world, 1));
  expect(hurt.ledger(1).commands).toEqual(['a', 'damaged', 'b', 'c']);
  await world.close();
});

test('a damaged snapshot costs its group as a damaged log does', async () => {
  const small = { snapshotTailEntries: 0, snapshotChunkBytes: 16 };
  const world = await HostWorld.elected({ groups, config: small, machine: () => new ForgetfulLedger() });
  await write(world, 1, 'a', 'damaged', 'b');
  await write(world, 2, 'x');
  const [hurt] = world.followers(1) as [Machine];
  await world.until(() => hurt.ledger(1).commands.length === 3);
  for (const machine of world.machines) await world.settled(machine.host.triggerSnapshot(1));
  await write(world, 1, 'c');
  world.crash(hurt);
  expect(flip(hurt, 'damaged', /\.snap$/)).toBeGreaterThan(0);
  await world.start(hurt);
  expect(hurt.statusOf(1)?.quarantine?.reason).toContain('.snap');
  expect(hurt.statusOf(2)?.quarantine).toBeNull();
  await world.until(whole(hurt, 1));
  await world.until(agree(world, 1));
  expect(hurt.ledger(1).commands).toEqual(['a', 'damaged', 'b', 'c']);
  await world.close();
});

test('a node that knows no others, or is told to refuse, does not start on a damaged log', async () => {
  const alone = await HostWorld.elected({ hosts: 1 });
  await write(alone, 1, 'damaged', 'b');
  await alone.run(300);
  const [only] = alone.machines as [Machine];
  alone.crash(only);
  flip(only, 'damaged', inWal);
  expect((await alone.failure(alone.start(only))).code).toBe('WAL_DAMAGED');

  const world = await HostWorld.elected();
  await write(world, 1, 'damaged', 'b');
  await world.run(300);
  const [hurt] = world.followers(1) as [Machine];
  world.crash(hurt);
  flip(hurt, 'damaged', inWal);
  expect((await world.failure(world.start(hurt, { onDamage: 'refuse' }))).code).toBe('WAL_DAMAGED');
  world.crash(hurt);
  await world.start(hurt);
  await world.until(whole(hurt, 1));
  await world.close();
});

test('a node that was removed while in quarantine does not come back by itself', async () => {
  const world = await HostWorld.elected({ groups });
  await write(world, 1, 'a', 'damaged', 'b');
  await world.run(300);
  const leader = world.leading(1);
  const [hurt] = world.followers(1) as [Machine];
  world.crash(hurt);
  flip(hurt, 'damaged', inWal);
  await world.settled(leader.host.removeMember(1, hurt.id));
  await world.start(hurt);
  await world.run(3000);
  expect(hurt.statusOf(1)?.quarantine).toBeNull();
  expect(leader.statusOf(1)?.voters).not.toContain(hurt.id);
  expect(leader.statusOf(1)?.learners).toEqual([]);
  await world.settled(world.leading(1).host.addMember(1, hurt.id, `${hurt.id}:7000`));
  await world.until(agree(world, 1));
  await world.close();
});

/** Refuses one command, once: a state machine with a bug that was mended. */
class Stumbling extends Ledger {
  stumbles = true;

  override apply(entries: Parameters<Ledger['apply']>[0]): ReturnType<Ledger['apply']> {
    if (this.stumbles && entries.some(({ command }) => text(command) === 'stone')) throw new Error('stumbled');
    return super.apply(entries);
  }

  async reset(): Promise<void> {
    this.stumbles = false;
    this.commands.length = 0;
  }
}

test('a group that halted is refilled when somebody asks for it', async () => {
  const machine = (id: string): Ledger => (id === 'n2' ? new Stumbling() : new Ledger());
  const world = await HostWorld.elected({ machine });
  const hurt = world.machines[1] as Machine;
  if (world.leading() === hurt) await world.settled(hurt.host.transferLeadership(1));
  await world.until(() => world.leader() !== null && world.leader() !== hurt);
  await write(world, 1, 'a', 'stone', 'b');
  await world.until(() => hurt.statusOf(1)?.halted !== null);
  await world.settled(hurt.host.refillGroup(1));
  await world.until(whole(hurt, 1));
  await world.until(agree(world, 1));
  expect(hurt.ledger(1).commands).toEqual(['a', 'stone', 'b']);
  await world.close();
});

test('a replica that begins anew after it was removed makes no leader of one that missed its removal', async () => {
  // n1 is cut off while the group moves on from n1, n2, n3; then n2 loses its log and is removed, and meets n1 again.
  const world = await HostWorld.started({ hosts: 5, founders: 3 });
  const [n1, n2, n3, n4, n5] = world.machines as [Machine, Machine, Machine, Machine, Machine];
  await world.until(() => world.leader() !== null);
  await write(world, 1, 'a');
  await world.until(() => n1.ledger().commands.length === 1);
  world.isolate(n1);
  await world.until(() => world.leader() === n2 || world.leader() === n3);
  await world.run(3000);
  for (const { id } of [n4, n5]) await world.settled(world.leading().host.addMember(1, id, `${id}:7000`));
  await write(world, 1, 'damaged', 'b');
  await world.run(300);
  world.crash(n2);
  flip(n2, 'damaged', inWal);
  await world.until(() => [n3, n4, n5].some((machine) => world.leader() === machine));
  await world.run(3000);
  await world.settled(world.leading().host.removeMember(1, n2.id));
  await world.start(n2);
  await world.until(() => n2.statusOf(1)?.quarantine?.stage !== 'quarantined');
  world.network.heal();
  for (const other of [n3, n4, n5]) world.network.cut(n1.id, other.id);
  await world.run(5000);
  expect(n1.statusOf(1)?.role).not.toBe('leader');
  expect(n1.ledger().commands).toEqual(['a']);
  // Added again it votes like any other.
  await world.settled(world.leading().host.addMember(1, n2.id, `${n2.id}:7000`));
  await world.until(whole(n2, 1));
  expect(n2.ledger().commands).toEqual(['a', 'damaged', 'b']);
  await world.close();
});

test("what a group of two could not do without is not given up at anybody's wish", async () => {
  const world = await HostWorld.elected({ hosts: 2 });
  const [n1] = world.machines as [Machine];
  const refused = await world.failure(n1.host.refillGroup(1));
  expect(refused).toMatchObject({ code: 'UNSUPPORTED' });
  await write(world, 1, 'a');
  expect(n1.statusOf(1)?.quarantine).toBeNull();
  await world.close();
});
