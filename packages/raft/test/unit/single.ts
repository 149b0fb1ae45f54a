import { Prng } from '../../src/base/prng.ts';
import {
  type AppendReply,
  type AppendRequest,
  type Configuration,
  type Entry,
  entry,
  EntryKind,
  foundingConfiguration,
  type HardState,
  type Input,
  InputKind,
  type Life,
  type Message,
  MessageKind,
  type NodeId,
  nodeId,
  Output,
  type RaftOptions,
  RaftState,
  type SnapshotPoint,
  step,
  type VoteReply,
} from '../../src/core/index.ts';

/** One node under a microscope: the test plays its disk, its peers and its clock. */
export class Single {
  readonly raft: RaftState;
  readonly output = new Output();
  nowMs = 0;

  constructor(start: {
    readonly id?: string;
    readonly voters: readonly string[];
    readonly entries?: readonly Entry[];
    readonly term?: number;
    readonly votedFor?: string;
    readonly configuration?: Configuration;
    readonly snapshot?: SnapshotPoint;
    readonly options?: Partial<RaftOptions>;
    readonly life?: Life;
    readonly promises?: HardState['promises'];
  }) {
    this.raft = new RaftState({
      id: nodeId(start.id ?? 'n1'),
      prng: new Prng(1),
      nowMs: 0,
      entries: start.entries ?? [],
      hardState: {
        term: start.term ?? 0,
        votedFor: start.votedFor === undefined ? null : nodeId(start.votedFor),
        promises: start.promises ?? [],
      },
      ...(start.life === undefined ? {} : { life: start.life }),
      ...(start.snapshot === undefined ? {} : { snapshot: start.snapshot }),
      configuration: start.configuration ?? votersOnly(...start.voters),
      options: start.options ?? {},
    });
  }

  /** Steps, and returns what is to be sent at once; what waits for the disk stays in `output`. */
  step(input: Input): readonly Message[] {
    this.output.messages.length = 0;
    step(this.raft, input, this.nowMs, this.output);
    return [...this.output.messages];
  }

  receive(message: Message): readonly Message[] {
    return this.step({ kind: InputKind.message, message });
  }

  /** The disk catches up. Returns what had waited for it, and what the receipt brought about. */
  persist(): readonly Message[] {
    const { receipt, messagesAfterPersist } = this.output;
    const waited = [...messagesAfterPersist];
    this.output.reset();
    return receipt === null ? waited : [...waited, ...this.step(receipt)];
  }

  propose(...payloads: readonly Uint8Array[]): readonly Message[] {
    const proposals = payloads.map((payload, id) => ({ id, entryKind: EntryKind.command, payload }));
    return this.step({ kind: InputKind.propose, proposals, wallMs: 0 });
  }

  read(...readIds: readonly number[]): readonly Message[] {
    return this.step({ kind: InputKind.read, readIds });
  }

  /** Wins an election of the next term with the votes of all, and has the entry that opens the term durable. */
  lead(): void {
    this.step({ kind: InputKind.campaign });
    for (const from of this.peers)
      this.receive(voteReply({ from, to: this.raft.id, term: this.raft.term + 1, pre: true }));
    this.persist();
    for (const from of this.peers)
      this.receive(voteReply({ from, to: this.raft.id, term: this.raft.term, pre: false }));
    this.persist();
  }

  /** Answers as `from` would that held all of this leader's log. */
  ack(from: string, fields: Partial<AppendReply> = {}): readonly Message[] {
    return this.receive(appendReply(this, from, fields));
  }

  private get peers(): readonly NodeId[] {
    return this.raft.configuration.incoming.filter((id) => id !== this.raft.id);
  }
}

export function votersOnly(...ids: readonly string[]): Configuration {
  return foundingConfiguration(ids.map((id) => ({ id: nodeId(id), address: '' })));
}

export function voteReply(fields: {
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly pre: boolean;
  readonly granted?: boolean;
}): VoteReply {
  return {
    kind: fields.pre ? MessageKind.preVoteReply : MessageKind.voteReply,
    from: nodeId(fields.from),
    to: nodeId(fields.to),
    term: fields.term,
    granted: fields.granted ?? true,
    commit: 0,
    promises: [],
  };
}

export function append(
  fields: Partial<AppendRequest> & { readonly from: NodeId; readonly to: NodeId; readonly term: number },
): AppendRequest {
  return {
    kind: MessageKind.append,
    prevIndex: 0,
    prevTerm: 0,
    entries: [],
    commit: 0,
    sentMs: 0,
    round: 0,
    leaseMs: 0,
    driftPpm: 0,
    probe: false,
    ...fields,
  };
}

function appendReply(leader: Single, from: string, fields: Partial<AppendReply>): AppendReply {
  return {
    kind: MessageKind.appendReply,
    from: nodeId(from),
    to: leader.raft.id,
    term: leader.raft.term,
    accepted: true,
    matchIndex: leader.raft.log.lastIndex,
    hintIndex: 0,
    hintTerm: 0,
    sentMs: leader.nowMs,
    round: leader.raft.round,
    peerMs: 0,
    ...fields,
  };
}

/** Commands of the given terms, from index 1. */
export function logOf(...terms: readonly number[]): Entry[] {
  return terms.map((term, at) => entry({ index: at + 1, term, kind: EntryKind.command, timeMs: 0 }));
}

export function appendsTo(to: string, messages: readonly Message[]): readonly AppendRequest[] {
  return messages.filter(
    (message): message is AppendRequest => message.kind === MessageKind.append && message.to === to,
  );
}
