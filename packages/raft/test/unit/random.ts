import { assert } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import { utf8 } from '../../src/base/text.ts';
import { EntryKind, InputKind, isJoint, type Message, type NodeId, replicasOf, Role } from '../../src/core/index.ts';
import { Checker } from './checker.ts';
import { calm, Cluster, type SimNode, type Weather } from './cluster.ts';

/** How rough a run is: drawn from its seed, so that some runs are calm and some are terrible. */
interface Roughness {
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  readonly latePerMille: number;
  readonly delayMsMax: number;
  readonly writeMsMax: number;
  readonly receiptLagPerMille: number;
  readonly gatherPerMille: number;
  /** Mean time between faults. */
  readonly faultEveryMs: number;
  readonly clientEveryMs: number;
}

export interface RunReport {
  readonly checker: Checker;
  readonly steps: number;
}

export interface RunOptions {
  readonly steps?: number;
  /**
   * Every run has leases, and all that is hard on them: clocks that run as differently as they may, or `driftPpm`
   * beyond what nodes reckon with, suspended machines, and nodes that start again with another lease than before.
   */
  readonly leases?: boolean | { readonly driftPpm: number };
}

/** One random history from one seed: faults, then healing, with every promise checked after every step. */
export function runSeed(seed: number, { steps = 1_500, leases = false }: RunOptions = {}): RunReport {
  const run = new RandomRun(seed, leases);
  run.suffer(steps);
  run.recover();
  return { checker: run.checker, steps: run.cluster.steps };
}

class RandomRun {
  readonly checker = new Checker();
  readonly cluster: Cluster;
  private readonly prng: Prng;
  private readonly roughness: Roughness;
  private readonly cuts: Set<string> = new Set();
  private readonly ids: readonly NodeId[];
  private nextReadId = 1;
  private nextProposalId = 1;
  private healed = false;
  private readonly leases: NonNullable<RunOptions['leases']>;

  constructor(seed: number, leases: NonNullable<RunOptions['leases']>) {
    this.leases = leases;
    this.prng = new Prng(seed);
    const { prng } = this;
    const voters = names('n', pick(prng, [1, 2, 3, 3, 3, 3, 5, 5]));
    const learners = names('l', pick(prng, [0, 0, 0, 1, 2]));
    // Whether the group changes all the while, and with whom.
    const strangers = names('s', pick(prng, [0, 0, 2, 4]));
    const small = prng.between(0, 2) === 0;
    this.roughness = {
      lossPerMille: pick(prng, [0, 0, 20, 100, 300]),
      duplicatePerMille: pick(prng, [0, 20, 200]),
      latePerMille: pick(prng, [0, 5, 50]),
      delayMsMax: pick(prng, [2, 20, 20, 150]),
      writeMsMax: pick(prng, [1, 10, 100, 700]),
      receiptLagPerMille: pick(prng, [0, 100]),
      gatherPerMille: pick(prng, [0, 300]),
      faultEveryMs: pick(prng, [150, 500, 2_000]),
      clientEveryMs: pick(prng, [10, 40, 150]),
    };
    const leaseMs = pick(prng, leases === false ? [0, 200, 900, 2_000, 2_000] : [900, 2_000]);
    const driftPpm = leases === false ? pick(prng, [0, 10_000, 20_000]) : 20_000;
    const beyondPpm = typeof leases === 'object' ? leases.driftPpm : driftPpm;
    const another = leases === false ? [] : [leaseMs / 4, leaseMs, leaseMs, leaseMs];
    this.cluster = new Cluster({
      clockRateOf: () =>
        1 + (leases === false ? prng.between(-driftPpm, driftPpm) : pick(prng, [-beyondPpm, beyondPpm])) / 1_000_000,
      ...(leases === false ? {} : { optionsOf: () => ({ leaseMs: pick(prng, another) }) }),
      provesDeath: prng.between(0, 1) === 0,
      voters,
      learners,
      strangers,
      seed: prng.uint32(),
      weather: this.weather(),
      watchers: [this.checker],
      options: {
        leaseMs,
        driftPpm,
        ...(small
          ? { appendBytesMax: 90, inflightMessagesMax: 2, inflightBytesMax: 150, uncommittedBytesMax: 400 }
          : { appendBytesMax: 400 }),
      },
    });
    this.ids = [...this.cluster.nodes.keys()];
    this.checker.watch(this.cluster);
    this.planClient();
    this.planFault();
    if (strangers.length > 0) this.planChange();
  }

  suffer(steps: number): void {
    while (this.cluster.steps < steps && this.cluster.nowMs < 600_000) this.cluster.runOne();
  }

