import type { Prng } from '../base/prng.ts';
import type { NoriError } from '../base/errors.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { Consistency, ReadProof } from '../host/api.ts';
import type { WorldParts } from './checker.ts';
import type { PlannedOperation } from './workload.ts';
import type { Machine, Process } from './machine.ts';
import { type ClientOperation, type ScriptedCall, sealCommand } from './operation.ts';
import { chance, pick, skewed } from './random.ts';
import { Stalker } from './stalker.ts';
import { Kind } from './timeline.ts';
import { Violation } from './violation.ts';

export interface ClientOptions {
  /** Default 4. */
  readonly count?: number;
  /** Between an answer and the next call, at most. Default 200. */
  readonly thinkMsMax?: number;
  /** Default 2000. */
  readonly timeoutMs?: number;
  /** Calls one client has under way at most. Default 1. */
  readonly pipelined?: number;
  /** The share of calls that a node may not pass on. Default 0.1. */
  readonly unforwardedShare?: number;
  /** What reads ask for, drawn anew for each. Default: most by the leader's lease, some by a round, a few stale. */
  readonly consistency?: readonly Consistency[];
  /** Whether one more client reads at each leader that was replaced, right after a write at its successor. Default true. */
  readonly stalks?: boolean;
  /** Exactly these calls, instead of drawing any. One whose machine is not up is not made. */
  readonly script?: readonly ScriptedCall[];
}

const consistencies: readonly Consistency[] = ['lease', 'lease', 'lease', 'linearizable', 'linearizable', 'stale'];
const noResult = new Uint8Array(0);

/** What a host answered. */
interface Said {
  readonly index: Index;
  readonly proof: ReadProof | null;
  readonly result: Uint8Array;
}

/** Longer than any answer may take beyond its timeout: sweeps, turns and drifting clocks. */
const answerSlackMs = 500;

/** Users of the callback door. Each waits for its answer before it calls again, and never sends a command twice. */
export class Clients {
  /** Every call of the run. */
  readonly operations: ClientOperation[] = [];
  acknowledged = 0;
  private readonly world: WorldParts;
  private readonly prng: Prng;
  private readonly count: number;
  private readonly thinkMsMax: number;
  private readonly timeoutMs: number;
  private readonly script: readonly ScriptedCall[] | null;
  private readonly options: ClientOptions;
  /** Calls their hosts have not answered yet, those included that a client waits for no more. */
  private readonly pending = new Map<ClientOperation, Process>();
  /** Where each client went last: it stays while it is answered. */
  private readonly homes: Machine[] = [];
  private nextId = 1;
  private running = false;
  private readonly stalker: Stalker;

  constructor(world: WorldParts, prng: Prng, options: ClientOptions) {
    this.world = world;
    this.prng = prng;
    this.options = options;
    this.count = options.count ?? 4;
    this.thinkMsMax = options.thinkMsMax ?? 200;
    this.timeoutMs = options.timeoutMs ?? 2000;
    this.script = options.script ?? null;
    this.stalker = new Stalker({
      nowMs: () => world.nowMs,
      after: (delayMs, run) => world.timeline.inOrder(world.nowMs + delayMs, null, run),
      leader: (group) => world.leader(group),
      call: (machine, group, kind) => this.stalk(machine, group, kind),
    });
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    if (this.script !== null) {
      for (const call of this.script) this.world.timeline.inOrder(call.atMs, null, () => this.replay(call));
      return;
    }
    for (let client = 0; client < this.count; client += 1) {
      this.homes[client] = pick(this.prng, this.world.machines);
      for (let lane = this.options.pipelined ?? 1; lane > 0; lane -= 1) this.nextCall(client);
    }
  }

  /** No new calls; those under way go on. */
  stop(): void {
    this.running = false;
  }

  /** A machine has come to lead a group. */
  onElected(machine: Machine, group: GroupId): void {
    if (this.running && this.script === null && this.options.stalks !== false) this.stalker.elected(machine, group);
  }

  get unanswered(): number {
    return this.pending.size;
  }

