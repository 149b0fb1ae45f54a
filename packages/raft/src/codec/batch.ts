import { NoriError } from '../base/errors.ts';
import type { Message } from '../core/message.ts';
import type { GroupId, NodeId } from '../core/types.ts';
import { ByteReader, type ByteWriter, malformed } from './bytes.ts';
import { optionalFlag } from './frame.ts';
import { isMessageKind, readMessage, writeMessage } from './message.ts';
import { isTransferKind, readTransfer, type TransferItem, writeTransfer } from './snapshot-transfer.ts';
import { type ForwardReply, type ForwardRequest, readReply, readRequest, writeReply, writeRequest } from './request.ts';

// The body of a batch frame: items, one behind the other.
//   length u32 (of what follows it) · kind u8 · flags u8 · [messages only: group u32] · fields
// Kinds below 64 are MessageKinds, from 64 on they are host to host.
const requestKind = 64;
const replyKind = 65;

/** Where the items of a batch go, in the order they were sent. */
export interface BatchSink {
  message(group: GroupId, message: Message): void;
  request(request: ForwardRequest): void;
  reply(reply: ForwardReply): void;
  transfer(item: TransferItem): void;
}

export function writeMessageItem(writer: ByteWriter, group: GroupId, message: Message): void {
  const start = beginItem(writer, message.kind);
  writer.u32(group);
  writeMessage(writer, message);
  endItem(writer, start);
}

export function writeRequestItem(writer: ByteWriter, request: ForwardRequest): void {
  const start = beginItem(writer, requestKind);
  writeRequest(writer, request);
  endItem(writer, start);
}

export function writeReplyItem(writer: ByteWriter, reply: ForwardReply): void {
  const start = beginItem(writer, replyKind);
  writeReply(writer, reply);
  endItem(writer, start);
}

export function writeTransferItem(writer: ByteWriter, item: TransferItem): void {
  const start = beginItem(writer, item.kind);
  writeTransfer(writer, item);
  endItem(writer, start);
}

/**
 * Hands over the items one by one, as they decode: those before a bad one have been delivered when it throws.
 * @throws NoriError WIRE_MALFORMED, or WIRE_VERSION for a kind this version does not know and may not skip.
 */
export function readBatch(body: Uint8Array, from: NodeId, to: NodeId, sink: BatchSink): void {
  const reader = new ByteReader(body);
  while (reader.remaining > 0) {
    const length = reader.u32();
    if (length > reader.remaining) throw malformed('an item reaches beyond its frame');
    const end = reader.position + length;
    const kind = reader.u8();
    const flags = reader.u8();
    readItem(reader, { kind, flags, end }, from, to, sink);
    if (reader.position !== end) throw malformed('an item is not as long as it says');
  }
}

function readItem(
  reader: ByteReader,
  item: { readonly kind: number; readonly flags: number; readonly end: number },
  from: NodeId,
  to: NodeId,
  sink: BatchSink,
): void {
  if (isMessageKind(item.kind)) {
    const group = reader.u32();
    if (group === 0) throw malformed('a group id is 0');
    const message = readMessage(reader, item.kind, from, to);
    // Delivered only when it also ends where it should.
    if (reader.position === item.end) sink.message(group, message);
  } else if (item.kind === requestKind) {
    const request = readRequest(reader);
    if (reader.position === item.end) sink.request(request);
  } else if (item.kind === replyKind) {
    const reply = readReply(reader);
    if (reader.position === item.end) sink.reply(reply);
  } else if (isTransferKind(item.kind)) {
    const transfer = readTransfer(reader, item.kind);
    if (reader.position === item.end) sink.transfer(transfer);
  } else if ((item.flags & optionalFlag) !== 0) {
    if (item.end < reader.position) throw malformed('an item is not as long as it says');
    reader.raw(item.end - reader.position);
  } else {
    throw new NoriError('WIRE_VERSION', { message: `the peer sent an item of the unknown kind ${item.kind}` });
  }
}

function beginItem(writer: ByteWriter, kind: number): number {
  const start = writer.skip(4);
  writer.u8(kind);
  writer.u8(0);
  return start;
}

function endItem(writer: ByteWriter, start: number): void {
  writer.u32At(start, writer.length - start - 4);
}
