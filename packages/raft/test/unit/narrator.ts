import {
  type AppendReply,
  type AppendRequest,
  type Configuration,
  type Entry,
  type Index,
  type Input,
  type Message,
  MessageKind,
  type Note,
  type Output,
  Role,
  type VoteReply,
} from '../../src/core/index.ts';
import type { Cluster, SimNode, Watcher, Write } from './cluster.ts';

/** Tells what happens as a reader would want to hear it: everything but heartbeats that say nothing new. */
export class Narrator implements Watcher {
  private readonly lines: string[] = [];
  private readonly matchTold: Map<string, Index> = new Map();
  private cluster: Cluster | null = null;
  private epochBefore = 0;
  private lastIndexBefore: Index = 0;
  private roleBefore: Role = Role.follower;

  watch(cluster: Cluster): void {
    this.cluster = cluster;
  }

  /** What was told since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }

  tell(sentence: string): void {
    const atMs = String(Math.round(this.cluster?.nowMs ?? 0)).padStart(6);
    this.lines.push(`${atMs}  ${sentence}`);
  }

  beforeStep(node: SimNode, _input: Input): void {
    this.epochBefore = node.raft.log.epoch;
    this.lastIndexBefore = node.raft.log.lastIndex;
    this.roleBefore = node.raft.role;
  }

  afterStep(node: SimNode, _input: Input): void {
    const { log } = node.raft;
    if (log.epoch === this.epochBefore) return;
    this.tell(`${node.id} drops ${span(node.output.persistFrom, this.lastIndexBefore)} of its log`);
  }

  carriedOut(node: SimNode, output: Output): void {
    const { id, raft } = node;
    for (const note of output.notes) {
      const sentence = this.noteOf(node, note);
      if (sentence !== null) this.tell(sentence);
    }
    for (const taken of output.accepted) {
      const payload = raft.log.entryAt(taken.index).payload;
      this.tell(`${id} takes ${Buffer.from(payload).toString()} as entry ${taken.index} of term ${taken.term}`);
    }
    for (const { code, reason } of output.changesRefused) this.tell(`${id} refuses the change: ${code}, ${reason}`);
    for (const { code, leader } of output.refused) {
      this.tell(`${id} refuses a proposal: ${code}${leader === null ? '' : `, ask ${leader}`}`);
    }
    if (output.commit > 0) {
      this.tell(
        raft.role === Role.leader
          ? `${id} commits through ${output.commit}`
          : `${id} hears that ${output.commit} is committed`,
      );
    }
    for (const { id: read, index, limbo } of output.readsReleased)
      this.tell(`${id} answers read ${read} as of index ${index}${limbo ? ', if nothing in limbo concerns it' : ''}`);
    for (const { id: read, code } of output.readsRefused) this.tell(`${id} refuses read ${read}: ${code}`);
  }

  sent(_node: SimNode, message: Message): void {
    const sentence = this.messageOf(message);
    if (sentence !== null) this.tell(`${message.from} -> ${message.to}: ${sentence}`);
  }

  madeDurable(node: SimNode, write: Write): void {
    const parts = [];
    if (write.hardState !== null) {
      const { term, votedFor, promises } = write.hardState;
      parts.push(`term ${term}${votedFor === null ? '' : ` with its vote for ${votedFor}`}`);
      for (const promise of promises) parts.push(`its promise to ${promise.holder} in term ${promise.term}`);
    }
    if (write.entries.length > 0) parts.push(span(write.persistFrom, write.persistFrom + write.entries.length - 1));
    if (parts.length > 0) this.tell(`${node.id} has on disk: ${parts.join(', ')}`);
  }

  crashed(node: SimNode): void {
    const { raft, durable } = node;
    const lost = [];
    if (raft.term > durable.hardState.term) lost.push(`term ${raft.term}`);
    else if (raft.votedFor !== durable.hardState.votedFor) lost.push(`its vote for ${raft.votedFor}`);
    if (raft.log.lastIndex > durable.entries.length) lost.push(span(durable.entries.length + 1, raft.log.lastIndex));
    this.tell(`${node.id} crashes${lost.length === 0 ? '' : `, and ${lost.join(' and ')} with it`}`);
  }

  restarted(node: SimNode): void {
    const { term, votedFor } = node.durable.hardState;
    const vote = votedFor === null ? '' : `, its vote for ${votedFor}`;
    this.tell(`${node.id} is back with term ${term}${vote} and ${logOf(node.durable.entries)}`);
  }

  /** Every node in one line. */
  standing(): string[] {
    const lines = [];
    for (const { id, up, raft, durable } of this.cluster?.nodes.values() ?? []) {
      const { log } = raft;
      if (!up) {
        lines.push(`        ${id} is down; its disk has term ${durable.hardState.term}, ${logOf(durable.entries)}`);
        continue;
      }
      const entries = log.lastIndex === 0 ? [] : log.range(1, log.lastIndex);
      lines.push(`        ${id} ${roleNames[raft.role]} in term ${raft.term}, ${logOf(entries)}, commit ${log.commit}`);
    }
    return lines;
  }

  /** Every node's configuration in effect in one line. */
  members(): string[] {
    return [...(this.cluster?.nodes.values() ?? [])]
      .filter(({ up }) => up)
      .map(
        ({ id, raft }) => `        ${id} knows ${groupOf(raft.configuration)}, from entry ${raft.configurationIndex}`,
      );
  }

