import { assert } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import {
  type Configuration,
  type Entry,
  foundingConfiguration,
  type HardState,
  type Index,
  type Input,
  InputKind,
  leaseGrant,
  type LeaseGrant,
  type Life,
  type Message,
  type NodeId,
  nodeId,
  Output,
  type PersistedInput,
  type RaftOptions,
  RaftState,
  step,
} from '../../src/core/index.ts';
import { type Event, EventQueue } from './events.ts';

/** What a power cut now would leave. */
export interface Durable {
  hardState: HardState;
  /** From index 1, without a gap. */
  entries: Entry[];
}

/** One batch on its way to the disk. Batches become durable in the order they were handed over. */
export interface Write {
  readonly hardState: HardState | null;
  readonly persistFrom: Index;
  readonly entries: readonly Entry[];
  readonly messagesAfter: readonly Message[];
  readonly receipt: PersistedInput | null;
}

/** Where chance, or a script, decides. All times in ms; the defaults are a calm world. */
export interface Weather {
  /** After how long each copy of the message arrives; none when it is lost. */
  route(message: Message): readonly number[];
  writeMs(node: SimNode): number;
  /** How late a receipt is handed back, after the messages that waited for it have left. */
  receiptLagMs(node: SimNode): number;
  applyMs(node: SimNode): number;
  /** How long the host gathers before it carries an output out; 0 carries out after every step. */
  gatherMs(node: SimNode): number;
  deadlineLagMs(node: SimNode): number;
  /** How many of the batches under way a crash finds on the disk after all, and how many entries of the next. */
  survivingWrites(node: SimNode): { readonly batches: number; readonly tornEntries: number | null };
}

export const calm: Weather = {
  route: () => [5],
  writeMs: () => 2,
  receiptLagMs: () => 0,
  applyMs: () => 0,
  gatherMs: () => 0,
  deadlineLagMs: () => 0,
  survivingWrites: () => ({ batches: 0, tornEntries: null }),
};

/** Hears everything that happens, as it happens. The checker and the narrator are two of them. */
export interface Watcher {
  beforeStep?(node: SimNode, input: Input): void;
  afterStep?(node: SimNode, input: Input): void;
  /** Before an output is carried out and reset. */
  carriedOut?(node: SimNode, output: Output): void;
  sent?(node: SimNode, message: Message): void;
  lost?(message: Message): void;
  madeDurable?(node: SimNode, write: Write): void;
  crashed?(node: SimNode): void;
  restarted?(node: SimNode): void;
}

export class SimNode {
  readonly id: NodeId;
  readonly durable: Durable;
  raft: RaftState;
  output: Output;
  up = true;
  /** Which life this is: what was on its way in an earlier one comes to nothing. */
  life = 0;
  /** World time at which this life's monotonic clock showed 0. */
  clockZeroMs = 0;
  /** How fast that clock runs against true time. */
  clockRate = 1;
  pausedUntilMs = 0;
  /** Its clock stands still, too, and it does not know yet. */
  suspended = false;
  diskStalled = false;
  readonly writes: Write[] = [];
  armedForMs: number = Number.POSITIVE_INFINITY;
  flushPlanned = false;

  constructor(id: NodeId, durable: Durable, raft: RaftState, output: Output) {
    this.id = id;
    this.durable = durable;
    this.raft = raft;
    this.output = output;
  }
}

export interface ClusterStart {
  readonly voters: readonly string[];
  readonly learners?: readonly string[];
  /** Nodes that exist and are in no configuration yet. */
  readonly strangers?: readonly string[];
  readonly seed: number;
  readonly options?: Partial<RaftOptions>;
  /** What one node has different. */
  readonly optionsOf?: (id: NodeId) => Partial<RaftOptions>;
  readonly weather?: Weather;
  readonly watchers?: readonly Watcher[];
  /** Logs and terms to start from. */
  readonly durable?: ReadonlyMap<string, Durable>;
  /** How fast a node's clock runs; asked anew at each start. */
  readonly clockRateOf?: () => number;
  /** A restarted node can prove that its former lives are dead. Default true. */
  readonly provesDeath?: boolean;
}

/** Nodes, a network, a disk per node and manual time. All chance comes from the seed and the weather. */
export class Cluster {
  readonly nodes: Map<NodeId, SimNode> = new Map();
  readonly configuration: Configuration;
  readonly prng: Prng;
  weather: Weather;
  nowMs = 0;
  steps = 0;
  private readonly optionsOf: (id: NodeId) => Partial<RaftOptions>;
  private readonly watchers: readonly Watcher[];
  private readonly strangers: ReadonlySet<NodeId>;
  private readonly clockRateOf: () => number;
  private readonly provesDeath: boolean;
  private readonly queue = new EventQueue();
  private deadlinesInARow = 0;

