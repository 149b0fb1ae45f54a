import { expect, test } from 'vitest';
import { NoriError } from '../../src/base/errors.ts';
import type { AppliedEntry } from '../../src/ports/state-machine.ts';
import { bytes, ForgetfulLedger, HostWorld, type Machine, text } from '../support/host-world.test-support.ts';

/** What it keeps can be damaged; it notices where it looks at it. */
class Checked extends ForgetfulLedger {
  damaged = false;
  private found = false;

  override apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    this.look();
    return super.apply(entries);
  }

  override query(): Uint8Array {
    this.look();
    return super.query();
  }

  /** What was found once is found by every later call. */
  nextDeadlineMs(): number | null {
    if (this.found) this.look();
    return null;
  }

  override async *snapshot(): AsyncIterable<Uint8Array> {
    this.look();
    yield* super.snapshot();
  }

  override async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    await super.restore(image);
    this.damaged = false;
  }

  override reset(): Promise<void> {
    this.damaged = false;
    return super.reset();
  }

  private look(): void {
    this.found = this.damaged;
    if (this.damaged) throw new NoriError('STATE_DAMAGED', { message: 'a ledger has a checksum that does not fit' });
  }
}

const checked = { groups: [1, 2], machine: () => new Checked() };

function damage(machine: Machine): void {
  (machine.ledger(1) as Checked).damaged = true;
}

const whole = (machine: Machine) => (): boolean => {
  const status = machine.statusOf(1);
  return status !== null && status.quarantine === null && status.voters.includes(machine.host.id);
};

async function world3(): Promise<HostWorld> {
  const world = await HostWorld.elected(checked);
  for (const command of ['a', 'b', 'c']) await world.settled(world.leading().host.execute(1, bytes(command)));
  await world.run(300);
  return world;
}

async function makesWhole(world: HostWorld, hurt: Machine): Promise<void> {
  await world.until(() => hurt.statusOf(1)?.quarantine !== null, 2_000);
  expect(hurt.statusOf(2)?.quarantine).toBeNull();
  await world.until(whole(hurt));
  await world.settled(world.leading().host.execute(1, bytes('d')));
  await world.until(() => hurt.ledger(1).commands.join() === 'a,b,c,d');
}

test('a follower whose state turns out to be damaged as a command is applied gets it anew from the others', async () => {
  const world = await world3();
  const [hurt] = world.followers() as [Machine];
  damage(hurt);
  const answer = await world.settled(world.leading().host.execute(1, bytes('d')));
  expect(text(answer.result)).toBe('4');
  await world.until(() => hurt.statusOf(1)?.quarantine !== null, 2_000);
  await world.until(whole(hurt));
  await world.until(() => hurt.ledger(1).commands.join() === 'a,b,c,d');
  await world.close();
});

test('a leader that finds its state damaged on a query answers nothing from it, and another leads', async () => {
  const world = await world3();
  const hurt = world.leading();
  damage(hurt);
  const failure = await world.failure(hurt.host.read(1, bytes(''), { forward: false, timeoutMs: 50 }));
  expect(failure).toMatchObject({ code: 'GROUP_QUARANTINED', retryable: true });
  await makesWhole(world, hurt);
  await world.close();
});

test('a leader that finds its state damaged in the middle of a turn goes on with its other groups', async () => {
  const world = await world3();
  const hurt = world.leading();
  const reading = world.failure(hurt.host.read(1, bytes(''), { consistency: 'linearizable', forward: false }));
  damage(hurt);
  expect((await reading).code).toBe('GROUP_QUARANTINED');
  await makesWhole(world, hurt);
  await world.close();
});

test('a snapshot of a damaged state is never written down', async () => {
  const world = await world3();
  const [hurt] = world.followers() as [Machine];
  damage(hurt);
  expect((await world.failure(hurt.host.triggerSnapshot(1))).code).toBe('GROUP_QUARANTINED');
  expect(hurt.disk.paths().filter((path) => path.endsWith('.snap'))).toEqual([]);
  await makesWhole(world, hurt);
  await world.close();
});

test('a command that was on its way when the state turned out to be damaged is of unknown outcome, and is there once', async () => {
  const world = await world3();
  const hurt = world.leading();
  damage(hurt);
  const failure = await world.failure(hurt.host.execute(1, bytes('d'), { forward: false }));
  expect(failure).toMatchObject({ code: 'GROUP_QUARANTINED', outcome: 'unknown' });
  await world.until(whole(hurt));
  await world.until(() => world.machines.every((machine) => machine.ledger(1).commands.join() === 'a,b,c,d'));
  await world.close();
});

test('who passed a command on to a leader that finds its state damaged hears that it may be applied, and it is', async () => {
  const world = await world3();
  const [asked] = world.followers() as [Machine];
  const hurt = world.leading();
  damage(hurt);
  const failure = await world.failure(asked.host.execute(1, bytes('d')));
  expect(failure).toMatchObject({ code: 'GROUP_QUARANTINED', outcome: 'unknown', retryable: false });
  await world.until(() => asked.ledger(1).commands.join() === 'a,b,c,d');
  await world.close();
});

test('two of three states found damaged at once cost no more than a restart: the logs beside them are whole', async () => {
  const world = await world3();
  const hurt = world.followers() as [Machine, Machine];
  for (const machine of hurt) damage(machine);
  await world.settled(world.leading().host.execute(1, bytes('d')));
  await world.run(3_000);
  for (const machine of hurt) expect(machine.statusOf(1)?.quarantine?.stage).toBe('quarantined');
  for (const machine of hurt) {
    world.crash(machine);
    await world.start(machine);
  }
  await world.until(() => world.machines.every((machine) => machine.ledger(1).commands.join() === 'a,b,c,d'));
  for (const machine of hurt) expect(whole(machine)()).toBe(true);
  await world.close();
});

test('where nobody else has the state, the group halts and its host goes on', async () => {
  const world = await HostWorld.elected({ ...checked, hosts: 1 });
  await world.settled(world.leading().host.execute(1, bytes('a')));
  const [alone] = world.machines as [Machine];
  damage(alone);
  expect((await world.failure(alone.host.read(1, bytes('')))).code).toBe('GROUP_QUARANTINED');
  await world.run(1);
  expect(await world.failure(alone.host.execute(1, bytes('b')))).toMatchObject({
    code: 'STATE_DAMAGED',
    outcome: 'notApplied',
  });
  expect(alone.statusOf(1)?.quarantine).toBeNull();
  await world.settled(alone.host.execute(2, bytes('x')));
  await world.close();
});

test('a state machine that cannot forget what it has is not filled on top of it: a new process fills a new one', async () => {
  const world = await HostWorld.elected();
  for (const command of ['a', 'b', 'c']) await world.settled(world.leading().host.execute(1, bytes(command)));
  await world.run(300);
  const [hurt] = world.followers() as [Machine];
  await world.settled(hurt.host.refillGroup(1));
  await world.run(5_000);
  expect(hurt.statusOf(1)?.quarantine?.stage).toBe('quarantined');
  world.crash(hurt);
  await world.start(hurt);
  await world.until(whole(hurt));
  await world.until(() => hurt.ledger(1).commands.join() === 'a,b,c');
  await world.close();
});
