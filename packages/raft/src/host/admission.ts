import { NoriError } from '../base/errors.ts';
import type { NodeId } from '../core/types.ts';
import type { PeerIdentity } from '../transport/identity.ts';
import { type DataDirectory, judgePeer } from '../wal/data-directory.ts';

/** Whom this host may speak with. */
export interface Roll {
  readonly isMember: (peer: NodeId) => boolean;
  /** Some group of this host has it in its configuration. */
  readonly isNamed: (peer: NodeId) => boolean;
}

/**
 * Decides who may be a peer. A node is what its disk is: a known name on another disk, or an older life of the same
 * disk, may have forgotten votes, so it is refused (docs/adr/0003). The first meeting is believed and written down
 * before the peer counts, unless another peer remembers that name with another disk.
 */
export class Admission {
  private readonly directory: DataDirectory;
  private readonly self: NodeId;
  private readonly roll: Roll;
  /** Disk ids that admitted peers vouch for, as hexadecimal, by node. */
  private readonly vouched = new Map<NodeId, string>();

  constructor(directory: DataDirectory, self: NodeId, roll: Roll) {
    this.directory = directory;
    this.self = self;
    this.roll = roll;
  }

  async admit(
    peer: NodeId,
    identity: PeerIdentity,
    vouched: readonly (readonly [NodeId, Uint8Array])[],
  ): Promise<NoriError | null> {
    if (!this.roll.isMember(peer)) {
      return new NoriError('UNKNOWN_MEMBER', { message: `${peer} is not a member of this cluster` });
    }
    const known = this.directory.peers.get(peer);
    const verdict = judgePeer(known, identity);
    if (verdict === 'DISK_REPLACED') return replaced(peer, 'this node');
    if (verdict === 'STALE_INCARNATION') {
      return new NoriError('STALE_INCARNATION', { message: `${peer} was seen with a later life of its disk` });
    }
    if (known === undefined && identity.founding === true && this.isPastFounding(peer)) {
      return replaced(peer, 'a founded cluster');
    }
    const remembered = this.vouched.get(peer);
    if (remembered !== undefined && remembered !== hex(identity.diskId)) return replaced(peer, 'another peer');
    for (const [node, diskId] of vouched) if (node !== this.self && node !== peer) this.remember(node, diskId);
    if (verdict === 'record') await this.directory.recordPeer(peer, identity);
    return null;
  }

  /**
   * A cluster is founded once, by nodes that have all met. Who left it, comes back with an empty disk and goes about
   * founding it again, is let in only when some group names it anew.
   */
  private isPastFounding(peer: NodeId): boolean {
    return this.directory.founded && !this.roll.isNamed(peer);
  }

  /** The node left: whoever comes under its name next is met for the first time. */
  async forget(peer: NodeId): Promise<void> {
    this.vouched.delete(peer);
    if (this.directory.peers.has(peer)) await this.directory.forgetPeer(peer);
  }

  /** Whether every one of these nodes was met, and none under a name that somebody knows with another disk. */
  hasMet(nodes: Iterable<NodeId>): boolean {
    for (const node of nodes) {
      if (node === this.self) continue;
      const known = this.directory.peers.get(node);
      if (known === undefined || this.isDisputed(node)) return false;
    }
    return true;
  }

  /** A peer that was believed at first, and that somebody else remembers with another disk. */
  isDisputed(node: NodeId): boolean {
    const known = this.directory.peers.get(node);
    const remembered = this.vouched.get(node);
    return known !== undefined && remembered !== undefined && remembered !== hex(known.diskId);
  }

  private remember(node: NodeId, diskId: Uint8Array): void {
    if (!this.vouched.has(node)) this.vouched.set(node, hex(diskId));
  }
}

function replaced(peer: NodeId, who: string): NoriError {
  return new NoriError('DISK_REPLACED', {
    message: `${who} knows ${peer} with another disk: it was wiped, or its id is used twice`,
  });
}

export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
