import { crc32c } from '../base/crc32c.ts';
import { type Block, bytesOf, plausibleLength, readBlock } from './block.ts';

// Above this a torn write would look like a single flipped bit too often: bits / 2^32, here 1 in 8,000.
const rotCheckBytesMax = 64 * 1024;
const lengthAt = 12;
const polynomial = 0x82f6_3b78;

/**
 * The block that stands at `start` but for one flipped bit, or null. A block that nothing follows may be damaged
 * because its write was cut off, and then it was never acknowledged; but a cut-off write misses whole sectors, it
 * does not differ by one bit. One that does was whole once and may have been acknowledged.
 */
export function oneBitFromBlock(view: DataView, start: number): Block | null {
  const righted = rightedBlock(view, start);
  return righted === null ? null : readBlock(righted, 0);
}

/** The same, as the bytes it was. */
export function rightedBlock(view: DataView, start: number): DataView | null {
  if (view.byteLength - start < lengthAt + 4) return null;
  const stored = view.getUint32(start + lengthAt, true);
  const asStored = flippedOutsideLength(view, start, stored);
  if (asStored !== null) return asStored;
  // A flip in the length itself moves the end of what the checksum covers: try each.
  for (let bit = 0; bit < 32; bit += 1) {
    const length = (stored ^ (1 << bit)) >>> 0;
    if (length > rotCheckBytesMax || !plausibleLength(view, start, length)) continue;
    const copy = copyOf(view, start, length);
    copy.setUint32(lengthAt, length, true);
    if (readBlock(copy, 0) !== null) return copy;
  }
  return null;
}

function flippedOutsideLength(view: DataView, start: number, length: number): DataView | null {
  if (length > rotCheckBytesMax || !plausibleLength(view, start, length)) return null;
  const copy = copyOf(view, start, length);
  const difference = (crc32c(bytesOf(copy), 4) ^ copy.getUint32(0, true)) >>> 0;
  const bit = flippedBit(difference, (length - 4) * 8);
  if (bit === null) return null;
  // Bits are counted back from the end of the block; within a byte the checksum takes the lowest first.
  const byte = length - 1 - Math.floor(bit / 8);
  if (bit >= 0) copy.setUint8(byte, copy.getUint8(byte) ^ (0x80 >>> (bit % 8)));
  else copy.setUint32(0, copy.getUint32(0, true) ^ difference, true);
  return readBlock(copy, 0) === null ? null : copy;
}

/** Which single bit of the message explains the checksum's difference, counted from the end; -1 for one of the checksum itself. */
function flippedBit(difference: number, bits: number): number | null {
  if (difference === 0) return null;
  if ((difference & (difference - 1)) === 0) return -1;
  let contribution = polynomial;
  for (let bit = 0; bit < bits; bit += 1) {
    if (contribution === difference) return bit;
    contribution = contribution & 1 ? ((contribution >>> 1) ^ polynomial) >>> 0 : contribution >>> 1;
  }
  return null;
}

function copyOf(view: DataView, start: number, length: number): DataView {
  return new DataView(bytesOf(view).slice(start, start + length).buffer);
}
