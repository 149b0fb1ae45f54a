import type { NoriError } from '../base/errors.ts';
import type { PeerIdentity } from '../codec/handshake.ts';
import type { ForwardReply, ForwardRequest } from '../codec/request.ts';
import type { TransferItem } from '../codec/snapshot-transfer.ts';
import type { Message } from '../core/message.ts';
import type { GroupId, Life, NodeId } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Network } from '../ports/network.ts';
import type { Random } from '../ports/random.ts';
import type { TrafficCounters } from './counters.ts';
import type { TransportLimits } from './limits.ts';

export type { PeerIdentity } from '../codec/handshake.ts';
export type { ForwardReply, ForwardRequest } from '../codec/request.ts';

export interface TransportOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  /** Whether this node founds a cluster and has not met all of it. Absent: it does not. */
  readonly founding?: () => boolean;
  readonly self: { readonly nodeId: NodeId; readonly clusterId: Uint8Array; readonly identity: PeerIdentity };
  readonly listenAddress: string;
  readonly limits?: Partial<TransportLimits>;
  readonly events: TransportEvents;
  /** The disk ids this node has met its peers with, told to every peer in the handshake. */
  knownPeers(): Iterable<readonly [NodeId, Uint8Array]>;
}

export interface PeerLoss {
  /** An ErrorCode, or one of `lossCodes`. */
  readonly code: string;
  /** Nobody listens at the peer's address: its process is gone. */
  readonly refused: boolean;
}

/** Why a connection ended that no error ended. */
export const lossCodes = {
  /** The other side, or the network, closed it. */
  lost: 'LOST',
  /** A newer connection of the same peer took its place. */
  replaced: 'REPLACED',
  /** Nothing was heard for too long. */
  silent: 'SILENT',
  /** No connection or no handshake in time. */
  timeout: 'TIMEOUT',
  /** `removePeer`. */
  removed: 'REMOVED',
  /** Nobody listens at the address. */
  refused: 'REFUSED',
} as const;

/** All are called synchronously from the network's callbacks, and none after `close`. They must not throw. */
export interface TransportEvents {
  /**
   * Judges a peer that shook hands, and makes its identity durable before the connection counts. Resolves with null to
   * accept it, or with the error to refuse it with. `vouched` is what the peer says of other nodes' disk ids.
   */
  admit(
    peer: NodeId,
    identity: PeerIdentity,
    vouched: readonly (readonly [NodeId, Uint8Array])[],
  ): Promise<NoriError | null>;
  /** `life` is the life of the peer that sent it. */
  onMessage(peer: NodeId, group: GroupId, message: Message, life: Life): void;
  onRequest(peer: NodeId, request: ForwardRequest): void;
  onReply(peer: NodeId, reply: ForwardReply): void;
  /** A part of a snapshot, or an acknowledgement of one. */
  onTransfer(peer: NodeId, item: TransferItem): void;
  /** The connection for snapshots to the peer may be used. */
  onBulkUp(peer: NodeId): void;
  /** It is gone, or could not be made. */
  onBulkDown(peer: NodeId): void;
  /** After the last frame of one received chunk: the host may start a turn. */
  onBatchEnd(): void;
  /** `returned`: it is a later life of the peer than the one that was up before, which therefore has ended. */
  onPeerUp(peer: NodeId, life: Life, returned: boolean): void;
  /**
   * A connection that was up is gone; and then, at most once until the next one, with `refused`: nobody listens at the
   * peer's address any more.
   */
  onPeerDown(peer: NodeId, why: PeerLoss): void;
  /** The peer refused this node. Told once per reason until a connection succeeds. */
  onRefused(peer: NodeId, error: NoriError): void;
  /** A connection was ended for what the other side said or was. Bounded per second; `counters.rejected` has all. */
  onRejected(remote: string, error: NoriError): void;
}

export interface PeerStatus {
  readonly id: NodeId;
  readonly address: string;
  readonly connected: boolean;
  /** As last admitted; null before the first time. */
  readonly identity: PeerIdentity | null;
  readonly queuedBytes: number;
  readonly counters: Readonly<TrafficCounters>;
}
