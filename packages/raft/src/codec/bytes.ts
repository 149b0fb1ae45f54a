import { NoriError } from '../base/errors.ts';
import { u32At } from '../base/little-endian.ts';
import { fromUtf8, utf8 } from '../base/text.ts';

const highUnit = 0x1_0000_0000;
const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** Appends fixed-width little-endian fields to a buffer that grows. Reuse one: `reset` keeps its memory. */
export class ByteWriter {
  private buffer: Uint8Array;
  private view: DataView;
  /** Where what is being written began: before it is what was carved off. */
  private base = 0;
  private at = 0;
  private readonly capacity: number;

  constructor(capacity = 4096) {
    this.capacity = capacity;
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  get length(): number {
    return this.at - this.base;
  }

  reset(): void {
    this.at = this.base;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.at] = value;
    this.at += 1;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** A whole number in [0, 2^53): terms, indexes, milliseconds since the epoch. */
  u53(value: number): void {
    this.reserve(8);
    const high = Math.floor(value / highUnit);
    this.view.setUint32(this.at, value - high * highUnit, true);
    this.view.setUint32(this.at + 4, high, true);
    this.at += 8;
  }

  /** Any double: monotonic times with their fractions. */
  f64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** Raw bytes, without a length. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Bytes with a 32-bit length before them. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** Text with a 16-bit length before it, in UTF-8. */
  text(text: string): void {
    const bytes = utf8(text);
    this.u16(bytes.length);
    this.raw(bytes);
  }

  /** Leaves room for a field whose value is known later, and says where it is. */
  skip(length: number): number {
    this.reserve(length);
    const start = this.length;
    this.at += length;
    return start;
  }

  /** Fills a 32-bit field that `skip` left. */
  u32At(position: number, value: number): void {
    this.view.setUint32(this.base + position, value, true);
  }

  /** What was written, as a view: gone at the next write or reset. */
  written(start: number = 0): Uint8Array {
    return this.buffer.subarray(this.base + start, this.at);
  }

  /** What was written, as a copy of its own. */
  take(): Uint8Array {
    return this.buffer.slice(this.base, this.at);
  }

  /**
   * What was written, without a copy and the caller's for good: writing goes on behind it. A few small ones share memory,
   * so this is for what does not live long.
   */
  carve(): Uint8Array {
    const carved = this.written();
    this.base = this.at;
    if (this.buffer.length - this.at < this.capacity / 4) this.renew(new Uint8Array(this.capacity));
    return carved;
  }

  private reserve(length: number): void {
    const needed = this.at + length;
    if (needed <= this.buffer.length) return;
    const wider = new Uint8Array(Math.max(needed - this.base, this.buffer.length * 2));
    wider.set(this.written());
    this.renew(wider);
  }

  /** Goes on in other memory, which holds what was written already. */
  private renew(buffer: Uint8Array): void {
    this.at -= this.base;
    this.base = 0;
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer);
  }
}

/** Reads what ByteWriter wrote. The bytes come from outside: whatever does not fit is WIRE_MALFORMED, never a crash. */
export class ByteReader {
  private readonly buffer: Uint8Array;
  private at: number;
  private readonly end: number;

  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    this.buffer = bytes;
    this.at = start;
    this.end = end;
  }

  get position(): number {
    return this.at;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  u8(): number {
    return this.buffer[this.advance(1)] as number;
  }

  /** A byte that is 0 or 1. */
  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw malformed('a flag is 0 or 1');
    return value === 1;
  }

  u16(): number {
    const start = this.advance(2);
    return (this.buffer[start] as number) | ((this.buffer[start + 1] as number) << 8);
  }

  u32(): number {
    return u32At(this.buffer, this.advance(4));
  }

  /** @throws NoriError WIRE_MALFORMED from 2^53 on, where JavaScript numbers stop counting. */
  u53(): number {
    const start = this.advance(8);
    const high = u32At(this.buffer, start + 4);
    if (high >= 0x20_0000) throw malformed('a number is 2^53 or more');
    return high * highUnit + u32At(this.buffer, start);
  }

  /** A finite double. */
  f64(): number {
    const start = this.advance(8);
    scratch.set(this.buffer.subarray(start, start + 8));
    const value = scratchView.getFloat64(0, true);
    if (!Number.isFinite(value)) throw malformed('a time is not finite');
    return value;
  }

  /** A view on `length` bytes. */
  raw(length: number): Uint8Array {
    const start = this.advance(length);
    return this.buffer.subarray(start, start + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    const bytes = this.raw(this.u16());
    try {
      return fromUtf8(bytes);
    } catch (cause) {
      throw malformed('a name is not UTF-8', cause);
    }
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.at !== this.end) throw malformed('bytes are left over behind the last field');
  }

  private advance(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw malformed('a field reaches beyond the end');
    this.at = start + length;
    return start;
  }
}

export function malformed(what: string, cause?: unknown): NoriError {
  return new NoriError('WIRE_MALFORMED', { message: `malformed bytes: ${what}`, cause });
}
