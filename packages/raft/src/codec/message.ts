import { unreachable } from '../base/assert.ts';
import {
  type AppendReply,
  type AppendRequest,
  type Message,
  MessageKind,
  type RemainingPromise,
  type TimeoutNow,
  type VoteReply,
  type VoteRequest,
} from '../core/message.ts';
import type { Entry, Index, NodeId, Term } from '../core/types.ts';
import { type ByteReader, type ByteWriter, malformed } from './bytes.ts';
import { entryBytes, readEntry, readId, writeEntry } from './entry.ts';

// The fields of each message; docs/wire-format.md shows them as tables. `from` and `to` are not written: they are the
// handshaken peer and the reader itself, so a peer cannot speak in another's name.

/** From here on a drift is no drift: promises would last for ever. */
const driftPpmEnd = 500_000;

/** More than the fields of any message take, without its entries. */
const fieldsBytesMax = 128;

/** What a message takes when encoded, near enough for limits (a configuration counts as nothing). */
export function messageBytes(message: Message): number {
  if (message.kind !== MessageKind.append) return fieldsBytesMax;
  let bytes = fieldsBytesMax;
  for (const item of message.entries) bytes += entryBytes(item);
  return bytes;
}

export function writeMessage(writer: ByteWriter, message: Message): void {
  writer.u53(message.term);
  switch (message.kind) {
    case MessageKind.preVote:
    case MessageKind.vote:
      writer.u53(message.lastIndex);
      writer.u53(message.lastTerm);
      writer.u53(message.commit);
      writer.u8(message.transfer ? 1 : 0);
      writer.u53(message.releasedTerm);
      return;
    case MessageKind.preVoteReply:
    case MessageKind.voteReply:
      writeVoteReply(writer, message);
      return;
    case MessageKind.append:
      writeAppend(writer, message);
      return;
    case MessageKind.appendReply:
      writer.u8(message.accepted ? 1 : 0);
      writer.u53(message.matchIndex);
      writer.u53(message.hintIndex);
      writer.u53(message.hintTerm);
      writer.f64(message.sentMs);
      writer.u53(message.round);
      writer.f64(message.peerMs);
      return;
    case MessageKind.timeoutNow:
      writer.u53(message.releasedTerm);
      return;
    case MessageKind.removed:
      writer.u53(message.configurationIndex);
      return;
    default:
      unreachable(message);
  }
}

/** The message of a known kind. Payloads are views on the reader's bytes. */
export function readMessage(reader: ByteReader, kind: MessageKind, from: NodeId, to: NodeId): Message {
  switch (kind) {
    case MessageKind.preVote:
    case MessageKind.vote:
      return readVoteRequest(reader, kind, from, to);
    case MessageKind.preVoteReply:
    case MessageKind.voteReply:
      return readVoteReply(reader, kind, from, to);
    case MessageKind.append:
      return readAppend(reader, from, to);
    case MessageKind.appendReply:
      return readAppendReply(reader, from, to);
    case MessageKind.timeoutNow:
      return readTimeoutNow(reader, from, to);
    case MessageKind.removed:
      return { kind, from, to, term: reader.u53(), configurationIndex: reader.u53() };
    default:
      return unreachable(kind);
  }
}

export function isMessageKind(kind: number): kind is MessageKind {
  return (kind >= MessageKind.preVote && kind <= MessageKind.timeoutNow) || kind === MessageKind.removed;
}

function readVoteRequest(reader: ByteReader, kind: VoteRequest['kind'], from: NodeId, to: NodeId): VoteRequest {
  const term = reader.u53();
  const lastIndex = reader.u53();
  const lastTerm = reader.u53();
  const commit = reader.u53();
  const transfer = reader.flag();
  const releasedTerm = reader.u53();
  if (lastTerm > term) throw malformed('a candidate has an entry from beyond its term');
  return { kind, from, to, term, lastIndex, lastTerm, commit, transfer, releasedTerm };
}

