import { expect, test } from 'vitest';
import type { NoriError } from '../../src/base/errors.ts';
import type { Host } from '../../src/host/host.ts';
import type { AppliedEntry, StateMachine } from '../../src/ports/state-machine.ts';
import { bytes, HostWorld, Ledger, text } from '../support/host-world.test-support.ts';

const one = { hosts: 1 } as const;

test('a call on a cluster that is not founded yet ends with an error that says it was not applied', async () => {
  const world = new HostWorld();
  const [first] = world.machines as [HostWorld['machines'][0]];
  await world.start(first);
  const execute = world.failure(first.host.execute(1, bytes('x'), { timeoutMs: 500 }));
  const read = world.failure(first.host.read(1, bytes(''), { timeoutMs: 500 }));
  expect(await execute).toMatchObject({ outcome: 'notApplied' });
  expect((await read).code).toMatch(/READ_TIMEOUT|NOT_LEADER/);
  const answers: (string | undefined)[] = [];
  first.host.submit(1, bytes('x'), { timeoutMs: 300 }, (error) => answers.push(error?.outcome));
  await world.run(1000);
  expect(answers).toEqual(['notApplied']);
  await world.close();
});

test('the caller may reuse its buffer once execute has returned', async () => {
  const world = await HostWorld.elected(one);
  const command = Buffer.from('hello');
  const executed = world.leading().host.execute(1, command);
  command.fill(0);
  await world.settled(executed);
  expect(world.leading().ledger().commands).toEqual(['hello']);
  await world.close();
});

test('a command that is not bytes is refused and harms nobody', async () => {
  const world = await HostWorld.elected(one);
  const { host } = world.leading();
  for (const wrong of ['text', null, undefined, 7, [1]] as unknown as Uint8Array[]) {
    expect(await world.failure(host.execute(1, wrong))).toMatchObject({
      code: 'CONFIG_INVALID',
      outcome: 'notApplied',
    });
    expect(await world.failure(host.read(1, wrong))).toMatchObject({ code: 'CONFIG_INVALID' });
    const answers: unknown[] = [];
    host.submit(1, wrong, {}, (error) => answers.push(error?.code));
    expect(answers).toEqual(['CONFIG_INVALID']);
  }
  await world.settled(host.execute(1, bytes('right')));
  await world.close();
});

test('a kind of read that there is not is refused, on any node', async () => {
  const world = await HostWorld.elected(one);
  for (const { host } of world.machines) {
    for (const consistency of ['Stale', 'strong', null, 1] as unknown as ('lease' | 'stale')[]) {
      const refused = await world.failure(host.read(1, bytes(''), { consistency }));
      expect(refused).toMatchObject({ code: 'CONFIG_INVALID', outcome: 'notApplied' });
    }
  }
  await world.close();
});

test('a timeout that is no duration is refused', async () => {
  const world = await HostWorld.elected(one);
  const { host } = world.leading();
  for (const timeoutMs of [Number.NaN, -1, 0, '5' as unknown as number]) {
    expect(await world.failure(host.execute(1, bytes('x'), { timeoutMs }))).toMatchObject({
      code: 'CONFIG_INVALID',
      outcome: 'notApplied',
    });
  }
  expect(world.leading().ledger().commands).toEqual([]);
  await world.close();
});

test('a callback that closes the host or destroys the group is still called only once, and so are all others', async () => {
  const acts = [
    async (host: Host): Promise<void> => host.close({ handover: false }),
    async (host: Host): Promise<unknown> => host.destroyGroup(1).catch(() => undefined),
  ];
  for (const act of acts) {
    const world = await HostWorld.elected();
    const leader = world.leading();
    world.isolate(leader);
    const answers = new Map<string, string[]>();
    for (const name of ['a', 'b', 'c']) {
      answers.set(name, []);
      leader.host.submit(1, bytes(name), { timeoutMs: 200 }, (error) => {
        answers.get(name)?.push((error as NoriError).code);
        void act(leader.host);
      });
      leader.host.query(1, bytes(''), { timeoutMs: 200, consistency: 'linearizable' }, (error) =>
        answers.get(name)?.push((error as NoriError).code),
      );
    }
    await world.run(1500);
    for (const codes of answers.values()) expect(codes.length).toBe(2);
    await world.close();
  }
});

