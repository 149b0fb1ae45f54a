import { crc32c } from '../base/crc32c.ts';
import { NoriError } from '../base/errors.ts';
import type { ByteWriter } from './bytes.ts';
import { malformed } from './bytes.ts';

// A frame: length u32 · crc32c u32 · type u8 · flags u8 · body. The length counts what follows the checksum; the
// checksum covers length, type, flags and body.
export const frameHeadBytes = 10;
const lengthAndChecksumBytes = 8;
const typeAndFlagsBytes = 2;

/** The numbers are the wire's: never reuse one. */
export const FrameType = { hello: 1, welcome: 2, refuse: 3, batch: 4, ping: 5, pong: 6 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** A reader that does not know the type or kind it is set on skips it, instead of closing the connection. */
export const optionalFlag = 1;

/** What any frame but a batch may measure, and every frame until the handshake has ended. */
export const controlFrameBytesMax: number = 64 * 1024;

/** A partial body starts with this much memory, however long it says it will be. */
const firstAllocationBytes = 256 * 1024;
const allocationGrowth = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** Memory of its own: what is decoded as a view on it stays valid. */
  readonly body: Uint8Array;
}

/** Opens a frame and says where it starts; `endFrame` wants to know. */
export function beginFrame(writer: ByteWriter, type: FrameType, flags = 0): number {
  const start = writer.skip(lengthAndChecksumBytes);
  writer.u8(type);
  writer.u8(flags);
  return start;
}

/** Fills in the length and the checksum of everything written since `beginFrame`. */
export function endFrame(writer: ByteWriter, start: number): void {
  writer.u32At(start, writer.length - start - lengthAndChecksumBytes);
  const frame = writer.written(start);
  writer.u32At(start + 4, crc32c(frame, lengthAndChecksumBytes, frame.length, crc32c(frame, 0, 4)));
}

/**
 * Cuts a byte stream into frames, wherever the chunks are split. `push` a chunk, then call `next` until it answers
 * null: the chunk is borrowed only until then. After it threw, the stream is lost: close the connection.
 */
export class FrameReader {
  private readonly head = new Uint8Array(frameHeadBytes);
  private readonly headView = new DataView(this.head.buffer);
  private headFilled = 0;
  private body: Uint8Array | null = null;
  private bodyFilled = 0;
  private bodyLength = 0;
  private chunk: Uint8Array = this.head;
  private at = 0;
  private end = 0;
  /** Until the handshake has ended nothing larger than a control frame is accepted. */
  private frameBytesMax = controlFrameBytesMax;

  /** The handshake is over: batches of up to `frameBytesMax` bytes may come. */
  allowBatches(frameBytesMax: number): void {
    this.frameBytesMax = Math.max(frameBytesMax, controlFrameBytesMax);
  }

  /** Whether a frame has begun that is not complete. */
  get midFrame(): boolean {
    return this.headFilled > 0;
  }

  push(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.at = 0;
    this.end = chunk.length;
  }

  /** @throws NoriError WIRE_TOO_LARGE, WIRE_MALFORMED or WIRE_CHECKSUM. */
  next(): Frame | null {
    if (this.headFilled < frameHeadBytes && !this.fillHead()) return null;
    const body = this.fillBody();
    if (body === null) return null;
    const checksum = crc32c(
      body,
      0,
      body.length,
      crc32c(this.head, lengthAndChecksumBytes, frameHeadBytes, crc32c(this.head, 0, 4)),
    );
    if (checksum !== this.headView.getUint32(4, true)) {
      throw new NoriError('WIRE_CHECKSUM', { message: 'a frame does not match its checksum' });
    }
    this.headFilled = 0;
    return { type: this.head[8] as number, flags: this.head[9] as number, body };
  }

  /** Judges the length as soon as its four bytes are there, and the type as soon as it is: garbage ends at once. */
  private fillHead(): boolean {
    while (this.at < this.end && this.headFilled < frameHeadBytes) {
      this.head[this.headFilled] = this.chunk[this.at] as number;
      this.headFilled += 1;
      this.at += 1;
      if (this.headFilled === 4) this.judgeLength(this.frameBytesMax);
      if (this.headFilled === 9 && this.head[8] !== FrameType.batch) this.judgeLength(controlFrameBytesMax);
    }
    if (this.headFilled < frameHeadBytes) return false;
    this.bodyLength = this.headView.getUint32(0, true) - typeAndFlagsBytes;
    this.bodyFilled = 0;
    this.body = null;
    return true;
  }

  private judgeLength(bytesMax: number): void {
    const length = this.headView.getUint32(0, true);
    if (length < typeAndFlagsBytes) throw malformed('a frame is too short to have a type');
    if (length <= bytesMax) return;
    throw new NoriError('WIRE_TOO_LARGE', {
      message: `a frame announces ${length} bytes where at most ${bytesMax} are allowed`,
      ...(this.frameBytesMax === controlFrameBytesMax && {
        remedy: 'something that is not a peer spoke to the peer port: check who connects to it',
      }),
    });
  }

  private fillBody(): Uint8Array | null {
    const arrived = Math.min(this.end - this.at, this.bodyLength - this.bodyFilled);
    const body = this.room(this.bodyFilled + arrived);
    body.set(this.chunk.subarray(this.at, this.at + arrived), this.bodyFilled);
    this.at += arrived;
    this.bodyFilled += arrived;
    if (this.bodyFilled < this.bodyLength) return null;
    this.body = null;
    return body;
  }

  /** Memory for `needed` bytes of the body. It grows with what arrived: an announced length alone costs nothing. */
  private room(needed: number): Uint8Array {
    const before = this.body;
    if (before !== null && needed <= before.length) return before;
    const wanted = before === null ? firstAllocationBytes : before.length * allocationGrowth;
    const body = new Uint8Array(Math.min(this.bodyLength, Math.max(needed, wanted)));
    if (before !== null) body.set(before.subarray(0, this.bodyFilled));
    this.body = body;
    return body;
  }
}