  /** Once the faults end: one leader, a fresh commit that reaches everyone, and every new read answered. */
  recover(): void {
    const { cluster, checker } = this;
    this.healed = true;
    this.cuts.clear();
    cluster.weather = { ...calm };
    for (const node of cluster.nodes.values()) {
      if (!node.up) cluster.restart(node);
      cluster.resumeDisk(node);
      node.pausedUntilMs = 0;
    }
    // The latest of messages take 8 s.
    cluster.runFor(8_500);
    const leader = this.leaderOfAll();
    assert(leader !== null, 'Liveness: after healing everyone knows one leader');
    const { term, configuration } = leader.raft;
    assert(
      !isJoint(configuration) && configuration.planned === undefined,
      'Liveness: after healing no change is left halfway',
    );
    const members = replicasOf(configuration).map((id) => cluster.node(id));
    const before = checker.acceptedProposals;
    this.propose(leader, 1);
    const reads = members.map((node) => this.read(node));
    cluster.runFor(1_500);
    assert(checker.acceptedProposals === before + 1, 'Liveness: after healing a proposal is accepted');
    assert(leader.raft.term === term && leader.raft.role === Role.leader, 'Liveness: a leader in calm stays in office');
    for (const node of members) {
      const { log } = node.raft;
      assert(log.commit === leader.raft.log.lastIndex, 'Liveness: after healing every node commits all');
      assert(log.applied === log.commit, 'Liveness: what is committed is applied');
      assert(log.persistedIndex === log.lastIndex, 'Liveness: what is committed is durable');
    }
    for (const id of reads) {
      assert(checker.released.has(id) || checker.refused.has(id), 'Liveness: after healing every read is answered');
    }
    assert(checker.released.size > 0, 'Liveness: the leader answers reads');
  }

  private leaderOfAll(): SimNode | null {
    const nodes = [...this.cluster.nodes.values()];
    const leading = nodes.filter((node) => node.raft.role === Role.leader);
    const leader = leading.toSorted((a, b) => b.raft.term - a.raft.term)[0];
    if (leader === undefined) return null;
    // Who is no member may never hear of it.
    const members = replicasOf(leader.raft.configuration).map((id) => this.cluster.node(id));
    return members.every((node) => node.raft.leaderId === leader.id) ? leader : null;
  }

  private weather(): Weather {
    const { prng, roughness } = this;
    const chance = (perMille: number): boolean => prng.between(0, 999) < perMille;
    const delayMs = (): number => {
      if (chance(roughness.latePerMille)) return prng.between(0, pick(prng, [200, 1_500, 8_000]));
      return prng.between(1, roughness.delayMsMax);
    };
    return {
      route: (message: Message) => {
        if (this.cuts.has(`${message.from}>${message.to}`) || chance(roughness.lossPerMille)) return [];
        return chance(roughness.duplicatePerMille) ? [delayMs(), delayMs()] : [delayMs()];
      },
      writeMs: () => prng.between(0, roughness.writeMsMax),
      receiptLagMs: () => (chance(roughness.receiptLagPerMille) ? prng.between(0, 100) : 0),
      applyMs: () => prng.between(0, 3),
      gatherMs: () => (chance(roughness.gatherPerMille) ? prng.between(1, 4) : 0),
      deadlineLagMs: () => (chance(20) ? prng.between(0, 300) : 0),
      survivingWrites: (node) => ({
        batches: prng.between(0, node.writes.length),
        tornEntries: chance(500) ? prng.between(0, 3) : null,
      }),
    };
  }

  private planClient(): void {
    const { prng } = this;
    this.cluster.after(prng.between(1, 2 * this.roughness.clientEveryMs), () => {
      if (this.healed) return;
      const node = this.someNode(prng.between(0, 9) < 7);
      // A lease costs nothing to try, and who should not have one is the one to ask.
      for (const each of this.cluster.nodes.values()) {
        if (each.pausedUntilMs <= this.cluster.nowMs) this.checker.leaseRead(each);
      }
      if (prng.between(0, 2) === 0) this.read(node);
      else this.propose(node, prng.between(1, 3));
      this.planClient();
    });
  }

  private planChange(): void {
    this.cluster.after(this.prng.between(1, 800), () => {
      if (this.healed) return;
      this.change(this.someNode(true));
      this.planChange();
    });
  }

  /** Any voters and learners out of all nodes, whatever the group is now; or the change under way is given up. */
  private change(node: SimNode): void {
    const { prng } = this;
    const { configuration } = node.raft;
    const target = this.ids.filter(() => prng.between(0, 1) === 0);
    const learners = this.ids.filter((id) => !target.includes(id) && prng.between(0, 4) === 0);
    const voter = (id: NodeId): boolean => configuration.incoming.includes(id);
    const learner = (id: NodeId): boolean => configuration.learners.includes(id);
    const change = {
      add: target.filter((id) => !voter(id) && !learner(id)),
      addLearners: learners.filter((id) => !voter(id) && !learner(id)),
      promote: target.filter(learner),
      demote: learners.filter(voter),
      remove: replicasOf(configuration).filter((id) => !target.includes(id) && !learners.includes(id)),
    };
    const givesUp = prng.between(0, 4) === 0;
    const input = { kind: InputKind.reconfigure, id: 1, change: givesUp ? null : change, wallMs: 0 } as const;
    this.cluster.step(node, input);
  }

