import { expect, test } from 'vitest';
import { bytes, HostWorld, type Machine, text } from '../support/host-world.test-support.ts';

test('an fdatasync that takes 3 s stops neither heartbeats nor reads nor writes; a leader hands over, a follower does not matter', async () => {
  for (const where of ['leader', 'follower'] as const) {
    const world = await HostWorld.elected({ groups: [1, 2] });
    const slow = where === 'leader' ? world.leading() : (world.followers()[0] as Machine);
    const { term } = slow.host.groupStatus(1);
    slow.syncMs = 3000;
    for (const group of [1, 2]) await world.settled(world.leading(1).host.execute(group, bytes('x')), 1000);
    expect(text((await world.settled(world.leading().host.read(1, bytes('')), 100)).result)).toBe('1');
    await world.run(2500);
    expect(world.leading() === slow).toBe(false);
    expect(world.leading().host.groupStatus(1).term).toBe(where === 'leader' ? term + 1 : term);
    for (const group of [1, 2]) await world.settled(world.leading(1).host.execute(group, bytes('y')), 1000);
    slow.syncMs = 0;
    await world.run(3500);
    expect(slow.host.groupStatus(1).persistedIndex).toBe(world.leading().host.groupStatus(1).lastIndex);
    await world.close();
  }
});

test('nothing is acknowledged that only the disk of the leader has, or only its memory', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  for (const follower of world.followers()) follower.syncMs = 60_000;
  const answers: unknown[] = [];
  leader.host.submit(1, bytes('x'), { timeoutMs: 2000 }, (error) => answers.push(error?.code));
  await world.run(1500);
  expect(answers).toEqual([]);
  await world.run(600);
  expect(answers).toEqual(['COMMIT_TIMEOUT']);
});

test('a disk that fails stops its host loudly; everyone who waits is told, the others elect a leader', async () => {
  const world = await HostWorld.elected({ config: { commitTimeoutMs: 1000 } });
  const leader = world.leading();
  const failures: string[] = [];
  leader.host.onFailed = (error) => failures.push(error.code);
  leader.disk.judge = (operation) => (operation === 'sync' ? { error: 'EIO' } : 'pass');
  world.isolate(leader);
  const command = world.failure(leader.host.execute(1, bytes('x')));
  const read = world.failure(leader.host.read(1, bytes(''), { consistency: 'linearizable' }));
  expect(await command).toMatchObject({ code: 'DISK_FAILED', outcome: 'unknown' });
  expect(await read).toMatchObject({ code: 'DISK_FAILED', outcome: 'none' });
  expect(failures).toEqual(['DISK_FAILED']);
  expect(leader.host.status().state).toBe('failed');
  expect(await world.failure(leader.host.execute(1, bytes('y')))).toMatchObject({
    code: 'DISK_FAILED',
    outcome: 'notApplied',
  });
  const startMs = world.clock.nowMs();
  await world.settled(leader.host.close());
  expect(world.clock.nowMs() - startMs).toBeLessThan(100);
  leader.current = null;
  await world.until(() => world.leader() !== null);
  await world.settled(world.leading().host.execute(1, bytes('z')));
  expect(world.leading().ledger().commands.at(-1)).toBe('z');
  await world.close();
});

function fill(machine: Machine): void {
  machine.disk.capacityBytes = machine.disk.paths().reduce((sum, path) => sum + machine.disk.bytesOf(path).length, 0);
}

test('a leader on a full volume refuses writes as not applied, keeps its office and its promises, and recovers', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  fill(leader);
  const done: string[] = [];
  const refused: string[] = [];
  for (let at = 0; at < 60; at += 1) {
    const name = `${at}-${'v'.repeat(4000)}`;
    const error = await world.failure(leader.host.execute(1, bytes(name)));
    if (error.code === 'SUCCEEDED') done.push(name);
    else refused.push(`${error.code} ${error.outcome}`);
  }
  expect(new Set(refused)).toEqual(new Set(['DISK_FULL notApplied']));
  expect(done.length).toBeGreaterThan(5);
  expect(leader.host.status()).toMatchObject({ state: 'running', diskFull: true });
  expect(world.leading()).toBe(leader);
  expect(text((await world.settled(leader.host.read(1, bytes('')))).result)).toBe(String(done.length));
  leader.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.until(() => !leader.host.status().diskFull);
  await world.settled(leader.host.execute(1, bytes('after')));
  expect(leader.ledger().commands).toEqual([...done, 'after']);
  await world.close();
});

