import { expect, test } from 'vitest';
import type { Configuration, NodeId } from '../../src/core/types.ts';
import type { HostConfig } from '../../src/host/options.ts';
import { applyRecovery, inspectSurvivor, type OfflinePorts } from '../../src/host/recover.ts';
import { decodeReport, planRecovery, type SurvivorReport } from '../../src/host/survivors.ts';
import { seededRandom } from '../../src/testkit/random.ts';
import { bytes, HostWorld, type Machine } from '../support/host-world.test-support.ts';

const newCluster = new Uint8Array(16).fill(8);
const at = (world: HostWorld, place: number): Machine => world.machines[place] as Machine;

function offline(world: HostWorld, machine: Machine): OfflinePorts {
  const lock = { acquire: () => Promise.resolve({ release: () => Promise.resolve() }) };
  return { disk: machine.disk.boot(), lock, clock: world.clock, random: seededRandom(99) };
}

async function reportsOf(world: HostWorld, machines: readonly Machine[]): Promise<SurvivorReport[]> {
  const reports: SurvivorReport[] = [];
  for (const machine of machines) {
    const report = await world.settled(inspectSurvivor('data', offline(world, machine)));
    reports.push(decodeReport(JSON.stringify(report)));
  }
  return reports;
}

async function recoverAll(
  world: HostWorld,
  machines: readonly Machine[],
  reports: readonly SurvivorReport[],
): Promise<void> {
  const plan = planRecovery(reports);
  for (const [place, machine] of machines.entries()) {
    const own = reports[place] as SurvivorReport;
    await world.settled(applyRecovery('data', plan, own, newCluster, offline(world, machine)));
  }
}

/** Five nodes; n1 to n3 committed `b` while n4 and n5 were cut off; then all stop. */
async function torn(config: Partial<HostConfig> = {}): Promise<HostWorld> {
  const world = await HostWorld.elected({ hosts: 5, config });
  await world.settled(at(world, 0).host.execute(1, bytes('a')));
  await world.until(() => world.machines.every((machine) => machine.ledger().commands.length === 1));
  for (const place of [3, 4]) world.isolate(at(world, place));
  await world.until(() => [0, 1, 2].some((place) => at(world, place) === world.leader(1)));
  await world.settled(at(world, 0).host.execute(1, bytes('b'), { timeoutMs: 9000 }));
  await world.until(() => [0, 1, 2].every((place) => at(world, place).ledger().commands.length === 2));
  for (const machine of world.machines) world.powerCut(machine);
  world.network.heal();
  return world;
}

test('two survivors of five go on with the longer log, and become two voters', async () => {
  const world = await torn();
  const [n3, n4, n5] = [at(world, 2), at(world, 3), at(world, 4)];
  const reports = await reportsOf(world, [n4, n3]);
  const plan = planRecovery(reports);
  expect(plan.groups[0]).toMatchObject({ from: 'n3', gone: ['n1', 'n2', 'n5'], whole: false });
  await recoverAll(world, [n4, n3], reports);
  for (const machine of [n3, n4]) await world.start(machine, { clusterId: newCluster });
  await world.until(() => n4.ledger().commands.length === 2 && n3.statusOf(1)?.voters.length === 2);
  await world.until(() => n3.statusOf(1)?.change === null);
  expect(n4.ledger().commands).toEqual(['a', 'b']);
  expect(n3.statusOf(1)).toMatchObject({ voters: ['n3', 'n4'], change: null });
  await world.settled(n4.host.execute(1, bytes('c')));

  // A dead node that comes back is of another cluster: it is told so, and moves nobody.
  const { term } = world.leading(1).statusOf(1) ?? { term: 0 };
  await world.start(n5);
  await world.until(() => n5.host.peers().some(({ id, refusal }) => id === 'n3' && refusal !== null));
  await world.run(3000);
  expect(n5.host.peers().find(({ id }) => id === 'n3')?.refusal).toMatch(/another cluster/);
  expect(world.leading(1).statusOf(1)?.term).toBe(term);
  expect(n3.host.peers().map(({ id }) => id)).toEqual(['n4']);
  await world.close();
});

