import { writeMessageItem, writeReplyItem, writeRequestItem, writeTransferItem } from '../codec/batch.ts';
import { ByteWriter } from '../codec/bytes.ts';
import { beginFrame, endFrame, FrameType } from '../codec/frame.ts';
import { messageBytes } from '../codec/message.ts';
import type { ForwardReply, ForwardRequest } from '../codec/request.ts';
import type { TransferItem } from '../codec/snapshot-transfer.ts';
import type { Message } from '../core/message.ts';
import type { GroupId } from '../core/types.ts';

const noFrame = -1;
const smallBytes = 64 * 1024;
const writerBytesMin = 16 * 1024;
const writerBytesMax = 1024 * 1024;
/** Above the fields of any item but its payload. */
const itemOverheadBytes = 1024;

/**
 * What was said to one peer since the last flush, encoded at once: one buffer, one write, however many messages. An
 * item is never split; a frame ends when it has reached its target size.
 */
export class Outbox {
  private readonly frameTargetBytes: number;
  private readonly itemBytesMax: number;
  private writer = new ByteWriter(writerBytesMin);
  private frameAt = noFrame;
  private frameCount = 0;

  constructor(limits: { readonly frameTargetBytes: number; readonly frameBytesMax: number }) {
    this.frameTargetBytes = limits.frameTargetBytes;
    // A frame below its target takes one more item, and must still be one the peer accepts.
    this.itemBytesMax = limits.frameBytesMax - limits.frameTargetBytes - itemOverheadBytes;
  }

  get bytes(): number {
    return this.writer.length;
  }

  /** False when the message is too large for any frame. */
  message(group: GroupId, message: Message): boolean {
    if (messageBytes(message) > this.itemBytesMax) return false;
    this.openBatch();
    writeMessageItem(this.writer, group, message);
    return true;
  }

  request(request: ForwardRequest): boolean {
    if (request.payload.length > this.itemBytesMax) return false;
    this.openBatch();
    writeRequestItem(this.writer, request);
    return true;
  }

  reply(reply: ForwardReply): boolean {
    if (reply.payload.length > this.itemBytesMax) return false;
    this.openBatch();
    writeReplyItem(this.writer, reply);
    return true;
  }

  transfer(item: TransferItem): void {
    this.openBatch();
    writeTransferItem(this.writer, item);
  }

  /** A frame that is not a batch, with a body of its own writing. */
  control(type: FrameType, flags = 0, writeBody: ((writer: ByteWriter) => void) | null = null): void {
    this.closeBatch();
    const start = beginFrame(this.writer, type, flags);
    if (writeBody !== null) writeBody(this.writer);
    endFrame(this.writer, start);
    this.frameCount += 1;
  }

  /** How many frames were completed since the last time this was asked. */
  takeFrameCount(): number {
    const count = this.frameCount;
    this.frameCount = 0;
    return count;
  }

  /** Everything queued, in memory the caller may keep; null when there is nothing. */
  take(): Uint8Array | null {
    this.closeBatch();
    const length = this.writer.length;
    if (length === 0) return null;
    if (length <= smallBytes) return this.writer.carve();
    // A grown one would be kept for good.
    const bytes = this.writer.written();
    this.writer = new ByteWriter(Math.min(length, writerBytesMax));
    return bytes;
  }

  private openBatch(): void {
    if (this.frameAt !== noFrame && this.writer.length - this.frameAt >= this.frameTargetBytes) this.closeBatch();
    if (this.frameAt === noFrame) this.frameAt = beginFrame(this.writer, FrameType.batch);
  }

  private closeBatch(): void {
    if (this.frameAt === noFrame) return;
    endFrame(this.writer, this.frameAt);
    this.frameAt = noFrame;
    this.frameCount += 1;
  }
}
