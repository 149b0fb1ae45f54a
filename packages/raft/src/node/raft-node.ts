import type {
  AppliedCommandSource,
  CallOptions,
  GroupStatus,
  MemberStatus,
  MembersChange,
  ReadAnswer,
  ReadOptions,
  ReadProof,
} from '../host/api.ts';
import type { Executed } from '../host/client.ts';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';
import { RaftHost, type RaftHostConfig } from './raft-host.ts';

const onlyGroup = 1;

/** What `RaftNode.create` is told. With nothing at all it is a cluster of one, in memory. */
export interface RaftConfig extends Omit<RaftHostConfig, 'id' | 'members'> {
  /** Default 'n1'. */
  readonly id?: string;
  /** Peer addresses, HOST:PORT, by node id, this node's own included. Default: this node alone. */
  readonly members?: Readonly<Record<string, string>>;
  /** Default: one that keeps nothing, for those who only follow `subscribeApplied`. */
  readonly stateMachine?: StateMachine;
}

/** A replicated log, as the specification names it. */
export interface ReplicatedLog {
  propose(command: Uint8Array, options?: CallOptions): Promise<number>;
  readIndex(options?: CallOptions): Promise<ReadProof>;
  isLeader(): boolean;
  leader(): string | null;
  subscribeApplied(): AppliedCommandSource;
  installSnapshot(image: AsyncIterable<Uint8Array>): Promise<void>;
}

/** One group with a host of its own. For many groups, use RaftHost. */
export class RaftNode implements ReplicatedLog {
  private readonly host: RaftHost;

  private constructor(host: RaftHost) {
    this.host = host;
  }

  /**
   * Starts a node. Three fields make it durable and replicated: `id`, `dataDir` and `members`.
   *
   * @throws NoriError what RaftHost.open throws.
   */
  static async create(config: RaftConfig = {}): Promise<RaftNode> {
    const { stateMachine = new NullStateMachine(), id = 'n1', members = { [id]: '' }, ...rest } = config;
    const host = await RaftHost.open({ ...rest, id, members });
    try {
      await host.createGroup({ group: onlyGroup, stateMachine });
    } catch (error) {
      await host.close({ handover: false });
      throw error;
    }
    return new RaftNode(host);
  }

  /** Replicates a command; resolves with its index once it is committed and applied. Throws what RaftHost.execute throws. */
  propose(command: Uint8Array, options?: CallOptions): Promise<number> {
    return this.host.propose(onlyGroup, command, options);
  }

  /** `propose`, with the state machine's answer. */
  execute(command: Uint8Array, options?: CallOptions): Promise<Executed> {
    return this.host.execute(onlyGroup, command, options);
  }

  /** Asks the state machine. Throws what RaftHost.read throws. */
  read(query: Uint8Array, options?: ReadOptions): Promise<ReadAnswer> {
    return this.host.read(onlyGroup, query, options);
  }

  /** Resolves when the own state machine has every command acknowledged before the call: now it is safe to read it. */
  readIndex(options?: CallOptions): Promise<ReadProof> {
    return this.host.readIndex(onlyGroup, options);
  }

  isLeader(): boolean {
    return this.host.isLeader(onlyGroup);
  }

  leader(): string | null {
    return this.host.leader(onlyGroup);
  }

  /** Commands as they are applied here, from now on. `break` lets go. */
  subscribeApplied(): AppliedCommandSource {
    return this.host.subscribeApplied(onlyGroup);
  }

  /** Throws what RaftHost.transferLeadership throws. */
  transferLeadership(to: string | null = null): Promise<void> {
    return this.host.transferLeadership(onlyGroup, to);
  }

  /** Why it cannot elect, commit or read right now, a sentence each; empty when nothing is in the way. */
  explain(): string[] {
    return this.host.explain(onlyGroup);
  }

  /** Replaces the state by an image from outside. Throws what RaftHost.installSnapshot throws. */
  async installSnapshot(image: AsyncIterable<Uint8Array>): Promise<void> {
    await this.host.installSnapshot(onlyGroup, image);
  }

  /** Takes a snapshot of this node's state now. Throws what RaftHost.triggerSnapshot throws. */
  triggerSnapshot(): Promise<number> {
    return this.host.triggerSnapshot(onlyGroup);
  }

  /** Makes a node that was started with `join` a voter, once it has caught up. Throws what RaftHost.changeMembers throws. */
  addMember(id: string, address: string, options?: CallOptions): Promise<number> {
    return this.host.addMember(onlyGroup, id, address, options);
  }

  /** Removes a member, be it this node. Throws what RaftHost.changeMembers throws. */
  removeMember(id: string, options?: CallOptions): Promise<number> {
    return this.host.removeMember(onlyGroup, id, options);
  }

  /** Says where a member is to be found from now on. Throws what RaftHost.changeMembers throws. */
  moveMember(id: string, address: string, options?: CallOptions): Promise<number> {
    return this.host.moveMember(onlyGroup, id, address, options);
  }

  /** Any change of members in one step. Throws what RaftHost.changeMembers throws. */
  changeMembers(change: MembersChange, options?: CallOptions): Promise<number> {
    return this.host.changeMembers(onlyGroup, change, options);
  }

  /** Throws what RaftHost.giveUpChange throws. */
  giveUpChange(options?: CallOptions): Promise<number> {
    return this.host.giveUpChange(onlyGroup, options);
  }

  members(): readonly MemberStatus[] {
    return this.host.members(onlyGroup);
  }

  /** Hexadecimal: what a node that joins gives as `clusterId`. */
  get clusterId(): string {
    return this.host.status().clusterId;
  }

  status(): GroupStatus {
    return this.host.groupStatus(onlyGroup);
  }

  /** Hands leadership over, then stops. May be called more than once. */
  close(): Promise<void> {
    return this.host.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class NullStateMachine implements StateMachine {
  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    return entries.map(() => new Uint8Array(0));
  }

  query(): Uint8Array {
    return new Uint8Array(0);
  }

  // oxlint-disable-next-line require-yield
  async *snapshot(): AsyncIterable<Uint8Array> {}

  restore(): Promise<void> {
    return Promise.resolve();
  }
}
