import {
  type Consistency,
  type ErrorCode,
  type ExecuteDone,
  type GroupStatus,
  type HostPeerStatus,
  type HostStatus,
  type MembersChange,
  type NodeId,
  NoriError,
  type ReadDone,
} from 'nori-raft';
import type { KvHost } from '../../src/router/host.ts';
import { KvStateMachine } from '../../src/state/kv-state-machine.ts';

const nothing = new Uint8Array(0);

interface Waiting {
  readonly group: number;
  readonly write: boolean;
  readonly run: (error: NoriError | null) => void;
}

/**
 * A host without Raft: one state machine per group, every command applied when it is released. With `held`, calls wait
 * until the test releases them, in the order and with the errors it likes.
 */
export class FakeHost implements KvHost {
  readonly machines: Map<number, KvStateMachine> = new Map();
  readonly waiting: Waiting[] = [];
  readonly submitted: {
    readonly group: number;
    readonly write: boolean;
    readonly forward: boolean;
    readonly consistency: Consistency | null;
  }[] = [];
  readonly transfers: { readonly group: number; readonly to: string | null }[] = [];
  readonly changes: { readonly group: number; readonly change: MembersChange }[] = [];
  onFailed: ((error: NoriError) => void) | null = null;
  onRefused: ((peer: string, error: NoriError) => void) | null = null;
  closed = false;
  held = false;
  /** Asked for each call that is not held; an error refuses it. */
  fault: (group: number, write: boolean) => NoriError | null = () => null;
  /** Leader by group; default: this node. */
  leaders: Map<number, string | null> = new Map();
  nodes: Map<string, HostPeerStatus> = new Map();
  /** Groups that have removed this node, which never got the entry that says so. */
  removedFrom: Set<number> = new Set();
  applied = 0;
  readonly id: string;

  constructor(options: { readonly id?: string; readonly groups?: number } = {}) {
    this.id = options.id ?? 'n1';
    for (let group = 1; group <= (options.groups ?? 0); group += 1) this.machines.set(group, new KvStateMachine());
  }

  addPeer(id: string, details: Partial<HostPeerStatus> = {}): void {
    const number = id.slice(1);
    const attributes = { resp: `127.0.0.1:700${number}`, http: `127.0.0.1:710${number}` };
    this.nodes.set(id, {
      id: id as NodeId,
      address: `127.0.0.1:720${number}`,
      connected: true,
      attributes,
      priority: 100,
      refusal: null,
      ...details,
    });
  }

  createGroup({
    group,
    stateMachine,
  }: {
    readonly group: number;
    readonly stateMachine: KvStateMachine;
  }): Promise<void> {
    this.machines.set(group, stateMachine);
    return Promise.resolve();
  }

  submit(
    group: number,
    command: Uint8Array,
    options: { timeoutMs: number; forward: boolean },
    done: ExecuteDone,
  ): void {
    this.submitted.push({ group, write: true, forward: options.forward, consistency: null });
    this.#arrive(group, true, (error) => {
      if (error !== null) return done(error, 0, nothing);
      this.applied += 1;
      const entry = { index: this.applied, term: 1, timeMs: 1_000_000 + this.applied, command };
      const machine = this.machines.get(group) as KvStateMachine;
      const [result] = machine.apply([entry]) as readonly Uint8Array[];
      done(null, this.applied, result as Uint8Array);
    });
  }

  query(
    group: number,
    query: Uint8Array,
    options: { consistency: Consistency; timeoutMs: number; forward: boolean },
    done: ReadDone,
  ): void {
    this.submitted.push({ group, write: false, forward: options.forward, consistency: options.consistency });
    this.#arrive(group, false, (error) => {
      if (error !== null) return done(error, null, nothing);
      const via = options.consistency === 'stale' ? 'stale' : 'readIndex';
      const machine = this.machines.get(group) as KvStateMachine;
      done(null, { via, index: this.applied, term: 1 }, machine.query(query));
    });
  }

  readIndex(_group: number): Promise<void> {
    return Promise.resolve();
  }

  /** Ends the waiting call at `position`. */
  release(position: number, error: NoriError | null = null): void {
    const [call] = this.waiting.splice(position, 1);
    call?.run(error);
  }

  releaseAll(): void {
    while (this.waiting.length > 0) this.release(0);
  }

  refillGroup(): Promise<void> {
    return Promise.resolve();
  }

  groupStatus(group: number): GroupStatus {
    const leader = this.leaders.has(group) ? (this.leaders.get(group) as string | null) : this.id;
    const members = [this.id, ...this.nodes.keys()].sort() as NodeId[];
    return {
      group,
      role: leader === this.id ? 'leader' : 'follower',
      term: 7,
      leader: leader as NodeId | null,
      commit: this.applied,
      applied: this.applied,
      lastIndex: this.applied,
      persistedIndex: this.applied,
      voters: members,
      learners: [],
      members: members.map((id) => ({ id, address: `127.0.0.1:720${id.slice(1)}`, role: 'voter' })),
      change: null,
      removed: this.removedFrom.has(group),
      halted: null,
      quarantine: null,
      lease: null,
      peers: [...this.nodes.keys()].map((id) => ({ id: id as NodeId, matchIndex: this.applied, state: 'replicate' })),
    };
  }

  status(): HostStatus {
    return {
      id: this.id as NodeId,
      clusterId: 'c0ffee',
      address: '127.0.0.1:7201',
      founded: true,
      state: 'running',
      failure: null,
      diskFull: false,
      groups: [...this.machines.keys()].map((group) => this.groupStatus(group)),
      peers: this.peers(),
      wal: {},
      transport: {},
    };
  }

  peers(): readonly HostPeerStatus[] {
    return [...this.nodes.values()];
  }

  transferLeadership(group: number, to: string | null): Promise<void> {
    this.transfers.push({ group, to });
    return Promise.resolve();
  }

  changeMembers(group: number, change: MembersChange): Promise<number> {
    this.changes.push({ group, change });
    return Promise.resolve(this.applied);
  }

  handOver(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  #arrive(group: number, write: boolean, run: (error: NoriError | null) => void): void {
    if (this.held) this.waiting.push({ group, write, run });
    else run(this.fault(group, write));
  }
}

export function failure(code: ErrorCode, details: { leaderHint?: string } = {}): NoriError {
  return new NoriError(code, { message: `made to fail: ${code}`, ...details });
}
