/** A running 64-bit hash of everything that happens, in two lanes of 32 bits. Equal histories, equal hash. */
export class HistoryHash {
  private low = 0x2545_f491;
  private high = 0x4f6c_dd1d;
  private readonly float = new Float64Array(1);
  private readonly words = new Uint32Array(this.float.buffer);

  word(value: number): void {
    let k = Math.imul(value, 0xcc9e_2d51);
    k = (k << 15) | (k >>> 17);
    const low = this.low ^ Math.imul(k, 0x1b87_3593);
    this.low = (Math.imul((low << 13) | (low >>> 19), 5) + 0xe654_6b64) | 0;
    const high = Math.imul(this.high ^ value, 0x85eb_ca6b);
    this.high = high ^ (high >>> 15);
  }

  number(value: number): void {
    this.float[0] = value;
    this.word(this.words[0] as number);
    this.word(this.words[1] as number);
  }

  /** As `word` of each four bytes would, with everything in registers: most of a history is bytes. */
  bytes(bytes: Uint8Array): void {
    const { length } = bytes;
    this.word(length);
    let { low, high } = this;
    let at = 0;
    while (at < length) {
      let value = bytes[at] as number;
      if (at + 4 <= length) {
        value |=
          ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
        at += 4;
      } else at += 1;
      let k = Math.imul(value, 0xcc9e_2d51);
      k = (k << 15) | (k >>> 17);
      low ^= Math.imul(k, 0x1b87_3593);
      low = (Math.imul((low << 13) | (low >>> 19), 5) + 0xe654_6b64) | 0;
      high = Math.imul(high ^ value, 0x85eb_ca6b);
      high ^= high >>> 15;
    }
    this.low = low;
    this.high = high;
  }

  text(text: string): void {
    this.word(text.length);
    for (let at = 0; at < text.length; at += 1) this.word(text.charCodeAt(at));
  }

  /** 16 hexadecimal digits. */
  get hex(): string {
    const half = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
    return half(this.high) + half(this.low);
  }
}

/** A 53-bit digest of bytes, chained to `seed`: for checkers that compare what they cannot keep. */
export function digestOf(seed: number, bytes: Uint8Array): number {
  const { length } = bytes;
  let low = (seed % 0x1_0000_0000) | 0;
  let high = Math.floor(seed / 0x1_0000_0000) | 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    low = Math.imul(low ^ word, 0x0100_0193);
    low ^= low >>> 15;
    high = Math.imul(high ^ word, 0x85eb_ca6b) ^ (low >>> 13);
  }
  for (; at < length; at += 1) {
    const byte = bytes[at] as number;
    low = Math.imul(low ^ byte, 0x0100_0193);
    high = Math.imul(high ^ byte, 0x85eb_ca6b) ^ (low >>> 13);
  }
  low = Math.imul(low ^ length, 0x0100_0193) ^ (low >>> 15);
  return ((high & 0x1f_ffff) >>> 0) * 0x1_0000_0000 + (low >>> 0);
}
