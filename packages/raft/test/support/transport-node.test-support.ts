import type { NoriError } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import { MessageKind, type TimeoutNow } from '../../src/core/message.ts';
import { type NodeId, nodeId } from '../../src/core/types.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Network } from '../../src/ports/network.ts';
import type { Random } from '../../src/ports/random.ts';
import type { PeerIdentity, PeerLoss, TransportEvents } from '../../src/transport/api.ts';
import type { TransportLimits } from '../../src/transport/limits.ts';
import { Transport } from '../../src/transport/transport.ts';

export function identity(disk: number, counter = 1, nonce = counter): PeerIdentity {
  return {
    diskId: new Uint8Array(16).fill(disk),
    incarnation: { counter, nonce: new Uint8Array(8).fill(nonce) },
    attributes: {},
  };
}

export function seededRandom(seed: number): Random {
  const prng = new Prng(seed);
  return {
    uint32: () => prng.uint32(),
    bytes: (length) => Uint8Array.from({ length }, () => prng.between(0, 255)),
  };
}

/** A small message that says which it is. */
export function numbered(number: number): TimeoutNow {
  return { kind: MessageKind.timeoutNow, from: nodeId('x'), to: nodeId('y'), term: number, releasedTerm: 0 };
}

export interface NodeOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly listenAddress?: string;
  readonly identity?: PeerIdentity;
  readonly cluster?: number;
  readonly limits?: Partial<TransportLimits>;
  readonly admit?: TransportEvents['admit'];
}

/** A transport that writes down all it is told. */
export class TransportNode {
  readonly id: NodeId;
  readonly transport: Transport;
  readonly log: string[] = [];
  readonly received: number[] = [];
  readonly losses: PeerLoss[] = [];
  batchEnds = 0;

  constructor(name: string, options: NodeOptions) {
    this.id = nodeId(name);
    this.transport = new Transport({
      clock: options.clock,
      network: options.network,
      random: seededRandom(name.charCodeAt(1)),
      self: {
        nodeId: this.id,
        clusterId: new Uint8Array(16).fill(options.cluster ?? 7),
        identity: options.identity ?? identity(name.charCodeAt(1)),
      },
      listenAddress: options.listenAddress ?? name,
      ...(options.limits && { limits: options.limits }),
      events: this.events(options.admit ?? (() => Promise.resolve(null))),
      knownPeers: () => [[nodeId('n9'), new Uint8Array(16).fill(9)]],
    });
  }

  private events(admit: TransportEvents['admit']): TransportEvents {
    const said = (what: string) => (peer: NodeId, error: NoriError) => this.log.push(`${what} ${peer} ${error.code}`);
    return {
      admit,
      onMessage: (_peer, _group, message) => this.received.push(message.term),
      onRequest: (peer, request) => this.log.push(`request ${peer} ${request.id}`),
      onReply: (peer, reply) => this.log.push(`reply ${peer} ${reply.id}`),
      onTransfer: (peer, item) => this.log.push(`transfer ${peer} ${item.kind}`),
      onBulkUp: (peer) => this.log.push(`bulk up ${peer}`),
      onBulkDown: (peer) => this.log.push(`bulk down ${peer}`),
      onBatchEnd: () => {
        this.batchEnds += 1;
      },
      onPeerUp: (peer, _life, returned) => this.log.push(returned ? `up again ${peer}` : `up ${peer}`),
      onPeerDown: (peer, why) => {
        this.losses.push(why);
        this.log.push(`down ${peer} ${why.code}`);
      },
      onRefused: said('refused by'),
      onRejected: (_remote, error) => this.log.push(`rejected ${error.code}`),
    };
  }
}
