import type { TransferItem } from '../codec/snapshot-transfer.ts';
import type { NodeId } from '../core/types.ts';
import { lossCodes } from './api.ts';
import type { Link } from './link.ts';

/**
 * The connections that carry snapshots, beside the one of each pair: at most one each way. Whoever sends dials, when
 * there is something to send; the other side only acknowledges.
 */
export class BulkLinks {
  private readonly outgoing = new Map<NodeId, Link>();
  private readonly incoming = new Map<NodeId, Link>();

  /** Whether one to the peer is up or being dialed. */
  dialed(to: NodeId): boolean {
    return this.outgoing.has(to);
  }

  dialing(to: NodeId, link: Link): void {
    this.outgoing.set(to, link);
  }

  /** Bytes that wait for the peer, or null when nothing can be sent to it now. */
  queuedBytes(to: NodeId): number | null {
    const link = this.outgoing.get(to);
    return link?.up === true ? link.queuedBytes : null;
  }

  /** Sends a part of a snapshot. */
  send(to: NodeId, item: TransferItem): boolean {
    return put(this.outgoing.get(to), item);
  }

  /** Acknowledges one that comes from the peer. */
  answer(to: NodeId, item: TransferItem): boolean {
    return put(this.incoming.get(to), item);
  }

  up(link: Link, peer: NodeId): void {
    if (!link.inbound) return;
    const before = this.incoming.get(peer);
    this.incoming.set(peer, link);
    before?.end({ code: lossCodes.replaced, refused: false });
  }

  ended(link: Link, peer: NodeId): void {
    const side = link.inbound ? this.incoming : this.outgoing;
    if (side.get(peer) === link) side.delete(peer);
  }

  /** There is nothing to send to the peer any more. */
  close(to: NodeId): void {
    this.outgoing.get(to)?.end({ code: lossCodes.removed, refused: false });
  }

  /** Ends both, for a peer that is gone. */
  drop(peer: NodeId): void {
    this.close(peer);
    this.incoming.get(peer)?.end({ code: lossCodes.removed, refused: false });
  }

  *links(): IterableIterator<Link> {
    yield* this.outgoing.values();
    yield* this.incoming.values();
  }
}

function put(link: Link | undefined, item: TransferItem): boolean {
  if (link?.up !== true) return false;
  link.outbox.transfer(item);
  link.flush();
  return true;
}