  /** Calls whose time is long over though their host lives. */
  get overdue(): ClientOperation[] {
    const limitMs = this.world.nowMs - this.timeoutMs - answerSlackMs;
    return [...this.pending.keys()].filter(({ invokedMs }) => invokedMs < limitMs);
  }

  /** One write, outside the clients' own calls; for the liveness check. Null when the machine is not up. */
  probe(machine: Machine, group: GroupId): ClientOperation | null {
    const { process } = machine;
    if (!machine.up || process === null) return null;
    for (;;) {
      const planned = this.world.workload.next(this.prng, this.nextId);
      if (planned.kind === 'write') {
        return this.call(process, { client: -1, group, ...planned, forward: true, consistency: 'lease' });
      }
    }
  }

  private stalk(machine: Machine, group: GroupId, kind: ClientOperation['kind']): ClientOperation | null {
    const { process } = machine;
    if (!this.running || process?.state !== 'up') return null;
    const planned = this.plannedOf(kind);
    if (planned === null) return null;
    const consistency = this.drawConsistency((one) => one !== 'stale');
    return this.call(process, { client: this.count, group, ...planned, forward: false, consistency });
  }

  private drawConsistency(fits: (consistency: Consistency) => boolean): Consistency {
    const fitting = (this.options.consistency ?? consistencies).filter(fits);
    return fitting.length === 0 ? 'lease' : pick(this.prng, fitting);
  }

  /** A call of this kind, if the workload makes any. */
  private plannedOf(kind: ClientOperation['kind']): PlannedOperation | null {
    for (let tries = 0; tries < 30; tries += 1) {
      const planned = this.world.workload.next(this.prng, this.nextId);
      if (planned.kind === kind) return planned;
    }
    return null;
  }

  onProcessEnd(process: Process): void {
    for (const [operation, owner] of this.pending) {
      if (owner !== process) continue;
      this.pending.delete(operation);
      this.giveUp(operation, 'CRASHED');
    }
  }

  /** A client stops waiting for a node that does not answer, and tries its luck elsewhere. */
  private giveUp(operation: ClientOperation, code: string): void {
    if (operation.outcome === 'pending')
      this.settle(operation, operation.kind === 'write' ? 'unknown' : 'failed', code);
  }

  /** Draws from the clients' own stream only, so that the same calls from a script leave everything else as it was. */
  private nextCall(client: number): void {
    if (this.script !== null) return;
    const { world, prng } = this;
    world.timeline.inOrder(world.nowMs + skewed(prng, 0, this.thinkMsMax), null, () => {
      if (!this.running) return;
      if (chance(prng, 0.05)) this.homes[client] = pick(prng, world.machines);
      const machine = this.homes[client] as Machine;
      const { process } = machine;
      if (process === null || process.state !== 'up') {
        this.homes[client] = pick(prng, world.machines);
        this.nextCall(client);
        return;
      }
      const planned = world.workload.next(prng, this.nextId);
      const forward = !chance(prng, this.options.unforwardedShare ?? 0.1);
      const consistency = this.drawConsistency(() => true);
      this.call(process, { client, group: pick(prng, world.groups), ...planned, forward, consistency });
    });
  }

  private replay({ place, ...call }: ScriptedCall): void {
    const { client, group, kind, payload, forward = true, consistency = 'lease' } = call;
    const { machines } = this.world;
    const { process } = machines[place % machines.length] as Machine;
    if (!this.running || process?.state !== 'up') return;
    this.call(process, { client, group, kind, payload, forward, consistency });
  }

  private call(
    process: Process,
    asked: Pick<ClientOperation, 'client' | 'group' | 'kind' | 'payload' | 'forward' | 'consistency'>,
  ): ClientOperation {
    const { world } = this;
    const { client, group, kind, payload, forward, consistency } = asked;
    const id = this.nextId;
    this.nextId += 1;
    const operation: ClientOperation = {
      id,
      client,
      group,
      kind,
      payload,
      forward,
      consistency,
      node: process.machine.id,
      invokedMs: world.nowMs,
      answeredMs: 0,
      outcome: 'pending',
      code: '',
      index: 0,
      result: noResult,
      proof: null,
    };
    this.operations.push(operation);
    this.pending.set(operation, process);
    world.timeline.record(Kind.client, process.machine.place, kind === 'write' ? 1 : 2);
    const asking = kind === 'read' ? { id, client, group, consistency } : { id, client, group };
    world.timeline.tell(operation.node, kind, asking);
    for (const checker of world.checkers) checker.onInvoke?.(world, operation);
    // It reaches the process as any input does: later, if the machine stands still.
    world.timeline.inOrder(world.nowMs, process, () => this.enter(process, operation));
    world.timeline.inOrder(world.nowMs + this.timeoutMs + answerSlackMs, null, () =>
      this.giveUp(operation, 'CLIENT_TIMEOUT'),
    );
    return operation;
  }

