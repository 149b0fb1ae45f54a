import { expect, test } from 'vitest';
import type { Meter, VizEvent } from '../../src/ports/meter.ts';
import { bytes, HostWorld, Ledger, type Machine, text } from '../support/host-world.test-support.ts';
import { settle } from '../support/wal-world.test-support.ts';

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

test('a read on any node, and the own state after readIndex, reflect every command acknowledged before', async () => {
  const world = await HostWorld.elected();
  for (let sent = 1; sent <= 5; sent += 1) {
    await world.settled(world.leading().host.execute(1, bytes('x')));
    for (const machine of world.machines) {
      const answer = await world.settled(machine.host.read(1, bytes('')));
      const via = machine === world.leading() ? 'lease' : 'readIndex';
      expect([text(answer.result), answer.via]).toEqual([String(sent), via]);
      const asked = await world.settled(machine.host.read(1, bytes(''), { consistency: 'linearizable' }));
      expect([text(asked.result), asked.via]).toEqual([String(sent), 'readIndex']);
      await world.settled(machine.host.readIndex(1));
      expect(machine.ledger().commands.length).toBe(sent);
    }
  }
  await world.close();
});

test('a node that does not lead and may not forward names the leader', async () => {
  const world = await HostWorld.elected();
  const follower = world.followers()[0] as Machine;
  const hint = { code: 'NOT_LEADER', leaderHint: world.leading().id, retryable: true };
  expect(await world.failure(follower.host.execute(1, bytes('x'), { forward: false }))).toMatchObject(hint);
  expect(await world.failure(follower.host.read(1, bytes(''), { forward: false }))).toMatchObject(hint);
  const stale = await world.settled(follower.host.read(1, bytes(''), { consistency: 'stale', forward: false }));
  expect([text(stale.result), stale.via]).toEqual(['0', 'stale']);
  await world.close();
});

test('when the leader dies a command that was passed to it is of unknown outcome and applied once at most', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  const [follower] = world.followers() as [Machine];
  const calls = Array.from({ length: 8 }, (_, at) => world.failure(follower.host.execute(1, bytes(`c${at}`))));
  await world.run(2);
  world.powerCut(leader);
  const outcomes = await Promise.all(calls);
  expect(outcomes.every(({ outcome, code }) => outcome === 'unknown' || code === 'SUCCEEDED')).toBe(true);
  await world.until(() => world.leader() !== null);
  await world.settled(world.leading().host.execute(1, bytes('after')));
  const { commands } = world.leading().ledger();
  expect(new Set(commands).size).toBe(commands.length);
  await world.close();
});

test('a leader in the minority acknowledges nothing and proves no read; its tail is dropped when it is back', async () => {
  const world = await HostWorld.elected();
  const cutOff = world.leading();
  world.isolate(cutOff);
  const dropped: unknown[] = [];
  cutOff.host.submit(1, bytes('lost'), { timeoutMs: 60_000 }, (error) => dropped.push([error?.code, error?.outcome]));
  // Its lease still stands, so nobody else has acknowledged anything; who asks for more than a lease gets nothing.
  const early = world.failure(cutOff.host.read(1, bytes(''), { consistency: 'linearizable' }));
  expect(await world.settled(cutOff.host.read(1, bytes('')))).toMatchObject({ via: 'lease' });
  expect((await early).code).toMatch(/QUORUM_UNAVAILABLE|READ_TIMEOUT/);
  await world.run(2500);
  expect(await world.failure(cutOff.host.execute(1, bytes('x')))).toMatchObject({
    code: 'QUORUM_UNAVAILABLE',
    outcome: 'notApplied',
  });
  expect(await world.failure(cutOff.host.read(1, bytes('')))).toMatchObject({ code: 'QUORUM_UNAVAILABLE' });
  const stale = await world.settled(cutOff.host.read(1, bytes(''), { consistency: 'stale' }));
  expect(stale.via).toBe('stale');
  expect(dropped).toEqual([]);
  const majority = world.followers().filter((machine) => machine !== cutOff)[0] ?? world.leading();
  await world.settled(majority.host.execute(1, bytes('kept')));
  world.network.heal();
  await world.until(() => dropped.length > 0);
  expect(dropped).toEqual([['PROPOSAL_DROPPED', 'notApplied']]);
  await world.until(() => cutOff.ledger().commands.join() === 'kept');
  await world.close();
});

test('after a power cut of all nodes everything acknowledged is there', async () => {
  const world = await HostWorld.elected({ groups: [1, 2, 3] });
  for (let at = 0; at < 30; at += 1)
    await world.settled(world.leading(1 + (at % 3)).host.execute(1 + (at % 3), bytes(`c${at}`)));
  for (const machine of world.machines) world.powerCut(machine);
  for (const machine of world.machines) await world.start(machine);
  for (const group of [1, 2, 3]) {
    await world.until(() => world.leader(group) !== null);
    const { result } = await world.settled(world.leading(group).host.read(group, bytes('')));
    expect(text(result)).toBe('10');
  }
  await world.close();
});

