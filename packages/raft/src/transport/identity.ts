import { NoriError } from '../base/errors.ts';
import { lineageBytes, type PeerIdentity } from '../codec/handshake.ts';
import type { Life, NodeId } from '../core/types.ts';

export type { Incarnation, PeerIdentity } from '../codec/handshake.ts';

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return false;
  return true;
}

/** Whether two identities are one life of a node. */
export function sameIncarnation(left: PeerIdentity, right: PeerIdentity): boolean {
  return (
    left.incarnation.counter === right.incarnation.counter &&
    sameBytes(left.incarnation.nonce, right.incarnation.nonce) &&
    sameBytes(left.diskId, right.diskId)
  );
}

export function lifeOf({ incarnation, deadSince }: Pick<PeerIdentity, 'incarnation' | 'deadSince'>): Life {
  const { counter, nonce } = incarnation;
  const lineage = new DataView(nonce.buffer, nonce.byteOffset, lineageBytes).getUint32(0, true);
  return { incarnation: counter, deadSince: deadSince ?? counter, lineage };
}

/** What is remembered of a peer between its lives. The transport keeps it in memory, the host on disk. */
export type RememberedIdentity = Pick<PeerIdentity, 'diskId' | 'incarnation'>;

/**
 * Whether `offered` may follow `known` under the same node id, or why not. A wiped disk has forgotten its votes, and an
 * old copy of one has forgotten some: either could vote twice in a term.
 */
export function judgeIdentity(
  peer: NodeId,
  known: RememberedIdentity | null,
  offered: RememberedIdentity,
): NoriError | null {
  if (known === null) return null;
  if (!sameBytes(known.diskId, offered.diskId)) {
    return new NoriError('DISK_REPLACED', { message: `node ${peer} has another disk than the one its peers know` });
  }
  const before = known.incarnation;
  const now = offered.incarnation;
  if (now.counter < before.counter) {
    return new NoriError('STALE_INCARNATION', {
      message: `node ${peer} shows incarnation ${now.counter} after ${before.counter} was seen`,
    });
  }
  if (now.counter === before.counter && !sameBytes(now.nonce, before.nonce)) {
    return new NoriError('STALE_INCARNATION', { message: `two processes show incarnation ${now.counter} of ${peer}` });
  }
  return null;
}
