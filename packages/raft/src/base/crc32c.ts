// CRC-32C (Castagnoli), slicing by 8: faster than a native call below about 1 KiB. A quicker one may be injected.
const tables: Int32Array[] = [];
for (let slice = 0; slice < 8; slice += 1) {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc: number;
    if (slice === 0) {
      crc = byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    } else {
      const before = (tables[slice - 1] as Int32Array)[byte] as number;
      crc = (before >>> 8) ^ ((tables[0] as Int32Array)[before & 0xff] as number);
    }
    table[byte] = crc;
  }
  tables.push(table);
}
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** The CRC-32C of `bytes[start, end)`, continuing from the checksum `seed` of what came before. */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length, seed: number = 0): number {
  let crc = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (b(bytes, at) | (b(bytes, at + 1) << 8) | (b(bytes, at + 2) << 16) | (b(bytes, at + 3) << 24));
    crc =
      b(t7, low & 0xff) ^
      b(t6, (low >>> 8) & 0xff) ^
      b(t5, (low >>> 16) & 0xff) ^
      b(t4, low >>> 24) ^
      b(t3, b(bytes, at + 4)) ^
      b(t2, b(bytes, at + 5)) ^
      b(t1, b(bytes, at + 6)) ^
      b(t0, b(bytes, at + 7));
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ b(t0, (crc ^ b(bytes, at)) & 0xff);
  return ~crc >>> 0;
}

/** An element known to be in bounds. */
function b(array: Uint8Array | Int32Array, at: number): number {
  return array[at] as number;
}
