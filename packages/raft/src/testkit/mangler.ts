import { u32At } from '../base/little-endian.ts';
import type { Prng } from '../base/prng.ts';
import { ByteWriter } from '../codec/bytes.ts';
import { beginFrame, endFrame, frameHeadBytes, FrameType } from '../codec/frame.ts';
import { chance, skewed, spread } from './random.ts';
import type { Mangler } from './stream.ts';
import type { Timeline } from './timeline.ts';

/** What happens to single messages, each with its own rate. */
export interface MessageFaults {
  lossRate: number;
  duplicateRate: number;
  /** Held back, to come with a later batch of the pair, whatever connection that goes through. */
  delayRate: number;
  delayMsMax: number;
}

export function noMessageFaults(): MessageFaults {
  return { lossRate: 0, duplicateRate: 0, delayRate: 0, delayMsMax: 0 };
}

interface Held {
  readonly item: Uint8Array;
  readonly heldMs: number;
  readonly dueMs: number;
  /** How often both ends had started when it was sent. */
  readonly boots: number;
}

/** Later than anybody waits. */
const lateMs = 2000;

/** Item kinds below this are Raft's own. What hosts pass on for their clients is lost at most: nobody sends it twice. */
const hostKindMin = 64;

/**
 * A stream can lose messages only by breaking. Raft must survive more: lost, doubled and reordered messages, and such
 * as come minutes late. So batches are taken apart here, and what is left is put together again as whole frames.
 */
export class MessageMangler implements Mangler {
  faults: MessageFaults = noMessageFaults();
  private readonly held = new Map<string, Held[]>();
  private readonly timeline: Timeline;
  private readonly prng: Prng;
  private readonly onFault: (what: string) => void;
  private readonly bootsOf: (machine: string) => number;

  constructor(
    timeline: Timeline,
    prng: Prng,
    onFault: (what: string) => void,
    bootsOf: (machine: string) => number = () => 0,
  ) {
    this.timeline = timeline;
    this.prng = prng;
    this.onFault = onFault;
    this.bootsOf = bootsOf;
  }

  mangle(from: string, to: string, bytes: Uint8Array): Uint8Array | null {
    const { lossRate, duplicateRate, delayRate } = this.faults;
    const pair = `${from}>${to}`;
    const idle = lossRate === 0 && duplicateRate === 0 && delayRate === 0 && !this.held.has(pair);
    if (idle || !carriesBatch(bytes)) return bytes;
    const writer = new ByteWriter(bytes.length + 256);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 8 + u32At(bytes, at);
      if (bytes[at + 8] === FrameType.batch) this.batch(writer, pair, bytes.subarray(at + frameHeadBytes, end));
      else writer.raw(bytes.subarray(at, end));
      at = end;
    }
    return writer.length === 0 ? null : writer.take();
  }

  private batch(writer: ByteWriter, pair: string, body: Uint8Array): void {
    const items = this.due(pair);
    for (let at = 0; at < body.length; ) {
      const end = at + 4 + u32At(body, at);
      this.judge(items, pair, body.subarray(at, end));
      at = end;
    }
    if (items.length === 0) return;
    const start = beginFrame(writer, FrameType.batch);
    for (const item of items) writer.raw(item);
    endFrame(writer, start);
  }

  private judge(items: Uint8Array[], pair: string, item: Uint8Array): void {
    const { prng, faults } = this;
    if (chance(prng, faults.lossRate)) {
      this.onFault('message lost');
      return;
    }
    if ((item[4] as number) >= hostKindMin) {
      items.push(item);
      return;
    }
    if (chance(prng, faults.duplicateRate)) {
      this.onFault('message doubled');
      if (chance(prng, 0.5)) items.push(item);
      else this.hold(pair, item);
    }
    if (chance(prng, faults.delayRate)) {
      this.onFault('message held back');
      this.hold(pair, item);
      return;
    }
    // Among the others of its batch it may overtake some.
    const overtakes = chance(prng, faults.delayRate) ? prng.between(0, items.length) : 0;
    items.splice(items.length - overtakes, 0, item);
  }

  private hold(pair: string, item: Uint8Array): void {
    const { prng, timeline, faults } = this;
    const dueMs = timeline.nowMs + skewed(prng, spread(prng, 0, 5), faults.delayMsMax);
    const list = this.held.get(pair);
    const held = { item: item.slice(), heldMs: timeline.nowMs, dueMs, boots: this.bootsOfPair(pair) };
    if (list === undefined) this.held.set(pair, [held]);
    else list.push(held);
  }

  private due(pair: string): Uint8Array[] {
    const list = this.held.get(pair);
    if (list === undefined) return [];
    const { nowMs } = this.timeline;
    const later = list.filter(({ dueMs }) => dueMs > nowMs);
    if (later.length === 0) this.held.delete(pair);
    else this.held.set(pair, later);
    const due = list.filter(({ dueMs }) => dueMs <= nowMs);
    for (const { heldMs, boots } of due) {
      if (nowMs - heldMs > lateMs) this.onFault('message came more than 2 s late');
      if (boots !== this.bootsOfPair(pair)) this.onFault('message came after a restart');
    }
    return due.map(({ item }) => item);
  }

  private bootsOfPair(pair: string): number {
    const [from = '', to = ''] = pair.split('>');
    return this.bootsOf(from) + this.bootsOf(to);
  }
}

function carriesBatch(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += 8 + u32At(bytes, at)) if (bytes[at + 8] === FrameType.batch) return true;
  return false;
}