test('a burst in one turn cannot take the room that is kept for votes', async () => {
  const world = await HostWorld.elected({ groups: [1, 2, 3] });
  const leader = world.leading(1);
  fill(leader);
  const codes: string[] = [];
  const burst = (): void => {
    for (let at = 0; at < 40; at += 1) {
      leader.host.submit(1, bytes('v'.repeat(4000)), { forward: false }, (error) => codes.push(error?.code ?? 'ok'));
    }
  };
  for (let at = 0; at < 6; at += 1) {
    burst();
    await world.run(20);
  }
  expect(new Set(codes).has('DISK_FULL')).toBe(true);
  // The log still takes what an election has to write.
  expect(leader.host.status().wal['stagedBytes']).toBe(0);
  await world.close();
});

test('a follower on a full volume drops entries, and catches up when there is room again', async () => {
  const world = await HostWorld.elected();
  const follower = world.followers()[0] as Machine;
  fill(follower);
  for (let at = 0; at < 60; at += 1)
    await world.settled(world.leading().host.execute(1, bytes(`${'v'.repeat(4000)}${at}`)));
  expect(follower.host.status().diskFull).toBe(true);
  expect(follower.ledger().commands.length).toBeLessThan(60);
  follower.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.until(() => follower.ledger().commands.length === 60);
  await world.close();
});

test('a full volume is no reason to stop because a peer came back: it is let in when there is room', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  const follower = world.followers()[0] as Machine;
  world.crash(follower);
  await world.run(10);
  leader.disk.judge = (operation, path) =>
    operation === 'write' && path.includes('identity') ? { error: 'ENOSPC' } : 'pass';
  await world.start(follower);
  await world.run(3000);
  expect(leader.host.status().state).toBe('running');
  leader.disk.judge = () => 'pass';
  await world.until(() => leader.host.peers().every(({ connected }) => connected));
  await world.close();
});

test('what expires waits while the volume is full, and the host sleeps meanwhile', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  fill(leader);
  for (let at = 0; at < 60; at += 1) await world.failure(leader.host.execute(1, bytes('v'.repeat(4000))));
  expect(leader.host.status().diskFull).toBe(true);
  Object.assign(leader.ledger(), { nextDeadlineMs: () => 0, advanceTime: () => undefined });
  const { lastIndex } = leader.host.groupStatus(1);
  const wakes = leader.clock.wakes;
  await world.run(2000);
  expect(leader.host.groupStatus(1).lastIndex).toBe(lastIndex);
  expect(leader.clock.wakes - wakes).toBeLessThan(2000 / 5);
  await world.close();
});

test('a state machine without room for what it keeps itself is refused new commands, and only new ones', async () => {
  const world = await HostWorld.elected({ groups: [1, 2] });
  const leader = world.leading(1);
  const room = { left: true };
  Object.assign(leader.ledger(), { hasRoom: () => room.left });
  const inTheLog = leader.host.execute(1, bytes('a'));
  await world.run(0);
  room.left = false;
  expect(await world.failure(leader.host.execute(1, bytes('b')))).toMatchObject({
    code: 'DISK_FULL',
    outcome: 'notApplied',
  });
  await world.settled(inTheLog);
  await world.until(() => leader.host.status().diskFull);
  expect(text((await world.settled(leader.host.read(1, bytes('')))).result)).toBe('1');
  // Another group has another state machine.
  await world.settled(world.leading(2).host.execute(2, bytes('x')));
  room.left = true;
  await world.until(() => !leader.host.status().diskFull);
  await world.settled(leader.host.execute(1, bytes('c')));
  expect(leader.ledger().commands).toEqual(['a', 'c']);
  await world.close();
});
