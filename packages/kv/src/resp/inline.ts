const space = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
const escapes = new Map<number, number>([
  [0x6e, 0x0a], // \n
  [0x72, 0x0d], // \r
  [0x74, 0x09], // \t
  [0x62, 0x08], // \b
  [0x61, 0x07], // \a
]);

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Splits an inline command as redis-cli's users type it, quotes and escapes included; null: the quotes do not balance. */
export function splitInline(line: Uint8Array): Buffer[] | null {
  const words: Buffer[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && space(line[at] as number)) at += 1;
    if (at >= line.length) return words;
    const word: number[] = [];
    at = readWord(line, at, word);
    if (at < 0) return null;
    words.push(Buffer.from(word));
  }
}

/** Reads one word into `word` and answers where it ends, or -1 when a quote is left open or runs into other text. */
function readWord(line: Uint8Array, from: number, word: number[]): number {
  let at = from;
  while (at < line.length) {
    const byte = line[at] as number;
    if (space(byte)) return at;
    if (byte === 0x22 || byte === 0x27) {
      const end = byte === 0x22 ? readDoubleQuoted(line, at + 1, word) : readSingleQuoted(line, at + 1, word);
      return end >= 0 && (end === line.length || space(line[end] as number)) ? end : -1;
    }
    word.push(byte);
    at += 1;
  }
  return at;
}

function readDoubleQuoted(line: Uint8Array, from: number, word: number[]): number {
  for (let at = from; at < line.length; at += 1) {
    const byte = line[at] as number;
    if (byte === 0x22) return at + 1;
    if (byte !== 0x5c || at + 1 >= line.length) {
      word.push(byte);
      continue;
    }
    at += 1;
    const escaped = line[at] as number;
    const high = hexDigit(line[at + 1]);
    const low = hexDigit(line[at + 2]);
    if (escaped === 0x78 && high >= 0 && low >= 0) {
      word.push(high * 16 + low);
      at += 2;
    } else word.push(escapes.get(escaped) ?? escaped);
  }
  return -1;
}

function readSingleQuoted(line: Uint8Array, from: number, word: number[]): number {
  for (let at = from; at < line.length; at += 1) {
    const byte = line[at] as number;
    if (byte === 0x27) return at + 1;
    const quotedQuote = byte === 0x5c && line[at + 1] === 0x27;
    if (quotedQuote) at += 1;
    word.push(quotedQuote ? 0x27 : byte);
  }
  return -1;
}
