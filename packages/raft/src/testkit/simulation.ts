import { isJoint, isMember } from '../core/configuration.ts';
import type { NodeId } from '../core/types.ts';
import type { HostConfig } from '../host/options.ts';
import type { ClientOptions } from './clients.ts';
import type { Checker } from './checker.ts';
import { standardCheckers } from './checkers/standard.ts';
import { drawRates, drawSchedule, type Fault, type FaultRates } from './faults.ts';
import { realNowMs, shutOutRealWorld } from './guards.ts';
import { HistoryChecker } from './history/history-checker.ts';
import type { Machine } from './machine.ts';
import { Nemesis } from './nemesis.ts';
import type { ClientOperation } from './operation.ts';
import { Prng } from '../base/prng.ts';
import { pick } from './random.ts';
import { registerWorkload } from './register-workload.ts';
import type { TraceLine } from './timeline.ts';
import { Violation } from './violation.ts';
import type { Workload } from './workload.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** Default 3. */
  readonly nodes?: number;
  /** Default 1. */
  readonly groups?: number;
  /** Only the last so many machines may lose what their disks vouched for. Default: any, but a minority at a time; none where members change. */
  readonly fragile?: number;
  /** How long faults go on, in simulated seconds. Default 60. */
  readonly seconds?: number;
  readonly workload?: Workload;
  readonly clients?: ClientOptions;
  /** Per simulated minute. Default: drawn from the seed. */
  readonly faults?: FaultRates;
  /** Exactly these, instead of drawing any. */
  readonly schedule?: readonly Fault[];
  /** Beside the standard ones. */
  readonly checkers?: readonly Checker[];
  /** Looks on before any checker does, and judges nothing. */
  readonly witness?: Checker;
  readonly traced?: boolean;
  readonly drainAlways?: boolean;
  readonly host?: Partial<HostConfig>;
}

export interface SimulationResult {
  readonly seed: number;
  readonly hash: string;
  readonly violation: Violation | null;
  readonly atMs: number;
  readonly simulatedMs: number;
  readonly realMs: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly operations: readonly ClientOperation[];
  readonly sights: ReadonlyMap<string, number>;
  readonly schedule: readonly Fault[];
  readonly trace: readonly TraceLine[] | null;
}

/** How soon after the last fault everything must be well again, in simulated ms. */
const healedWithinMs = 20_000;
const probeTimeoutMs = 2500;

/** One run: a cluster under faults, then without, judged all the time. The same options give the same result. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, groups = 1, seconds = 60, workload = registerWorkload() } = options;
  const standard = standardCheckers({ groups, workload, durabilityEveryMs: 20_000 });
  const prng = new Prng(seed ^ 0x6661_756c);
  const clients = options.clients ?? drawClients(new Prng(seed ^ 0x636c_6965));
  const rates = options.faults ?? drawRates(prng);
  const schedule = options.schedule ?? drawSchedule(prng.uint32(), rates, seconds * 1000);
  const changing = schedule.some(({ kind }) => kind === 'changeMembers');
  const world = new World({
    ...(changing ? { fragile: 0 } : {}),
    ...options,
    host: { ...drawSnapshots(new Prng(seed ^ 0x736e_6170)), ...options.host },
    clients,
    groups,
    workload,
    checkers: [
      ...(options.witness === undefined ? [] : [options.witness]),
      ...standard.checkers,
      ...(options.checkers ?? []),
      ...(workload.sequential === undefined ? [] : [new HistoryChecker(workload.sequential)]),
    ],
  });
  const startMs = realNowMs();
  const realWorld = shutOutRealWorld();
  let violation: Violation | null = null;
  try {
    const nemesis = new Nemesis(world, schedule);
    world.startAll();
    world.clients.start();
    await world.run(seconds * 1000);
    nemesis.heal();
    await recovers(world);
    world.finish();
  } catch (cause) {
    if (!(cause instanceof Violation)) throw cause;
    violation = cause;
  } finally {
    realWorld.release();
  }
  return {
    seed,
    hash: world.hash,
    violation,
    atMs: world.nowMs,
    simulatedMs: world.nowMs,
    realMs: realNowMs() - startMs,
    events: world.events,
    acknowledged: world.clients.acknowledged,
    operations: world.operations,
    sights: world.sights,
    schedule,
    trace: world.timeline.trace,
  };
}

/** Often enough that they meet everything else, in pieces small enough that a transfer has many of them. */
function drawSnapshots(prng: Prng): Partial<HostConfig> {
  return {
    snapshotEntries: pick(prng, [1_000_000, 200, 60, 20]),
    snapshotTailEntries: pick(prng, [0, 0, 5, 50]),
    snapshotChunkBytes: pick(prng, [8, 16, 1024]),
    snapshotBytesPerSecond: pick(prng, [200, 2_000, 1_000_000]),
    walBytesMax: pick(prng, [1 << 30, 300 << 10]),
  };
}

