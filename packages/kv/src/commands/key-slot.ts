/** Redis Cluster's number of slots. */
export const slotCount = 16384;

const table = new Uint16Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  table[byte] = crc;
}

/**
 * The slot of a key: CRC16 (XMODEM) of the key, or of what stands between the first `{` and the next `}` if that is
 * not empty. Our own, because the known package takes `{}a}` for a key with the tag `a`; Redis hashes it whole.
 */
export function slotOf(key: Uint8Array): number {
  let from = 0;
  let end = key.length;
  const open = key.indexOf(0x7b);
  if (open >= 0) {
    const close = key.indexOf(0x7d, open + 1);
    if (close > open + 1) {
      from = open + 1;
      end = close;
    }
  }
  let crc = 0;
  for (let at = from; at < end; at += 1)
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >>> 8) ^ (key[at] as number)] as number);
  return crc & (slotCount - 1);
}
