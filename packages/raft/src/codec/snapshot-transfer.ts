import type { GroupId } from '../core/types.ts';
import { type ByteReader, type ByteWriter, malformed } from './bytes.ts';

// How a snapshot file travels, on a connection of its own: an offer with its header, acknowledged with how much of it
// is there already; then its bytes, from there on. Each chunk is acknowledged when it is written.
export const TransferKind = { offer: 66, chunk: 67, ack: 68 } as const;
export type TransferKind = (typeof TransferKind)[keyof typeof TransferKind];

export const TransferStatus = {
  /** Go on from `offset`. */
  more: 0,
  /** All of it is there, and is being verified or taken over. */
  installing: 1,
  /** The group has what the snapshot covers. */
  done: 2,
  /** Not now, or not this one. */
  refused: 3,
  /** The file was damaged when it had arrived. */
  damaged: 4,
} as const;
export type TransferStatus = (typeof TransferStatus)[keyof typeof TransferStatus];

interface Transferred {
  /** Drawn by the sender for one attempt; answers to earlier ones are told apart by it. */
  readonly transfer: number;
  readonly group: GroupId;
}

export interface SnapshotOffer extends Transferred {
  readonly kind: typeof TransferKind.offer;
  /** The first bytes of the file. */
  readonly header: Uint8Array;
}

export interface SnapshotChunk extends Transferred {
  readonly kind: typeof TransferKind.chunk;
  /** Where in the file the bytes stand. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface SnapshotAck extends Transferred {
  readonly kind: typeof TransferKind.ack;
  /** So many bytes of the file are there. */
  readonly offset: number;
  readonly status: TransferStatus;
}

export type TransferItem = SnapshotOffer | SnapshotChunk | SnapshotAck;

export function isTransferKind(kind: number): kind is TransferKind {
  return kind >= TransferKind.offer && kind <= TransferKind.ack;
}

export function writeTransfer(writer: ByteWriter, item: TransferItem): void {
  writer.u53(item.transfer);
  writer.u32(item.group);
  if (item.kind === TransferKind.offer) {
    writer.bytes(item.header);
    return;
  }
  writer.u53(item.offset);
  if (item.kind === TransferKind.chunk) writer.bytes(item.bytes);
  else writer.u8(item.status);
}

/** Headers and bytes are views on the reader's. @throws NoriError WIRE_MALFORMED. */
export function readTransfer(reader: ByteReader, kind: TransferKind): TransferItem {
  const transfer = reader.u53();
  const group = reader.u32();
  if (kind === TransferKind.offer) return { kind, transfer, group, header: reader.bytes() };
  const offset = reader.u53();
  if (kind === TransferKind.chunk) return { kind, transfer, group, offset, bytes: reader.bytes() };
  const status = reader.u8();
  if (status > TransferStatus.damaged) throw malformed(`a snapshot is acknowledged with the unknown status ${status}`);
  return { kind, transfer, group, offset, status: status as TransferStatus };
}