test('a group whose state machine throws stops on every node, and its neighbours notice nothing', async () => {
  class Poisoned extends Ledger {
    override apply(): never {
      throw new Error('poison');
    }
  }
  const machine = (_id: string, group: number): Ledger => (group === 1 ? new Poisoned() : new Ledger());
  const events: VizEvent[] = [];
  const observer = { onEvent: (event: VizEvent): void => void events.push(event) };
  const world = await HostWorld.elected({ groups: [1, 2], machine, config: { observer } });
  expect(await world.failure(world.leading(1).host.execute(1, bytes('x')))).toMatchObject({
    code: 'APPLY_FAILED',
    outcome: 'unknown',
  });
  for (let at = 1; at <= 5; at += 1) {
    expect(text((await world.settled(world.leading(2).host.execute(2, bytes('y')))).result)).toBe(String(at));
  }
  await world.run(3000);
  expect(world.machines.map(({ host }) => host.status().state)).toEqual(['running', 'running', 'running']);
  expect(events.filter(({ event }) => event.type === 'GroupHalted').length).toBeGreaterThan(0);
  await world.close();
});

test('500 groups on three hosts elect their leaders, serve, and keep them', async () => {
  const groups = Array.from({ length: 500 }, (_, at) => at + 1);
  const world = await HostWorld.started({ groups, config: { segmentBytes: 1 << 20 } });
  for (const group of groups) await world.until(() => world.leader(group) !== null);
  const answers = groups.map((group) => (world.machines[group % 3] as Machine).host.execute(group, bytes('x')));
  for (const { result } of await world.settled(Promise.all(answers))) expect(text(result)).toBe('1');
  const terms = (): number[] => groups.map((group) => world.leading(group).host.groupStatus(group).term);
  const before = terms();
  await world.run(2000);
  expect(terms()).toEqual(before);
  await world.close();
}, 30_000);

test('the metrics and events of the specification are there', async () => {
  const measured = new Map<string, number[]>();
  const note = (name: string, _group: number, value: number): void => {
    measured.set(name, [...(measured.get(name) ?? []), value]);
  };
  const meter: Meter = { count: note, gauge: note, observe: note };
  const events: VizEvent[] = [];
  const observer = { onEvent: (event: VizEvent): void => void events.push(event) };
  const world = await HostWorld.elected({ config: { meter, observer } });
  await world.settled(world.leading().host.execute(1, bytes('x')));
  await world.settled(world.leading().host.read(1, bytes(''), { consistency: 'linearizable' }));
  const leader = world.leading();
  world.isolate(leader);
  await world.run(2500); // it stays in office as long as its lease
  for (const name of ['raft_commit_ms', 'raft_apply_ms', 'raft_elections_total', 'raft_role', 'read_index_ms']) {
    expect([name, measured.get(name)?.length ?? 0]).not.toEqual([name, 0]);
    expect(measured.get(name)?.every((value) => value >= 0)).toBe(true);
  }
  expect(measured.get('raft_role')).toEqual(expect.arrayContaining([0, 1, 2]));
  // What each election had to wait for, be it nothing, and why the lease of the leader that was cut off ended.
  const [barriersMs = [], limbo = []] = [measured.get('raft_barrier_ms'), measured.get('raft_limbo_entries')];
  expect([barriersMs.length, limbo]).toEqual([2, [0, 0]]);
  expect(barriersMs[0]).toBe(0);
  expect(barriersMs[1]).toBeGreaterThan(1000);
  expect(measured.get('raft_lease_lost_expired_total')).toEqual([1]);
  const types = new Set(events.filter(({ scope }) => scope === 'Raft').map(({ event }) => event.type));
  expect(types).toEqual(new Set(['VoteReq', 'VoteGranted', 'LeaderElected', 'StepDown']));
  const elected = events.find(({ event }) => event.type === 'LeaderElected');
  expect(elected).toMatchObject({ scope: 'Raft', event: { group: 1, node: leader.id } });
  await world.close();
});

test('a read by lease costs no message and no disk access, and one by a round costs messages', async () => {
  const world = await HostWorld.elected();
  const { host } = world.leading();
  await world.settled(host.execute(1, bytes('x')));
  await world.run(300);
  const costs = (): Readonly<Record<string, number>>[] =>
    world.machines.map((machine) => {
      const { transport, wal } = machine.host.status();
      const { framesSent = 0, bytesSent = 0 } = transport;
      const { flushes = 0, syncs = 0, bytesWritten = 0 } = wal;
      return { framesSent, bytesSent, flushes, syncs, bytesWritten };
    });
  const before = costs();
  for (let at = 0; at < 1000; at += 1) {
    const { result, via } = await host.read(1, bytes(''));
    expect([text(result), via]).toEqual(['1', 'lease']);
  }
  await settle();
  expect(costs()).toEqual(before);
  await world.settled(host.read(1, bytes(''), { consistency: 'linearizable' }));
  expect(costs().map(({ framesSent = 0 }, at) => framesSent > (before[at]?.['framesSent'] ?? 0))).toEqual([
    true,
    true,
    true,
  ]);
  await world.close();
});

test('a group at rest is as quiet without leases as with them', async () => {
  const sent: number[] = [];
  for (const leaseMs of [0, 2000]) {
    const world = await HostWorld.elected({ config: { leaseMs } });
    const { host } = world.leading();
    await world.run(1000);
    const before = host.status().transport['framesSent'] ?? 0;
    // The loop comes late a little, as it does.
    for (let left = 3000; left > 0; left -= 7) {
      world.clock.advance(6);
      await world.run(1);
    }
    sent.push((host.status().transport['framesSent'] ?? 0) - before);
    await world.close();
  }
  const [without = 0, withLeases = 0] = sent;
  expect(withLeases).toBeGreaterThan(30);
  expect(Math.abs(without - withLeases)).toBeLessThan(5);
});