test('when the link to the leader breaks a forwarded command is of unknown outcome, a forwarded read is not', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  const [follower] = world.followers() as [typeof leader];
  const failures = [
    world.failure(follower.host.execute(1, bytes('x'))),
    world.failure(follower.host.read(1, bytes(''))),
    world.failure(follower.host.readIndex(1)),
  ];
  await world.run(0);
  world.crash(leader);
  const [command, read, index] = await Promise.all(failures);
  expect(command).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown', retryable: false });
  expect(read).toMatchObject({ code: 'READ_TIMEOUT', outcome: 'none', retryable: true });
  expect(index).toMatchObject({ code: 'READ_TIMEOUT', outcome: 'none', retryable: true });
  await world.close();
});

test('a read that a close interrupts leaves nothing in doubt', async () => {
  const world = await HostWorld.elected();
  const [follower] = world.followers() as [HostWorld['machines'][0]];
  const local = world.failure(world.leading().host.read(1, bytes(''), { consistency: 'linearizable' }));
  const forwarded = world.failure(follower.host.read(1, bytes('')));
  const command = world.failure(follower.host.execute(1, bytes('x')));
  await world.close();
  expect(await local).toMatchObject({ code: 'CLOSED', outcome: 'none' });
  expect(await forwarded).toMatchObject({ code: 'CLOSED', outcome: 'none' });
  expect(await command).toMatchObject({ code: 'CLOSED', outcome: 'unknown' });
});

test('a read index that comes back for a group destroyed meanwhile is answered', async () => {
  const world = await HostWorld.elected();
  const [follower] = world.followers() as [HostWorld['machines'][0]];
  const failure = world.failure(follower.host.readIndex(1));
  await world.run(1);
  await world.settled(follower.host.destroyGroup(1));
  expect(await failure).toMatchObject({ code: 'GROUP_DESTROYED', outcome: 'none' });
  await world.close();
});

test('an abort before anything was sent says so', async () => {
  const world = await HostWorld.elected();
  const [follower] = world.followers() as [HostWorld['machines'][0]];
  world.crash(world.leading());
  await world.run(5);
  const controller = new AbortController();
  const failure = world.failure(follower.host.execute(1, bytes('x'), { signal: controller.signal }));
  controller.abort();
  expect(await failure).toMatchObject({ code: 'ABORTED', outcome: 'notApplied' });
  await world.close();
});

test('a follower that mistakes who leads passes the call on again once it knows better', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  const [follower, other] = world.followers() as [typeof leader, typeof leader];
  await world.settled(leader.host.transferLeadership(1, other.id));
  const { result } = await world.settled(follower.host.execute(1, bytes('x')));
  expect(text(result)).toBe('1');
  await world.close();
});

test('every transfer of leadership that was asked for is answered', async () => {
  const world = await HostWorld.elected();
  const { host } = world.leading();
  const both = await world.settled(Promise.allSettled([host.transferLeadership(1), host.transferLeadership(1)]));
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  await world.until(() => world.leader() !== null);
  expect(await world.failure(world.leading().host.transferLeadership(1, 'n9'))).toMatchObject({
    code: 'CONFIG_INVALID',
  });
  await world.close();
});

class Slow extends Ledger {
  release: (results: readonly Uint8Array[]) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;

  override apply(entries: readonly AppliedEntry[]): Promise<readonly Uint8Array[]> {
    return new Promise((resolve, reject) => {
      this.release = (results) => {
        for (const { command } of entries) this.commands.push(text(command));
        resolve(results);
      };
      this.reject = reject;
    });
  }
}

test('while a batch is inside the state machine no query runs; both are answered when it completes', async () => {
  const world = await HostWorld.elected({ ...one, machine: () => new Slow() });
  const { host } = world.leading();
  const machine = world.leading().ledger() as Slow;
  const executed = host.execute(1, bytes('x'));
  await world.run(5);
  const reads = (['linearizable', 'stale'] as const).map((consistency) => host.read(1, bytes(''), { consistency }));
  await world.run(100);
  machine.release([bytes('done')]);
  expect(text((await world.settled(executed)).result)).toBe('done');
  for (const read of reads) expect(text((await world.settled(read)).result)).toBe('1');
  await world.close();
});

test('an apply that never completes ends calls by their timeouts and holds up nothing else', async () => {
  const world = await HostWorld.elected({
    ...one,
    groups: [1, 2],
    machine: (_id, group) => (group === 1 ? new Slow() : new Ledger()),
  });
  const { host } = world.leading();
  const executed = world.failure(host.execute(1, bytes('x'), { timeoutMs: 300 }));
  await world.run(5);
  const read = world.failure(host.read(1, bytes(''), { timeoutMs: 300 }));
  expect(await executed).toMatchObject({ code: 'COMMIT_TIMEOUT', outcome: 'unknown' });
  expect(await read).toMatchObject({ code: 'READ_TIMEOUT' });
  await world.settled(host.execute(2, bytes('y')));
  await world.close();
});