test('a survivor whose log was given up to a snapshot goes on from it', async () => {
  const world = await torn({ snapshotEntries: 1, snapshotTailEntries: 0 });
  const n2 = at(world, 1);
  await recoverAll(world, [n2], await reportsOf(world, [n2]));
  await world.start(n2, { clusterId: newCluster });
  await world.until(() => n2.statusOf(1)?.role === 'leader');
  await world.settled(n2.host.execute(1, bytes('c')));
  expect(n2.ledger().commands).toEqual(['a', 'b', 'c']);
  expect(n2.statusOf(1)?.voters).toEqual(['n2']);
  await world.close();
});

test('a plan that was half carried out can be carried out again, and one for another state is refused', async () => {
  const world = await torn();
  const [n3, n4] = [at(world, 2), at(world, 3)];
  const reports = await reportsOf(world, [n3]);
  const [own] = reports as [SurvivorReport];
  const plan = planRecovery(reports);
  const apply = (to: Uint8Array): Promise<unknown> =>
    applyRecovery('data', plan, own, to, offline(world, n3)).catch(
      (error: unknown) => (error as { code: string }).code,
    );
  // Moved, and the crash came before the log was written: it is of the new cluster, and has a vote among five still.
  let identities = 0; // one for the life that begins, one for the move
  n3.disk.judge = (operation, path) => {
    if (operation === 'rename' && path.includes('identity')) identities += 1;
    return operation === 'write' && path.includes('/wal/') && identities === 2 ? { error: 'EIO' } : 'pass';
  };
  expect(await world.settled(apply(newCluster))).toBe('DISK_FAILED');
  n3.disk.judge = () => 'pass';
  const [between] = await reportsOf(world, [n3]);
  expect(between?.clusterId).toBe('08'.repeat(16));
  expect(between?.groups[0]?.configuration.incoming).toHaveLength(5);
  expect(await world.settled(apply(newCluster))).toBeUndefined();
  const after = (await reportsOf(world, [n3]))[0]?.groups[0];
  expect(after?.configuration.incoming).toEqual(['n3']);
  // Again changes nothing.
  expect(await world.settled(apply(newCluster))).toBeUndefined();
  expect((await reportsOf(world, [n3]))[0]?.groups[0]).toEqual(after);
  // Once it has served, the report is of another state.
  await world.start(n3, { clusterId: newCluster });
  await world.until(() => n3.statusOf(1)?.role === 'leader');
  await world.settled(n3.host.execute(1, bytes('c')));
  world.crash(n3);
  expect(await world.settled(apply(newCluster))).toBe('RECOVERY_REFUSED');
  expect(await world.settled(apply(new Uint8Array(16).fill(9)))).toBe('RECOVERY_REFUSED');
  const [other] = await reportsOf(world, [n4]);
  const stale = { ...(other as SurvivorReport), groups: own.groups } as SurvivorReport;
  const refused = applyRecovery('data', planRecovery([stale]), stale, newCluster, offline(world, n4));
  expect(await world.failure(refused)).toMatchObject({ code: 'RECOVERY_REFUSED' });
});

const ids = (...names: string[]): NodeId[] => names as NodeId[];
const voters = (...names: string[]): Configuration => ({
  incoming: ids(...names),
  outgoing: [],
  learners: [],
  learnersNext: [],
  members: ids(...names).map((id) => ({ id, address: `${id}:1` })),
});

function report(nodeId: string, groups: Partial<SurvivorReport['groups'][number]>[], clusterId = 'c'): SurvivorReport {
  const blank = {
    group: 1,
    lastIndex: 5,
    lastTerm: 2,
    term: 2,
    committedIndex: 0,
    configuration: voters('n1', 'n2', 'n3'),
  };
  return {
    format: 1,
    nodeId: nodeId as NodeId,
    clusterId,
    diskId: nodeId,
    groups: groups.map((group) => ({ ...blank, ...group })),
  };
}

