import type { HostPeerStatus, NoriError } from 'nori-raft';

/**
 * What to do when peers refuse this node. A wiped disk is a reason to stop, since the node could never take part; but
 * one peer may be the one that is wrong, so a node that a quorum has accepted in this run goes on: its host has said so. (An old
 * copy of a disk does not come here: its host stops by itself.)
 */
export class Refusals {
  readonly #memberCount: number;
  readonly #fatal: (error: NoriError) => void;

  constructor(memberCount: number, fatal: (error: NoriError) => void) {
    this.#memberCount = memberCount;
    this.#fatal = fatal;
  }

  refused(error: NoriError, peers: readonly HostPeerStatus[]): void {
    if (error.code !== 'DISK_REPLACED') return;
    const accepting = 1 + peers.filter((other) => other.connected && other.refusal === null).length;
    if (accepting * 2 <= this.#memberCount) this.#fatal(error);
  }
}