/** Few or many, patient or hasty. From a stream of their own: who gives others changes no fault. */
function drawClients(prng: Prng): ClientOptions {
  return {
    count: prng.between(2, 8),
    pipelined: pick(prng, [1, 1, 1, 3]),
    thinkMsMax: pick(prng, [100, 300, 1000]),
    unforwardedShare: pick(prng, [0, 0.3]),
    stalks: pick(prng, [false, true]),
  };
}

/** Liveness: with faults over there is a leader, a write commits, replicas meet, and everybody was answered. */
async function recovers(world: World): Promise<void> {
  const untilMs = world.nowMs + healedWithinMs;
  const leftMs = (): number => Math.max(0, untilMs + transfersMs(world) - world.nowMs);
  const sound = world.machines.filter((machine) => machine.sound);
  require(await world.runUntil(
    () => sound.every((machine) => machine.up || !machine.sound),
    leftMs(),
  ), 'every host starts');
  for (const group of world.groups) {
    let probe: ClientOperation | null = null;
    let probes = 0;
    const written = await world.runUntil(() => {
      if (probe?.outcome === 'ok') return true;
      if (probe === null || probe.outcome !== 'pending') {
        const members = membersOf(world, group, sound);
        const at = members[probes % members.length];
        probes += 1;
        probe = at === undefined || !at.sound ? null : world.clients.probe(at, group);
      }
      return false;
    }, leftMs());
    require(written, `a write to group ${group} commits`);
  }
  world.clients.stop();
  await world.run(probeTimeoutMs + 1000);
  const changed = await world.runUntil(() => world.groups.every((group) => comesToRest(world, group)), leftMs() + 2000);
  require(changed, 'no change of members is left halfway');
  const converged = await world.runUntil(() => world.groups.every((group) => agree(world, group)), leftMs() + 2000);
  require(converged, 'all replicas have applied the same, under one leader');
  const [overdue] = world.clients.overdue;
  require(overdue === undefined, `every call is answered (operation ${overdue?.id} at ${overdue?.node} is not)`);
}

/**
 * What it takes at the pace of this run until everybody was sent the largest state there is, twice: a machine that waits
 * for a snapshot may be the majority's missing one, and another that is to be refilled starts when the first has done.
 */
function transfersMs(world: World): number {
  const bytesPerSecond = world.options.host?.snapshotBytesPerSecond;
  if (bytesPerSecond === undefined) return 0;
  const largest = Math.max(...world.machines.map(({ disk }) => disk.largest('.snap')));
  return (2 * world.groups.length * world.machines.length * largest * 1000) / bytesPerSecond;
}

/** Who can be asked, by the leader's word if there is one. */
function membersOf(world: World, group: number, sound: readonly Machine[]): readonly Machine[] {
  const configuration = world.leader(group)?.raft(group)?.configuration;
  return configuration === undefined ? sound : sound.filter(({ id }) => isMember(configuration, id as NodeId));
}

/** A change that waits for a machine which is gone for good waits until its operator gives it up. */
function comesToRest(world: World, group: number): boolean {
  const leader = world.leader(group);
  const configuration = leader?.raft(group)?.configuration;
  if (leader == null || configuration === undefined) return false;
  const { planned } = configuration;
  if (isJoint(configuration)) return false;
  if (planned?.voters.some((id) => world.machineOf(id)?.sound === false)) world.giveUpChange(leader, group);
  return planned === undefined;
}

function agree(world: World, group: number): boolean {
  const leader = world.leader(group)?.raft(group);
  if (leader == null) return false;
  const { lastIndex } = leader.log;
  return world.machines.every((machine) => {
    if (!machine.sound || !isMember(leader.configuration, machine.id as NodeId)) return true;
    const raft = machine.raft(group);
    return raft !== null && raft.term === leader.term && raft.leaderId === leader.id && raft.log.applied === lastIndex;
  });
}

function require(holds: boolean, what: string): void {
  if (!holds)
    throw new Violation('Liveness', `after the last fault it did not come about within its time that ${what}`);
}
