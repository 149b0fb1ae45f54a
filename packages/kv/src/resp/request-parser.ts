import { splitInline } from './inline.ts';

/** What a connection may make us hold. The defaults leave room for the largest key and value, and little more. */
export interface RequestLimits {
  readonly inlineBytesMax: number;
  readonly argumentsMax: number;
  readonly bulkBytesMax: number;
  /** All arguments of one command together: without it, a million large ones would fit the other limits. */
  readonly commandBytesMax: number;
  /** Before AUTH, as Redis since 6.2.6: strangers may not make the server hold memory. */
  readonly unauthenticatedArgumentsMax: number;
  readonly unauthenticatedBulkBytesMax: number;
}

export const defaultRequestLimits: RequestLimits = {
  inlineBytesMax: 64 * 1024,
  argumentsMax: 1024 * 1024,
  bulkBytesMax: 8 * 1024 * 1024 + 64 * 1024,
  commandBytesMax: 64 * 1024 * 1024,
  unauthenticatedArgumentsMax: 10,
  unauthenticatedBulkBytesMax: 16 * 1024,
};

const Header = { incomplete: 0, complete: 1, broken: 2 } as const;
type Header = (typeof Header)[keyof typeof Header];

const CR = 0x0d;
const LF = 0x0a;
const star = 0x2a;
const dollar = 0x24;
/** A length that is longer than this cannot be one: answer at once instead of buffering a line without an end. */
const headerBytesMax = 24;
const nothing = Buffer.alloc(0);

/**
 * An incremental parser of Redis requests: arrays of bulk strings, and inline commands. `push` what the socket gave,
 * then call `next` until it answers null; if `error` is then set, send it and close the connection.
 *
 * Arguments are views of the pushed chunks, so a chunk must not be reused, and what is kept for long must be copied.
 */
export class RequestParser {
  /** The text of a protocol error (without the `-`), after which the stream cannot be understood. */
  error: string | null = null;
  /** False while a password is required and was not given: narrower limits hold. */
  authenticated: boolean;
  readonly #limits: RequestLimits;
  #bytes: Buffer = nothing;
  #at = 0;
  #end = 0;
  /** Whether #bytes is our own buffer, with room behind #end. Bytes before #end are never written again. */
  #owned = false;
  #searched = 0;
  #arguments: Buffer[] = [];
  #argumentsMissing = 0;
  #bulkBytes = -1;
  #commandBytes = 0;
  #length = 0;

  constructor(options: { readonly authenticated?: boolean; readonly limits?: Partial<RequestLimits> } = {}) {
    this.authenticated = options.authenticated ?? true;
    this.#limits = { ...defaultRequestLimits, ...options.limits };
  }

  /** Bytes received that no command has used yet. */
  get bufferedBytes(): number {
    return this.#end - this.#at + this.#commandBytes;
  }

