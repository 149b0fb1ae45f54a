import type { Consistency, ExecuteDone, Index, NoriError, ReadDone, ReadProof } from 'nori-raft';

/** The client should ask another node: the answer of redirect mode. */
export interface Moved {
  readonly slot: number;
  readonly address: string;
}

/** Why a call has no result. Exactly one of the two is set. */
export interface Failure {
  readonly error: NoriError | null;
  readonly moved: Moved | null;
}

/** Hears of a call's end, exactly once. */
export interface CallOwner {
  settled(call: Call): void;
}

/** Drives the attempts of a call: hears of each attempt's end. */
export interface CallDriver {
  attempted(call: Call, error: NoriError | null): void;
}

export interface CallDetails {
  readonly owner: CallOwner;
  readonly write: boolean;
  readonly slot: number;
  readonly shard: number;
  /** What the log carries, or what the state machine is asked. */
  readonly payload: Uint8Array;
  readonly deadlineMs: number;
  readonly consistency: Consistency;
  /** Whether this node may pass the call to the leader. */
  readonly forward: boolean;
}

/** One command on its way through one shard: one object and one closure, whatever happens to it. */
export class Call {
  readonly write: boolean;
  readonly slot: number;
  readonly shard: number;
  readonly payload: Uint8Array;
  readonly deadlineMs: number;
  readonly consistency: Consistency;
  forward: boolean;
  /** Place among the calls of its session; the order in which they take effect. */
  sequence: number = 0;
  attempts: number = 0;
  done: boolean = false;
  result: Uint8Array | null = null;
  failure: Failure | null = null;
  index: Index = 0;
  proof: ReadProof | null = null;
  driver: CallDriver | null = null;
  readonly onAttempt: ExecuteDone | ReadDone;
  readonly #owner: CallOwner;

  constructor(details: CallDetails) {
    this.#owner = details.owner;
    this.write = details.write;
    this.slot = details.slot;
    this.shard = details.shard;
    this.payload = details.payload;
    this.deadlineMs = details.deadlineMs;
    this.consistency = details.consistency;
    this.forward = details.forward;
    this.onAttempt = details.write
      ? (error: NoriError | null, index: Index, result: Uint8Array): void => {
          this.index = index;
          this.#attempted(error, result);
        }
      : (error: NoriError | null, proof: ReadProof | null, result: Uint8Array): void => {
          this.proof = proof;
          this.#attempted(error, result);
        };
  }

  #attempted(error: NoriError | null, result: Uint8Array): void {
    if (error === null) this.result = result;
    this.driver?.attempted(this, error);
  }

  succeed(): void {
    this.done = true;
    this.#owner.settled(this);
  }

  fail(failure: Failure): void {
    this.done = true;
    this.failure = failure;
    this.#owner.settled(this);
  }
}