test.each([
  ['nobody', []],
  ['a node twice', [report('n1', [{}]), report('n1', [{}])]],
  ['nodes of two clusters', [report('n1', [{}]), report('n2', [{}], 'd')]],
  ['a majority of every group', [report('n1', [{}]), report('n2', [{}])]],
  ['a node without any group', [report('n1', [])]],
])('no recovery with %s', (_what, reports) => {
  expect(() => planRecovery(reports)).toThrow(expect.objectContaining({ code: 'RECOVERY_REFUSED' }));
});

test('of each group the log goes on that an election would choose, whatever the other groups do', () => {
  const five = voters('n1', 'n2', 'n3', 'n4', 'n5');
  const of = (group: number, lastTerm: number, lastIndex: number) => ({
    group,
    lastTerm,
    lastIndex,
    configuration: five,
  });
  const { groups } = planRecovery([
    report('n1', [of(1, 2, 9), of(2, 3, 4), of(3, 2, 5)]),
    report('n2', [of(1, 3, 2), of(2, 3, 5), { ...of(3, 2, 5), configuration: voters('n1', 'n2') }]),
  ]);
  expect(groups.map(({ group, from, whole }) => [group, from, whole])).toEqual([
    [1, 'n2', false],
    [2, 'n2', false],
    [3, 'n1', false],
  ]);
  expect(groups[0]?.configuration).toMatchObject({
    incoming: ['n2'],
    learners: ['n1'],
    planned: { voters: ['n1', 'n2'] },
  });
});

test('learners stay learners, and who was to vote votes', () => {
  const before = {
    ...voters('n1', 'n2', 'n3'),
    learners: ids('n4', 'n5'),
    planned: { voters: ids('n1', 'n2', 'n3', 'n5'), learners: ids('n4'), joined: ids('n5') },
  };
  const held = ['n3', 'n4', 'n5'].map((id) => report(id, [{ configuration: before }]));
  expect(planRecovery(held).groups[0]?.configuration).toMatchObject({
    incoming: ['n3'],
    learners: ['n4', 'n5'],
    planned: { voters: ['n3', 'n5'], learners: ['n4'], joined: [] },
  });
  // The longest log goes on, though it is a learner's.
  const longest = [report('n3', [{ configuration: before }]), report('n4', [{ configuration: before, lastIndex: 9 }])];
  expect(planRecovery(longest).groups[0]?.configuration).toMatchObject({
    incoming: ['n4'],
    planned: { voters: ['n3', 'n4'], learners: [] },
  });
  const only = planRecovery([report('n4', [{ configuration: before }]), report('n1', [])]).groups[0];
  expect(only?.configuration).toMatchObject({ incoming: ['n4'], learners: [] });
  expect(only?.configuration.planned).toBeUndefined();
});

test('groups of which every survivor has only damage or nothing are named', () => {
  const damaged = { ...report('n1', [{}]), quarantined: [2, 3] };
  const other = { ...report('n2', [{ group: 3 }, { group: 4, lastIndex: 0 }]), quarantined: [2] };
  const plan = planRecovery([damaged, other]);
  expect(plan.groups.map(({ group, from }) => [group, from])).toEqual([
    [1, 'n1'],
    [3, 'n2'],
  ]);
  expect(plan.lost).toEqual([
    { group: 2, quarantinedOn: ['n1', 'n2'] },
    { group: 4, quarantinedOn: [] },
  ]);
  expect(() => decodeReport(JSON.stringify({ ...damaged, quarantined: ['2'] }))).toThrow('report');
  expect(decodeReport(JSON.stringify(damaged)).quarantined).toEqual([2, 3]);
});

test('a joint group needs both majorities to be whole', () => {
  const joint = { ...voters('n1', 'n2', 'n3'), outgoing: ids('n3', 'n4', 'n5') };
  const plan = planRecovery([report('n1', [{ configuration: joint }]), report('n2', [{ configuration: joint }])]);
  expect(plan.groups[0]).toMatchObject({ whole: false, gone: ['n3', 'n4', 'n5'] });
});

test.each(['', 'null', '{}', '{"format":2}', '{"format":1,"nodeId":"n1","clusterId":"c","diskId":"d","groups":[{}]}'])(
  'a file that is no report is refused: %s',
  (text) => {
    expect(() => decodeReport(text)).toThrow(expect.objectContaining({ code: 'RECOVERY_REFUSED' }));
  },
);