const broken: readonly (readonly [string, (machine: Slow) => void])[] = [
  ['rejects', (machine) => machine.reject(new Error('boom'))],
  ['answers too few results', (machine) => machine.release([])],
];
for (const [how, act] of broken) {
  test(`an apply that ${how} halts its group alone, and tells everyone who waits`, async () => {
    const world = await HostWorld.elected({
      ...one,
      groups: [1, 2],
      machine: (_id, group) => (group === 1 ? new Slow() : new Ledger()),
    });
    const { host } = world.leading();
    const executed = world.failure(host.execute(1, bytes('x')));
    await world.run(5);
    const read = world.failure(host.read(1, bytes('')));
    await world.run(5);
    act(world.leading().ledger() as Slow);
    expect(await executed).toMatchObject({ code: 'APPLY_FAILED', outcome: 'unknown' });
    expect(await read).toMatchObject({ code: 'APPLY_FAILED', outcome: 'none' });
    expect(await world.failure(host.execute(1, bytes('z')))).toMatchObject({ outcome: 'notApplied' });
    expect(host.isLeader(1)).toBe(false);
    expect(host.leader(1)).toBeNull();
    expect(host.groupStatus(1)).toMatchObject({ role: 'follower', leader: null });
    expect(host.groupStatus(1).halted).toMatch(/stopped/);
    expect(() => host.subscribeApplied(1)).toThrow(/stopped/);
    await world.settled(host.execute(2, bytes('y')));
    await world.close();
  });
}

test('a state machine may propose and read from inside apply and from a callback', async () => {
  const seen: string[] = [];
  let world: HostWorld;
  class Chatty extends Ledger {
    override apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
      const { host } = world.machines[0]!;
      host.query(1, bytes(''), { consistency: 'stale' }, (error, _proof, result) =>
        seen.push(`stale ${error?.code ?? text(result)}`),
      );
      if (this.commands.length === 0) {
        host.submit(1, bytes('inner'), {}, (_error, _index, result) => {
          seen.push(`inner ${text(result)}`);
          host.query(1, bytes(''), {}, (_failed, _proof, answer) => seen.push(`read ${text(answer)}`));
        });
      }
      return super.apply(entries);
    }
  }
  world = await HostWorld.started({ ...one, machine: () => new Chatty() });
  await world.until(() => world.leader() !== null);
  await world.settled(world.leading().host.execute(1, bytes('outer')));
  await world.run(20);
  // The stale reads were asked in the middle of a batch, and answered after it.
  expect(seen).toEqual(['stale 1', 'inner 2', 'read 2', 'stale 2']);
  await world.close();
});

test('what expires is written down once by the leader alone, and a state machine that never moves on makes no storm', async () => {
  class Expiring extends Ledger {
    at: number | null = null;
    advanced = 0;
    stuck = false;
    advanceTime(timeMs: number): void {
      this.advanced += 1;
      if (!this.stuck && this.at !== null && timeMs >= this.at) this.at = null;
    }
    nextDeadlineMs(): number | null {
      return this.at;
    }
  }
  const machines = new Map<string, Expiring>();
  const machine = (id: string): StateMachine => {
    const made = new Expiring();
    machines.set(id, made);
    return made;
  };
  const world = await HostWorld.elected({ machine });
  for (const each of machines.values()) each.at = world.clock.wallMs() + 300;
  const before = world.leading().host.groupStatus(1).lastIndex;
  await world.run(250);
  expect(world.leading().host.groupStatus(1).lastIndex).toBe(before);
  await world.run(750);
  expect(world.leading().host.groupStatus(1).lastIndex).toBe(before + 1);
  for (const each of machines.values()) expect([each.advanced, each.at]).toEqual([1, null]);
  for (const each of machines.values()) {
    each.stuck = true;
    each.at = world.clock.wallMs();
  }
  await world.run(1000);
  expect(world.leading().host.groupStatus(1).lastIndex).toBeLessThan(before + 30);
  for (const each of machines.values()) each.at = Number.NaN;
  const { term } = world.leading().host.groupStatus(1);
  await world.run(3000);
  expect(world.leading().host.groupStatus(1).term).toBe(term);
  await world.close();
});

test('applied commands are followed by any number of pending nexts, until break or close', async () => {
  const world = await HostWorld.elected(one);
  const { host } = world.leading();
  const source = host.subscribeApplied(1);
  const nexts = [source.next(), source.next(), source.next()];
  for (const name of ['a', 'b']) await world.settled(host.execute(1, bytes(name)));
  const [first, second] = await Promise.all(nexts.slice(0, 2));
  expect([first, second].map((each) => text(each!.value.command))).toEqual(['a', 'b']);
  await source.return?.();
  expect(await nexts[2]).toEqual({ value: undefined, done: true });
  const open = host.subscribeApplied(1).next();
  await world.close();
  expect(await open).toEqual({ value: undefined, done: true });
});

