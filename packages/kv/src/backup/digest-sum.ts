import type { Entry } from '../state/entry.ts';
import { hexDigest } from '../state/store.ts';

/**
 * Digests add up: the sum over the shards is the same however the keys are dealt out to them, so that what a backup holds
 * can be compared with a cluster of another number of shards.
 */
export class DigestSum {
  #low = 0;
  #high = 0;

  /** Of a shard: 16 hex digits. */
  add(digest: string): void {
    this.#high = (this.#high + Number.parseInt(digest.slice(0, 8), 16)) | 0;
    this.#low = (this.#low + Number.parseInt(digest.slice(8), 16)) | 0;
  }

  /** A key is gone. */
  subtract({ hashLow, hashHigh }: Pick<Entry, 'hashLow' | 'hashHigh'>): void {
    this.#low = (this.#low - hashLow) | 0;
    this.#high = (this.#high - hashHigh) | 0;
  }

  get text(): string {
    return hexDigest(this.#low, this.#high);
  }
}