function writeVoteReply(writer: ByteWriter, message: VoteReply): void {
  writer.u8(message.granted ? 1 : 0);
  writer.u53(message.commit);
  writer.u16(message.promises.length);
  for (const promise of message.promises) {
    writer.text(promise.holder);
    writer.u53(promise.incarnation);
    writer.u32(promise.lineage);
    writer.u53(promise.term);
    writer.f64(promise.remainingMs);
  }
}

function readVoteReply(reader: ByteReader, kind: VoteReply['kind'], from: NodeId, to: NodeId): VoteReply {
  const term = reader.u53();
  const granted = reader.flag();
  const commit = reader.u53();
  const promises: RemainingPromise[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) {
    promises.push({
      holder: readId(reader),
      incarnation: reader.u53(),
      lineage: reader.u32(),
      term: reader.u53(),
      remainingMs: readDuration(reader),
    });
  }
  return { kind, from, to, term, granted, commit, promises };
}

function writeAppend(writer: ByteWriter, message: AppendRequest): void {
  writer.u53(message.prevIndex);
  writer.u53(message.prevTerm);
  writer.u53(message.commit);
  writer.f64(message.sentMs);
  writer.u53(message.round);
  writer.f64(message.leaseMs);
  writer.u32(message.driftPpm);
  writer.u8(message.probe ? 1 : 0);
  writer.u32(message.entries.length);
  for (const item of message.entries) writeEntry(writer, item);
}

function readAppend(reader: ByteReader, from: NodeId, to: NodeId): AppendRequest {
  const term = reader.u53();
  const prevIndex = reader.u53();
  const prevTerm = reader.u53();
  const commit = reader.u53();
  const sentMs = reader.f64();
  const round = reader.u53();
  const leaseMs = readDuration(reader);
  const driftPpm = reader.u32();
  if (driftPpm >= driftPpmEnd) throw malformed('a clock that runs at half or twice the pace is none');
  const probe = reader.flag();
  if (prevIndex === 0 && prevTerm !== 0) throw malformed('nothing stands before the first entry, not even a term');
  if (prevTerm > term) throw malformed('a leader has an entry from beyond its term');
  const entries = readEntries(reader, prevIndex, prevTerm, term);
  return {
    kind: MessageKind.append,
    from,
    to,
    term,
    prevIndex,
    prevTerm,
    entries,
    commit,
    sentMs,
    round,
    leaseMs,
    driftPpm,
    probe,
  };
}

/** Entries are contiguous by construction; their terms rise from the term before them to the leader's at most. */
function readEntries(reader: ByteReader, prevIndex: Index, prevTerm: Term, leaderTerm: Term): Entry[] {
  const count = reader.u32();
  if (prevIndex > Number.MAX_SAFE_INTEGER - count) throw malformed('an index is 2^53 or more');
  const entries: Entry[] = [];
  let termBefore = prevTerm;
  for (let at = 1; at <= count; at += 1) {
    const item = readEntry(reader, prevIndex + at);
    if (item.term < termBefore) throw malformed('the terms of entries go back');
    termBefore = item.term;
    entries.push(item);
  }
  if (termBefore > leaderTerm) throw malformed('a leader has an entry from beyond its term');
  return entries;
}

function readAppendReply(reader: ByteReader, from: NodeId, to: NodeId): AppendReply {
  return {
    kind: MessageKind.appendReply,
    from,
    to,
    term: reader.u53(),
    accepted: reader.flag(),
    matchIndex: reader.u53(),
    hintIndex: reader.u53(),
    hintTerm: reader.u53(),
    sentMs: reader.f64(),
    round: reader.u53(),
    peerMs: reader.f64(),
  };
}

function readTimeoutNow(reader: ByteReader, from: NodeId, to: NodeId): TimeoutNow {
  return { kind: MessageKind.timeoutNow, from, to, term: reader.u53(), releasedTerm: reader.u53() };
}

function readDuration(reader: ByteReader): number {
  const durationMs = reader.f64();
  if (durationMs < 0) throw malformed('a duration is negative');
  return durationMs;
}
