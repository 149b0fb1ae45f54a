import { NoriError } from '../base/errors.ts';
import { Ring } from '../base/ring.ts';
import type { Index } from '../core/types.ts';

export interface AppliedCommand {
  readonly index: Index;
  readonly command: Uint8Array;
}

const bufferedMax = 65_536;
const bufferedBytesMax = 64 << 20;

interface Waiting {
  resolve(result: IteratorResult<AppliedCommand>): void;
  reject(error: unknown): void;
}

/**
 * Commands as they are applied on this node, from the moment of subscribing. Breaking out of the loop ends it. A
 * reader that falls more than 65,536 commands or 64 MiB behind gets OVERLOADED: applying never waits for a reader.
 */
export class Subscription implements AsyncIterableIterator<AppliedCommand> {
  private readonly buffered = new Ring<AppliedCommand>();
  private readonly release: (subscription: Subscription) => void;
  private readonly waiting = new Ring<Waiting>();
  private bufferedBytes = 0;
  private ended = false;
  private error: NoriError | null = null;

  constructor(release: (subscription: Subscription) => void) {
    this.release = release;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  offer(index: Index, payload: Uint8Array): void {
    if (this.ended) return;
    const value = { index, command: new Uint8Array(payload) };
    const reader = this.waiting.shift();
    if (reader !== undefined) {
      reader.resolve({ value, done: false });
    } else if (this.buffered.length < bufferedMax && this.bufferedBytes < bufferedBytesMax) {
      this.buffered.push(value);
      this.bufferedBytes += payload.length;
    } else {
      this.buffered.clear();
      this.end(
        new NoriError('OVERLOADED', { message: 'the reader of applied commands fell too far behind', outcome: 'none' }),
      );
      this.release(this);
    }
  }

  /** No more commands come. With an error, the reader gets it after what is buffered; CLOSED ends the loop quietly. */
  end(error: NoriError | null): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error?.code === 'CLOSED' ? null : error;
    for (let reader = this.waiting.shift(); reader !== undefined; reader = this.waiting.shift()) {
      if (this.error === null) reader.resolve({ value: undefined, done: true });
      else reader.reject(this.takeError());
    }
  }

  next(): Promise<IteratorResult<AppliedCommand>> {
    const value = this.buffered.shift();
    if (value !== undefined) {
      this.bufferedBytes -= value.command.length;
      return Promise.resolve({ value, done: false });
    }
    if (this.error !== null) return Promise.reject(this.takeError());
    if (this.ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<AppliedCommand>> {
    this.release(this);
    this.buffered.clear();
    this.end(null);
    return Promise.resolve({ value: undefined, done: true });
  }

  /** An iterator throws once, then is done. */
  private takeError(): NoriError {
    const error = this.error as NoriError;
    this.error = null;
    return error;
  }
}