  private noteOf(node: SimNode, note: Note): string | null {
    const { id } = node;
    switch (note.kind) {
      case 'campaignStarted':
        return note.preVote
          ? `${id} asks who would elect it in term ${note.term}`
          : `${id} stands for term ${note.term}`;
      case 'leaderGone':
        return `${id} learns that the process of ${note.node} has ended`;
      case 'leaderElected':
        return note.node === id ? `${id} leads term ${note.term}` : `${id} follows ${note.node} in term ${note.term}`;
      case 'steppedDown':
        return `${id} steps down from term ${note.term}: ${note.reason}`;
      case 'transferFailed':
        return `${id} stays in office: ${note.to} did not take over`;
      case 'leaseLost':
        return `${id} has lost its lease of term ${note.term}: ${note.cause}`;
      case 'barrier':
        return note.waitMs === 0 && note.limboEntries === 0 ? null : `${id} ${barrierOf(note)}`;
      case 'roleChanged':
        return note.role === Role.follower && this.roleBefore !== Role.leader && node.raft.leaderId === null
          ? `${id} gives its campaign up`
          : null;
      case 'configurationAppended':
        return `${id} changes to ${groupOf(note.configuration)} with entry ${note.index}`;
      case 'learnerCaughtUp':
        return `${id} has ${note.node} caught up in ${rounds(note.rounds)}`;
      case 'learnerTooSlow':
        return `${id} gives up on ${note.node} after ${rounds(note.rounds)}`;
      case 'removed':
        return `${id} hears that entry ${note.configurationIndex} removed it`;
      case 'voteRequested':
      case 'voteGranted':
        return null;
      default:
        return null;
    }
  }

  private messageOf(message: Message): string | null {
    switch (message.kind) {
      case MessageKind.preVote:
        return null; // the note of the campaign has told it
      case MessageKind.vote:
        return `vote for me in term ${message.term}, my log ends at ${place(message.lastIndex, message.lastTerm)}`;
      case MessageKind.preVoteReply:
      case MessageKind.voteReply:
        return voteReplyOf(message);
      case MessageKind.append:
        return appendOf(message);
      case MessageKind.appendReply:
        return this.appendReplyOf(message);
      case MessageKind.timeoutNow:
        return 'stand at once, I hand over';
      case MessageKind.removed:
        return `you are no member since entry ${message.configurationIndex}`;
      default:
        return null;
    }
  }

  private appendReplyOf(reply: AppendReply): string | null {
    if (!reply.accepted) {
      if (reply.matchIndex === 0) return `your time is over, this is term ${reply.term}`;
      return `no match at ${reply.matchIndex}, perhaps at ${place(reply.hintIndex, reply.hintTerm)}`;
    }
    const key = `${reply.from}/${reply.to}/${reply.term}`;
    if (reply.matchIndex <= (this.matchTold.get(key) ?? 0)) return null;
    this.matchTold.set(key, reply.matchIndex);
    return `I hold all through ${reply.matchIndex}`;
  }
}

function groupOf({ incoming, outgoing, learners, learnersNext, planned }: Configuration): string {
  const parts = [`voters ${incoming.join(' ')}`];
  if (outgoing.length > 0) parts.push(`and jointly ${outgoing.join(' ')}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(' ')}`);
  if (learnersNext.length > 0) parts.push(`then learners ${learnersNext.join(' ')}`);
  if (planned !== undefined) parts.push(`planned voters ${planned.voters.join(' ')}`);
  return incoming.length === 0 ? 'nobody' : parts.join(', ');
}

function rounds(count: number): string {
  return count === 1 ? 'one round' : `${count} rounds`;
}

function barrierOf(note: Extract<Note, { kind: 'barrier' }>): string {
  const limbo =
    note.limboEntries === 0 ? '' : `has ${note.limboEntries} ${note.limboEntries === 1 ? 'entry' : 'entries'} in limbo`;
  if (note.waitMs === 0) return limbo;
  return `commits nothing for ${Math.ceil(note.waitMs)} ms${limbo === '' ? '' : `, and ${limbo}`}`;
}

const roleNames: Readonly<Record<Role, string>> = ['follows', 'asks for pre-votes', 'is a candidate', 'leads'];

function voteReplyOf(reply: VoteReply): string {
  const { granted, term } = reply;
  if (reply.kind === MessageKind.preVoteReply)
    return granted ? `I would, in term ${term}` : `I would not, my term is ${term}`;
  return granted ? `my vote in term ${term}` : `no vote in term ${term}`;
}

function appendOf(append: AppendRequest): string | null {
  if (append.entries.length === 0) return null;
  const last = append.prevIndex + append.entries.length;
  return `${span(append.prevIndex + 1, last)} after ${place(append.prevIndex, append.prevTerm)}`;
}

function place(index: Index, term: number): string {
  return index === 0 ? 'the beginning' : `${index} (term ${term})`;
}

function span(from: Index, to: Index): string {
  return from === to ? `entry ${from}` : `entries ${from}-${to}`;
}

function logOf(entries: readonly Entry[]): string {
  return entries.length === 0 ? 'an empty log' : `log ${entries.map((entry) => entry.term).join(' ')}`;
}
