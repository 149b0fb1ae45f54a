import type { HostPeerStatus, NoriError } from 'nori-raft';
import type { Logger } from './logger.ts';

/**
 * What to do when peers refuse this node. A wiped disk is a reason to stop, since the node could never take part; but
 * one peer may be the one that is wrong, so a node that a quorum has accepted in this run only says so. (An old copy of
 * a disk does not come here: its host stops by itself.)
 */
export class Refusals {
  readonly #memberCount: number;
  readonly #logger: Logger;
  readonly #fatal: (error: NoriError) => void;
  readonly #logged: Set<string> = new Set();

  constructor(memberCount: number, logger: Logger, fatal: (error: NoriError) => void) {
    this.#memberCount = memberCount;
    this.#logger = logger;
    this.#fatal = fatal;
  }

  refused(peer: string, error: NoriError, peers: readonly HostPeerStatus[]): void {
    const key = `${peer} ${error.code}`;
    if (!this.#logged.has(key)) {
      this.#logged.add(key);
      this.#logger.error(
        { peer, code: error.code, remedy: error.remedy },
        `${peer} refuses this node: ${error.message}`,
      );
    }
    if (error.code !== 'DISK_REPLACED') return;
    const accepting = 1 + peers.filter((other) => other.connected && other.refusal === null).length;
    if (accepting * 2 <= this.#memberCount) this.#fatal(error);
  }
}