  push(chunk: Uint8Array): void {
    const left = this.#end - this.#at;
    if (left === 0) {
      this.#bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      this.#at = 0;
      this.#end = chunk.length;
      this.#owned = false;
      this.#searched = 0;
      return;
    }
    if (!this.#owned || this.#end + chunk.length > this.#bytes.length) this.#grow(left, chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next complete command (never empty), or null: more bytes are needed, or `error` is set. */
  next(): Buffer[] | null {
    while (this.error === null) {
      if (this.#argumentsMissing > 0) {
        if (!this.#readArguments()) return null;
        const complete = this.#arguments;
        this.#arguments = [];
        this.#commandBytes = 0;
        return complete;
      }
      if (this.#at === this.#end) {
        this.#bytes = nothing;
        this.#at = this.#end = this.#searched = 0;
        return null;
      }
      if (this.#bytes[this.#at] === star) {
        if (!this.#readArrayHeader()) return null;
      } else {
        const words = this.#readInline();
        if (words === null) return null;
        if (words.length > 0) return words;
      }
    }
    return null;
  }

  /** Doubling, so that a request that comes byte by byte is copied a constant number of times. */
  #grow(left: number, more: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(1024, 2 * (left + more)));
    grown.set(this.#bytes.subarray(this.#at, this.#end));
    this.#searched = Math.max(0, this.#searched - this.#at);
    this.#bytes = grown;
    this.#at = 0;
    this.#end = left;
    this.#owned = true;
  }

  #fail(text: string): false {
    this.error = `ERR Protocol error: ${text}`;
    this.#bytes = nothing;
    this.#at = this.#end = 0;
    this.#arguments = [];
    return false;
  }

  #readArrayHeader(): boolean {
    const header = this.#readLength();
    if (header === Header.incomplete) return false;
    if (header === Header.broken || this.#length > this.#limits.argumentsMax)
      return this.#fail('invalid multibulk length');
    if (!this.authenticated && this.#length > this.#limits.unauthenticatedArgumentsMax)
      return this.#fail('unauthenticated multibulk length');
    // Redis skips empty and null arrays without a reply.
    this.#argumentsMissing = Math.max(0, this.#length);
    return true;
  }

  #readArguments(): boolean {
    const bytes = this.#bytes;
    const list = this.#arguments;
    while (this.#argumentsMissing > 0) {
      if (this.#bulkBytes < 0 && !this.#readBulkHeader()) return false;
      const end = this.#at + this.#bulkBytes;
      if (end + 2 > this.#end) return false;
      if (bytes[end] !== CR || bytes[end + 1] !== LF) return this.#fail('expected CRLF after a bulk string');
      list.push(bytes.subarray(this.#at, end));
      this.#at = end + 2;
      this.#bulkBytes = -1;
      this.#argumentsMissing -= 1;
    }
    return true;
  }

  #readBulkHeader(): boolean {
    if (this.#at === this.#end) return false;
    const kind = this.#bytes[this.#at] as number;
    if (kind !== dollar) return this.#fail(`expected '$', got '${String.fromCharCode(kind)}'`);
    const header = this.#readLength();
    if (header === Header.incomplete) return false;
    const length = this.#length;
    if (header === Header.broken || length < 0 || length > this.#limits.bulkBytesMax)
      return this.#fail('invalid bulk length');
    if (!this.authenticated && length > this.#limits.unauthenticatedBulkBytesMax)
      return this.#fail('unauthenticated bulk length');
    this.#commandBytes += length;
    if (this.#commandBytes > this.#limits.commandBytesMax) return this.#fail('too big command');
    this.#bulkBytes = length;
    return true;
  }

  /** Reads `*<length>CRLF` or `$<length>CRLF` into #length, as strictly as Redis: no plus sign, no leading zero. */
  #readLength(): Header {
    const bytes = this.#bytes;
    const end = Math.min(this.#end, this.#at + headerBytesMax);
    let at = this.#at + 1;
    const negative = at < end && bytes[at] === 0x2d;
    if (negative) at += 1;
    const first = at;
    let length = 0;
    for (; at < end; at += 1) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    if (at === end) return end === this.#end && at - this.#at < headerBytesMax ? Header.incomplete : Header.broken;
    if (bytes[at] !== CR || at === first) return Header.broken;
    if (bytes[first] === 0x30 && (at > first + 1 || negative)) return Header.broken;
    if (at + 1 >= this.#end) return Header.incomplete;
    if (bytes[at + 1] !== LF) return Header.broken;
    this.#length = negative ? -length : length;
    this.#at = at + 2;
    return Header.complete;
  }

  #readInline(): Buffer[] | null {
    const found = this.#bytes.indexOf(LF, Math.max(this.#at, this.#searched));
    const newline = found >= 0 && found < this.#end ? found : -1;
    if ((newline < 0 ? this.#end : newline) - this.#at > this.#limits.inlineBytesMax) {
      this.#fail('too big inline request');
      return null;
    }
    if (newline < 0) {
      this.#searched = this.#end;
      return null;
    }
    const words = splitInline(this.#bytes.subarray(this.#at, newline));
    this.#at = newline + 1;
    if (words === null) {
      this.#fail('unbalanced quotes in request');
      return null;
    }
    // A browser tricked into posting to this port must not get to its body, which could hold commands.
    const verb = words[0] === undefined || words[0].length > 5 ? '' : words[0].toString('latin1').toLowerCase();
    if (verb === 'post' || verb === 'host:') {
      this.#fail('HTTP request on the Redis port');
      return null;
    }
    return words;
  }
}
