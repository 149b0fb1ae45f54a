/**
 * INCRBYFLOAT counts in the 80-bit floats of the x87 (64 bits of mantissa) and prints 17 decimals. Numbers of
 * JavaScript would show other digits than Redis, so the sum is computed exactly, in integers: the same on every machine.
 */
export interface Decimal {
  /** The value is mantissa * 2^exponent; the mantissa is signed and has at most 64 bits. */
  readonly mantissa: bigint;
  readonly exponent: number;
}

export const infinite = 'infinite';

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;
/** What strtold reads too: 0x1.8p-1 is 0.75. */
const hexadecimalPattern = /^([+-]?)0[xX]([\da-fA-F]*)(?:\.([\da-fA-F]*))?(?:[pP]([+-]?\d{1,9}))?$/;
const infinity = /^[+-]?inf(inity)?$/i;
const mantissaBits = 64;
/** The largest exponent of two such a float has; beyond it lies infinity. */
const binaryExponentMax = 16384;
const decimalExponentMax = 4951;
/** What is less than half the smallest such float, 2^-16445, would be 0. */
const binaryExponentMin = -16445;
/** Longer texts are no numbers, as in Redis. */
export const decimalBytesMax: number = 5 * 1024 - 1;

/** Null when the text is no number. */
export function parseDecimal(text: string): Decimal | typeof infinite | null {
  if (text.length > decimalBytesMax) return null;
  if (infinity.test(text)) return infinite;
  const hexadecimal = hexadecimalPattern.exec(text);
  if (hexadecimal !== null) return parseHexadecimal(hexadecimal);
  const parts = pattern.exec(text);
  if (parts === null) return null;
  const whole = parts[2] ?? '';
  const fraction = parts[3] ?? '';
  if (whole.length + fraction.length === 0) return null;
  const digits = BigInt(whole + fraction);
  if (digits === 0n) return { mantissa: 0n, exponent: 0 };
  const exponent = Number(parts[4] ?? 0) - fraction.length;
  const magnitude = digits.toString().length + exponent;
  if (magnitude > decimalExponentMax || magnitude < -decimalExponentMax) return null;
  const numerator = exponent > 0 ? digits * 10n ** BigInt(exponent) : digits;
  const denominator = exponent < 0 ? 10n ** BigInt(-exponent) : 1n;
  const rounded = divide(numerator, denominator);
  if (overflows(rounded) || vanishes(rounded)) return null;
  return parts[1] === '-' ? { mantissa: -rounded.mantissa, exponent: rounded.exponent } : rounded;
}

function parseHexadecimal(parts: RegExpExecArray): Decimal | null {
  const fraction = parts[3] ?? '';
  const digits = `${parts[2] ?? ''}${fraction}`;
  if (digits === '') return null;
  const rounded = divide(BigInt(`0x${digits}`), 1n);
  if (rounded.mantissa === 0n) return rounded;
  const exponent = rounded.exponent - 4 * fraction.length + Number(parts[4] ?? 0);
  const result = { mantissa: parts[1] === '-' ? -rounded.mantissa : rounded.mantissa, exponent };
  return overflows(result) || vanishes(result) ? null : result;
}

/** Null when the sum is too large for a finite float. */
export function addDecimals(left: Decimal, right: Decimal): Decimal | null {
  const exponent = Math.min(left.exponent, right.exponent);
  const sum =
    (left.mantissa << BigInt(left.exponent - exponent)) + (right.mantissa << BigInt(right.exponent - exponent));
  const rounded = divide(sum < 0n ? -sum : sum, 1n);
  const result = { mantissa: sum < 0n ? -rounded.mantissa : rounded.mantissa, exponent: rounded.exponent + exponent };
  return overflows(result) ? null : result;
}

/** `%.17Lf` without trailing zeros. */
export function formatDecimal(value: Decimal): string {
  const magnitude = value.mantissa < 0n ? -value.mantissa : value.mantissa;
  const scaled = magnitude * 10n ** 17n;
  const units = value.exponent >= 0 ? scaled << BigInt(value.exponent) : shiftRounded(scaled, -value.exponent);
  const text = units.toString().padStart(18, '0');
  const whole = text.slice(0, -17);
  const fraction = text.slice(-17).replace(/0+$/, '');
  const sign = value.mantissa < 0n && units !== 0n ? '-' : '';
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

const bitLength = (value: bigint): number => (value === 0n ? 0 : value.toString(2).length);
const bitsAbove = ({ mantissa, exponent }: Decimal): number =>
  bitLength(mantissa < 0n ? -mantissa : mantissa) + exponent;
const overflows = (value: Decimal): boolean => bitsAbove(value) > binaryExponentMax;
const vanishes = (value: Decimal): boolean => bitsAbove(value) < binaryExponentMin;

/** The nearest float to a quotient, ties to even. */
function divide(numerator: bigint, denominator: bigint): Decimal {
  if (numerator === 0n) return { mantissa: 0n, exponent: 0 };
  // Two bits more than the mantissa, and a sticky bit for whatever the division leaves over.
  const shift = Math.max(0, mantissaBits + 2 - (bitLength(numerator) - bitLength(denominator)));
  const shifted = numerator << BigInt(shift);
  const quotient = ((shifted / denominator) << 1n) | (shifted % denominator === 0n ? 0n : 1n);
  const surplus = Math.max(0, bitLength(quotient) - mantissaBits);
  return { mantissa: shiftRounded(quotient, surplus), exponent: surplus - shift - 1 };
}

function shiftRounded(value: bigint, bits: number): bigint {
  if (bits === 0) return value;
  const shift = BigInt(bits);
  const floor = value >> shift;
  const rest = value - (floor << shift);
  const half = 1n << (shift - 1n);
  return rest > half || (rest === half && (floor & 1n) === 1n) ? floor + 1n : floor;
}
