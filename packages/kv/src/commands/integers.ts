export const int64Max = 9223372036854775807n;
export const int64Min = -9223372036854775808n;

/** Digits that surely fit a safe integer, sign not counted. */
const safeDigits = 15;

/**
 * A 64-bit integer written as Redis accepts it: no plus sign, no leading zero, no space. A number when it is safe, a
 * bigint when it is not, null when it is none.
 */
export function parseInteger(text: string): number | bigint | null {
  const negative = text.charCodeAt(0) === 0x2d;
  const from = negative ? 1 : 0;
  const digits = text.length - from;
  if (digits === 0 || digits > 19) return null;
  if (text.charCodeAt(from) === 0x30) return digits === 1 && !negative ? 0 : null;
  let value = 0;
  for (let at = from; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  if (digits <= safeDigits) return negative ? -value : value;
  const big = BigInt(text);
  if (big > int64Max || big < int64Min) return null;
  return narrow(big);
}

/** A bigint as a plain number when that is exact. */
export function narrow(value: bigint): number | bigint {
  const plain = Number(value);
  return Number.isSafeInteger(plain) ? plain : value;
}

/** The exact sum, or null when it leaves 64 bits. */
export function addInt64(left: number | bigint, right: number | bigint): number | bigint | null {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(left) + BigInt(right);
  return sum > int64Max || sum < int64Min ? null : narrow(sum);
}