  constructor(start: ClusterStart) {
    this.prng = new Prng(start.seed);
    this.optionsOf = (id) => ({ ...start.options, ...start.optionsOf?.(id) });
    this.clockRateOf = start.clockRateOf ?? (() => 1);
    this.provesDeath = start.provesDeath ?? true;
    this.weather = start.weather ?? calm;
    this.watchers = start.watchers ?? [];
    const voters = foundingConfiguration(start.voters.map((id) => ({ id: nodeId(id), address: '' })));
    const learners = (start.learners ?? []).map(nodeId);
    this.configuration = { ...voters, learners };
    this.strangers = new Set((start.strangers ?? []).map(nodeId));
    for (const name of [...start.voters, ...(start.learners ?? []), ...this.strangers]) {
      const durable = start.durable?.get(name) ?? {
        hardState: { term: 0, votedFor: null, promises: [] },
        entries: [],
      };
      const output = new Output();
      const node = new SimNode(nodeId(name), durable, this.boot(nodeId(name), durable, 0, 0), output);
      node.clockRate = this.clockRateOf();
      this.nodes.set(node.id, node);
      this.arm(node, node.raft.electionDeadlineMs);
    }
  }

  node(id: string): SimNode {
    const found = this.nodes.get(id as NodeId);
    assert(found !== undefined, 'the node exists');
    return found;
  }

  clock(node: SimNode): number {
    return (this.nowMs - node.clockZeroMs) * node.clockRate;
  }

  /** What a host asks before it answers a read alone. */
  leaseGrant(node: SimNode): LeaseGrant | null {
    return node.up && !node.suspended ? leaseGrant(node.raft, this.clock(node)) : null;
  }

  after(delayMs: number, run: () => void): void {
    this.queue.push({ atMs: this.nowMs + delayMs, run, node: null, life: 0 });
  }