  private planFault(): void {
    const { prng } = this;
    this.cluster.after(prng.between(1, 2 * this.roughness.faultEveryMs), () => {
      if (this.healed) return;
      this.fault();
      this.planFault();
    });
  }

  private fault(): void {
    const { prng, cluster, cuts } = this;
    const node = this.someNode(prng.between(0, 1) === 0);
    const lastsMs = prng.between(1, pick(prng, [20, 400, 1_500]));
    if (this.leases !== false && prng.between(0, 9) === 0) {
      cluster.suspend(node, lastsMs);
      return;
    }
    switch (prng.between(0, 13)) {
      case 0:
      case 1:
        this.crash(node, lastsMs);
        break;
      case 2:
        for (const each of cluster.nodes.values()) this.crash(each, prng.between(0, lastsMs));
        break;
      case 3:
        cuts.add(`${node.id}>${this.someNode(false).id}`);
        break;
      case 4:
        this.isolate([node.id], prng.between(0, 2));
        break;
      case 5:
        this.isolate(
          this.ids.filter(() => prng.between(0, 1) === 0),
          prng.between(0, 2),
        );
        break;
      case 6:
      case 7:
      case 8:
        cuts.clear();
        break;
      case 9:
        cluster.stallDisk(node);
        cluster.after(lastsMs, () => cluster.resumeDisk(node));
        break;
      case 10:
        cluster.pause(node, prng.between(0, 1) * 2_500 + lastsMs);
        break;
      case 11:
        this.claimGone(node);
        break;
      case 12:
        cluster.step(node, { kind: InputKind.transfer, to: prng.between(0, 1) === 0 ? null : this.someNode(false).id });
        break;
      default:
        this.resetLink(node);
        if (prng.between(0, 3) === 0) cluster.step(node, { kind: InputKind.campaign });
    }
  }

  /** A link is made anew, or breaks when nobody is at its other end. */
  private resetLink(node: SimNode): void {
    const { id, raft, up } = this.someNode(false);
    const kind = InputKind.linkReset;
    this.cluster.step(node, up ? { kind, peer: id, life: raft.life } : { kind, peer: id });
  }

  /** Nodes are told that a process has ended, whether it has or not: no promise may hang on it. */
  private claimGone(gone: SimNode): void {
    const { prng, cluster } = this;
    for (const node of cluster.nodes.values()) {
      if (node === gone || prng.between(0, 3) === 0) continue;
      const absent = prng.between(0, 1) === 0;
      cluster.after(prng.between(0, 20), () =>
        cluster.step(node, { kind: InputKind.leaderGone, peer: gone.id, absent }),
      );
    }
  }

  private crash(node: SimNode, downMs: number): void {
    if (!node.up) return;
    this.cluster.crash(node);
    this.cluster.after(downMs, () => {
      if (!node.up) this.cluster.restart(node);
    });
  }

  /** Cuts the group off: 0 both ways, 1 it hears nothing, 2 it is not heard. */
  private isolate(group: readonly NodeId[], way: number): void {
    for (const inside of group) {
      for (const outside of this.ids) {
        if (group.includes(outside)) continue;
        if (way !== 1) this.cuts.add(`${inside}>${outside}`);
        if (way !== 2) this.cuts.add(`${outside}>${inside}`);
      }
    }
  }

  private someNode(leading: boolean): SimNode {
    const nodes = [...this.cluster.nodes.values()];
    const leaders = leading ? nodes.filter((node) => node.up && node.raft.role === Role.leader) : [];
    return pick(this.prng, leaders.length > 0 ? leaders : nodes);
  }

  private propose(node: SimNode, count: number): void {
    const proposals = [];
    for (let i = 0; i < count; i += 1) {
      const id = this.nextProposalId;
      this.nextProposalId += 1;
      proposals.push({ id, entryKind: EntryKind.command, payload: utf8(`v${id}`) });
    }
    this.cluster.step(node, { kind: InputKind.propose, proposals, wallMs: this.cluster.nowMs });
  }

  private read(node: SimNode): number {
    const id = this.nextReadId;
    this.nextReadId += 1;
    this.checker.readInvoked(id);
    const throughLimbo = this.prng.between(0, 1) === 0;
    this.cluster.step(node, { kind: InputKind.read, readIds: [id], throughLimbo });
    return id;
  }
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at + 1}`);
}

function pick<T>(prng: Prng, choices: readonly T[]): T {
  return choices[prng.between(0, choices.length - 1)] as T;
}
