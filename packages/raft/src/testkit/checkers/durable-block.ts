import { crc32c } from '../../base/crc32c.ts';
import { BlockKind } from '../../wal/block.ts';

/** Where a block stands and what it says of itself. */
export interface DurableBlock {
  readonly kind: BlockKind;
  readonly crc: number;
  readonly previousCrc: number;
  readonly segment: number;
  readonly sequence: number;
  readonly salt: number;
  readonly end: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

const sectorBytes = 512;
const headerBytes = 48;
const magic = 0x4257_524e; // "NRWB"

/**
 * The block at `start`, or null where a power cut would leave none that is whole. Reads what docs/disk-format.md says and
 * not what the log's own reader does: a reader that takes the wrong blocks for whole must not judge itself.
 */
export function durableBlockAt(view: DataView, start: number): DurableBlock | null {
  const left = view.byteLength - start;
  if (left < sectorBytes || view.getUint32(start + 4, true) !== magic) return null;
  const length = view.getUint32(start + 12, true);
  if (length < sectorBytes || length % sectorBytes !== 0 || length > left) return null;
  const crc = view.getUint32(start, true);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (crc32c(bytes, start + 4, start + length) !== crc) return null;
  const payloadStart = start + headerBytes;
  const payloadEnd = payloadStart + view.getUint32(start + 16, true);
  if (payloadEnd > start + length) return null;
  return {
    kind: view.getUint8(start + 10) as BlockKind,
    crc,
    previousCrc: view.getUint32(start + 20, true),
    segment: u53At(view, start + 24),
    sequence: u53At(view, start + 32),
    salt: u53At(view, start + 40),
    end: start + length,
    payloadStart,
    payloadEnd,
  };
}

function u53At(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