  /** Runs until the time has passed or nothing is left to happen. */
  runFor(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.queue.nextAtMs <= untilMs) this.runOne();
    this.nowMs = untilMs;
  }

  /** Runs the next event. Returns false when nothing is left to happen. */
  runOne(): boolean {
    const event = this.queue.pop();
    if (event === undefined) return false;
    this.nowMs = Math.max(this.nowMs, event.atMs);
    this.runEvent(event);
    return true;
  }

  step(node: SimNode, input: Input): void {
    if (!node.up) return;
    this.steps += 1;
    for (const watcher of this.watchers) watcher.beforeStep?.(node, input);
    step(node.raft, input, this.clock(node), node.output);
    for (const watcher of this.watchers) watcher.afterStep?.(node, input);
    this.arm(node, node.output.deadlineMs);
    if (node.flushPlanned) return;
    const gatherMs = this.weather.gatherMs(node);
    if (gatherMs === 0) {
      this.carryOut(node);
      return;
    }
    node.flushPlanned = true;
    this.onNode(node, gatherMs, () => {
      node.flushPlanned = false;
      this.carryOut(node);
    });
  }

  crash(node: SimNode): void {
    if (!node.up) return;
    const { batches, tornEntries } = this.weather.survivingWrites(node);
    for (const write of node.writes.splice(0, batches)) this.makeDurable(node, write);
    const torn = node.writes[0];
    if (torn !== undefined && tornEntries !== null) {
      const entries = torn.entries.slice(0, tornEntries);
      this.makeDurable(node, { ...torn, persistFrom: entries.length === 0 ? 0 : torn.persistFrom, entries });
    }
    node.up = false;
    node.life += 1;
    for (const watcher of this.watchers) watcher.crashed?.(node);
    node.writes.length = 0;
    node.flushPlanned = false;
    node.diskStalled = false;
    node.pausedUntilMs = 0;
    node.suspended = false;
  }

  restart(node: SimNode): void {
    assert(!node.up, 'only a crashed node restarts');
    // A new process has a clock of its own: what an earlier life stamped may look like the future, or like just now.
    node.clockZeroMs = this.nowMs - this.prng.between(0, 1) * this.prng.between(0, this.nowMs);
    node.clockRate = this.clockRateOf();
    node.output = new Output();
    node.raft = this.boot(node.id, node.durable, this.clock(node), node.life);
    node.up = true;
    node.armedForMs = Number.POSITIVE_INFINITY;
    this.arm(node, node.raft.electionDeadlineMs);
    for (const watcher of this.watchers) watcher.restarted?.(node);
  }

  /** The process stands still; its disk and the network do not. */
  /** The whole machine stands still, its monotonic clock with it; its host notices by the wall clock when it goes on. */
  suspend(node: SimNode, ms: number): void {
    if (!node.up || node.pausedUntilMs > this.nowMs) return;
    this.pause(node, ms);
    node.suspended = true;
    node.clockZeroMs += ms;
    this.onNode(node, 0, () => {
      node.suspended = false;
      this.step(node, { kind: InputKind.leaseDoubt, cause: 'clockJump' });
    });
  }

  pause(node: SimNode, ms: number): void {
    node.pausedUntilMs = this.nowMs + ms;
  }

  stallDisk(node: SimNode): void {
    node.diskStalled = true;
  }

  resumeDisk(node: SimNode): void {
    node.diskStalled = false;
    if (node.writes.length > 0) this.writeNext(node);
  }

  private lifeOf(life: number): Life {
    const incarnation = life + 1;
    return { incarnation, deadSince: this.provesDeath ? 1 : incarnation, lineage: 0 };
  }

  private boot(id: NodeId, durable: Durable, nowMs: number, life: number): RaftState {
    return new RaftState({
      id,
      life: this.lifeOf(life),
      prng: new Prng(this.prng.uint32()),
      nowMs,
      options: this.optionsOf(id),
      hardState: durable.hardState,
      entries: [...durable.entries],
      ...(this.strangers.has(id) ? {} : { configuration: this.configuration }),
    });
  }

  private runEvent(event: Event): void {
    const { node } = event;
    if (node !== null) {
      if (node.life !== event.life || !node.up) return;
      if (node.pausedUntilMs > this.nowMs) {
        this.queue.push({ ...event, atMs: node.pausedUntilMs });
        return;
      }
    }
    event.run();
  }

  /** Something this life of the node is to do later. */
  private onNode(node: SimNode, delayMs: number, run: () => void): void {
    this.queue.push({ atMs: this.nowMs + delayMs, run, node, life: node.life });
  }

  private arm(node: SimNode, deadlineMs: number): void {
    if (deadlineMs === node.armedForMs) return;
    node.armedForMs = deadlineMs;
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    // Never a hair too early by rounding: then nothing would be due, again and again.
    const dueMs =
      deadlineMs <= this.clock(node)
        ? 0
        : (deadlineMs - this.clock(node)) / node.clockRate + (node.clockRate === 1 ? 0 : 0.001);
    this.onNode(node, dueMs + (dueMs === 0 ? 0 : this.weather.deadlineLagMs(node)), () => {
      if (node.armedForMs !== deadlineMs) return;
      node.armedForMs = Number.POSITIVE_INFINITY;
      this.deadlinesInARow = dueMs === 0 ? this.deadlinesInARow + 1 : 0;
      assert(this.deadlinesInARow < 100, 'deadlines do not spin');
      this.step(node, { kind: InputKind.deadline });
    });
  }

  /** What a host does with an output, in the order the core asks for. */
  private carryOut(node: SimNode): void {
    const { output, raft } = node;
    for (const watcher of this.watchers) watcher.carriedOut?.(node, output);
    for (const message of output.messages) this.send(node, message);
    const entries = output.persistFrom === 0 ? [] : raft.log.range(output.persistFrom, raft.log.lastIndex);
    const write: Write = {
      hardState: output.hardState,
      persistFrom: output.persistFrom,
      entries,
      messagesAfter: [...output.messagesAfterPersist],
      receipt: output.receipt,
    };
    // Whatever waits for the disk waits for all that was handed to it before, even with nothing new to write.
    if (write.receipt !== null || (write.messagesAfter.length > 0 && node.writes.length > 0)) {
      node.writes.push(write);
      if (node.writes.length === 1) this.writeNext(node);
    } else {
      for (const message of write.messagesAfter) this.send(node, message);
    }
    const { commit } = output;
    output.reset();
    if (commit > 0) this.onNode(node, this.weather.applyMs(node), () => this.applied(node, commit));
  }

  private applied(node: SimNode, index: Index): void {
    if (index > node.raft.log.applied) this.step(node, { kind: InputKind.applied, index });
  }

  private writeNext(node: SimNode): void {
    const write = node.writes[0];
    if (write === undefined || node.diskStalled) return;
    const { life } = node;
    this.after(this.weather.writeMs(node), () => {
      if (node.life !== life || node.diskStalled || node.writes[0] !== write) return;
      node.writes.shift();
      this.makeDurable(node, write);
      this.onNode(node, 0, () => this.completed(node, write));
      this.writeNext(node);
    });
  }

  private makeDurable(node: SimNode, write: Write): void {
    const { durable } = node;
    if (write.hardState !== null) durable.hardState = write.hardState;
    if (write.persistFrom > 0) {
      assert(write.persistFrom <= durable.entries.length + 1, 'nothing is written behind a gap');
      durable.entries.length = write.persistFrom - 1;
      for (const entry of write.entries) durable.entries.push(entry);
    }
    for (const watcher of this.watchers) watcher.madeDurable?.(node, write);
  }

  private completed(node: SimNode, write: Write): void {
    for (const message of write.messagesAfter) this.send(node, message);
    const { receipt } = write;
    if (receipt === null) return;
    const lagMs = this.weather.receiptLagMs(node);
    if (lagMs === 0) this.step(node, receipt);
    else this.onNode(node, lagMs, () => this.step(node, receipt));
  }

  private send(node: SimNode, message: Message): void {
    for (const watcher of this.watchers) watcher.sent?.(node, message);
    const copies = this.weather.route(message);
    if (copies.length === 0) for (const watcher of this.watchers) watcher.lost?.(message);
    const { life } = node;
    for (const delayMs of copies) this.after(delayMs, () => this.deliver(message, life));
  }

  /** Hands a message over; to a process that stands still when it goes on. */
  deliver(message: Message, senderLife: number): void {
    const to = this.nodes.get(message.to);
    if (to === undefined || !to.up) return;
    this.onNode(to, 0, () => this.step(to, { kind: InputKind.message, message, life: this.lifeOf(senderLife) }));
  }
}
