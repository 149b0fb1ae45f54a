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
  let crc = 0;
  for (let at = 0; at < key.length; at += 1) {
    const byte = key[at] as number;
    if (byte === 0x7b) return slotOfBraced(key, at);
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >>> 8) ^ byte] as number);
  }
  return crc & (slotCount - 1);
}

function slotOfBraced(key: Uint8Array, open: number): number {
  const close = key.indexOf(0x7d, open + 1);
  const tagged = close > open + 1;
  const end = tagged ? close : key.length;
  let crc = 0;
  for (let at = tagged ? open + 1 : 0; at < end; at += 1)
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >>> 8) ^ (key[at] as number)] as number);
  return crc & (slotCount - 1);
}
