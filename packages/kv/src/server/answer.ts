/** A reply that is not a Call's: known at once, or filled in when a command over many shards ends. */
export class Answer {
  bytes: Uint8Array | null;

  constructor(bytes: Uint8Array | null) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.bytes !== null;
  }
}