test('calls that were passed to a leader that stands still end soon after another was elected, not when its link does', async () => {
  const world = await HostWorld.elected();
  await world.run(2500);
  const old = world.leading();
  const [follower, third] = world.followers() as [HostWorld['machines'][0], HostWorld['machines'][0]];
  world.isolate(old);
  const startMs = world.clock.nowMs();
  const ends = new Map<string, string>();
  const note = (name: string) => (error: NoriError | null) => {
    ends.set(name, `${error?.code} ${error?.outcome} ${world.clock.nowMs() - startMs < 2000}`);
  };
  follower.host.submit(1, bytes('w'), { timeoutMs: 30_000 }, note('write'));
  follower.host.query(1, bytes(''), { timeoutMs: 30_000 }, note('read'));
  await world.until(() => ends.size === 2, 3_500);
  expect(world.leader()).not.toBe(old);
  expect(Object.fromEntries(ends)).toEqual({
    write: 'OUTCOME_UNKNOWN unknown true',
    read: 'NOT_LEADER notApplied true',
  });
  expect([follower, third].map((machine) => machine.ledger().commands)).toEqual([[], []]);
  await world.close();
});

test('a stale read is never older than it says, and says so when a clock stood still', async () => {
  const world = await HostWorld.elected();
  const leader = world.leading();
  const [follower] = world.followers() as [HostWorld['machines'][0]];
  const ageOf = async ({ host }: HostWorld['machines'][0]): Promise<number> =>
    (await world.settled(host.read(1, bytes(''), { consistency: 'stale' }))).ageMs ?? Number.NaN;
  await world.run(500);
  expect([await ageOf(leader), (await ageOf(follower)) < 200]).toEqual([0, true]);
  world.isolate(follower);
  await world.settled(leader.host.execute(1, bytes('unseen')));
  await world.run(1000);
  const age = await ageOf(follower);
  expect(age).toBeGreaterThanOrEqual(1000);
  expect(age).toBeLessThan(1500);
  world.clock.stepWall(60_000);
  await world.run(1);
  expect([await ageOf(follower), await ageOf(leader)]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  world.network.heal();
  await world.until(() => follower.ledger().commands.length === 1);
  await world.run(500);
  expect([await ageOf(leader), (await ageOf(follower)) < 200]).toEqual([0, true]);
  await world.close();
});

test('a read that is passed on while its answer is in limbo is told when to come again', async () => {
  const world = await HostWorld.elected({ config: { leaseMs: 2000 } });
  await world.run(500);
  const old = world.leading();
  for (const machine of world.followers()) machine.syncMs = 3;
  old.host.submit(1, bytes('in limbo'), {}, () => undefined);
  await world.run(2);
  world.crash(old);
  await world.until(() => world.leader() !== null && world.leading() !== old, 700);
  expect(world.leading().host.groupStatus(1).lease?.limboEntries).toBe(1);
  const [follower] = world.followers() as [HostWorld['machines'][0]];
  const refusal = await world.failure(follower.host.read(1, bytes(''), { timeoutMs: 300 }));
  expect(refusal).toMatchObject({ code: 'READ_IN_LIMBO', outcome: 'none', retryAfterMs: expect.any(Number) });
  const { retryAfterMs } = refusal as unknown as { readonly retryAfterMs: number };
  await world.run(retryAfterMs);
  const { result } = await world.settled(follower.host.read(1, bytes(''), { timeoutMs: 300 }));
  expect(text(result)).toBe('1');
  await world.close();
});

test('a write that was passed to a leader that hands over is answered by it, however long that takes', async () => {
  const world = await HostWorld.elected({ config: { stallTimeoutMs: 5000 } });
  await world.run(2500);
  const old = world.leading();
  const [follower, third] = world.followers() as [HostWorld['machines'][0], HostWorld['machines'][0]];
  third.syncMs = 1500;
  old.syncMs = 1500;
  follower.syncMs = 1500;
  const ends: unknown[] = [];
  follower.host.submit(1, bytes('w'), { timeoutMs: 30_000 }, (error) => ends.push(error?.code ?? 'done'));
  await world.run(10);
  const transfer = world.failure(old.host.transferLeadership(1, third.id));
  await world.until(() => ends.length === 1, 20_000);
  expect(ends).toEqual(['done']);
  await transfer;
  await world.close();
});