  private enter(process: Process, operation: ClientOperation): void {
    const { host } = process;
    if (host === null) return;
    const { group, payload, id, forward, consistency } = operation;
    const options = { timeoutMs: this.timeoutMs, forward };
    if (operation.kind === 'write') {
      host.submit(group, sealCommand(id, payload), options, (error, index, result) =>
        this.onAnswer(operation, error, { index, proof: null, result }),
      );
    } else {
      host.query(group, payload.slice(), { ...options, consistency }, (error, proof, result) =>
        this.onAnswer(operation, error, { index: proof?.index ?? 0, proof, result }),
      );
    }
  }

  /** Called from inside a host: a broken promise is noted, not thrown. */
  private onAnswer(operation: ClientOperation, error: NoriError | null, said: Said): void {
    this.world.check(() => {
      const process = this.pending.get(operation);
      if (process !== undefined) this.world.look(process.machine);
      if (!this.pending.delete(operation)) {
        throw new Violation('OneAnswer', `operation ${operation.id} was answered twice`);
      }
      if (operation.outcome !== 'pending') {
        this.onLateAnswer(operation, error, said);
        return;
      }
      operation.index = said.index;
      operation.result = said.result.slice();
      operation.proof = said.proof;
      if (error === null) this.settle(operation, 'ok', '');
      else if (operation.kind === 'read') this.settle(operation, 'failed', error.code);
      else this.settle(operation, error.outcome === 'unknown' ? 'unknown' : 'refused', error.code);
    });
  }

  /** Nobody hears it any more, but it must be true all the same. To its client the outcome stays unknown. */
  private onLateAnswer(operation: ClientOperation, error: NoriError | null, said: Said): void {
    const { world } = this;
    const { index, proof } = said;
    if (operation.kind === 'read') {
      if (error !== null) return;
      const late = { ...operation, index, proof, result: said.result.slice(), outcome: 'ok' } as const;
      for (const checker of world.checkers) checker.onRead?.(world, late);
      return;
    }
    world.saw('answer after its client had left');
    if (error === null)
      for (const checker of world.checkers) checker.onAck?.(world, { ...operation, index, outcome: 'ok' });
    else if (error.outcome !== 'unknown') {
      const refused = { ...operation, outcome: 'refused', code: error.code } as const;
      for (const checker of world.checkers) checker.onFailed?.(world, refused);
    }
  }

  private settle(operation: ClientOperation, outcome: ClientOperation['outcome'], code: string): void {
    const { world } = this;
    operation.outcome = outcome;
    operation.code = code;
    operation.answeredMs = world.nowMs;
    const place = world.machineOf(operation.node)?.place ?? 0;
    world.timeline.record(Kind.client, place, 3);
    world.timeline.hash.text(outcome + code);
    world.timeline.hash.bytes(operation.result);
    world.timeline.tell(operation.node, `${operation.kind} ${outcome}`, {
      id: operation.id,
      code,
      index: operation.index,
    });
    if (code !== '') world.saw(`${operation.kind} ${code}`);
    for (const checker of world.checkers) {
      if (outcome !== 'ok') checker.onFailed?.(world, operation);
      else if (operation.kind === 'write') checker.onAck?.(world, operation);
      else checker.onRead?.(world, operation);
    }
    if (outcome === 'ok') this.acknowledged += 1;
    else if (operation.client >= 0) this.homes[operation.client] = pick(this.prng, world.machines);
    if (operation.client === this.count) this.stalker.answered(operation);
    else if (operation.client >= 0) this.nextCall(operation.client);
  }
}
