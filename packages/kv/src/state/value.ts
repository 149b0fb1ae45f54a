/**
 * A stored value. Short ones are one-byte strings: they live on the JavaScript heap for a header and their bytes, where
 * a Buffer would cost a hundred bytes more and an allocation outside. Long ones are Buffers of their own, outside the
 * heap, so that they are never moved. Both are immutable, and neither keeps the message it came in alive.
 */
export type Value = string | Buffer;

/** Which of the two forms a value takes depends on its length alone, so equal values have equal forms. */
export const textBytesMax = 1024;

export function toValue(bytes: Buffer): Value {
  if (bytes.length <= textBytesMax) return bytes.toString('latin1');
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** A value that is already ours: taken as it is if it is long. */
export function ownValue(bytes: Buffer): Value {
  return bytes.length <= textBytesMax ? bytes.toString('latin1') : bytes;
}

export function equalsBytes(value: Value, bytes: Buffer): boolean {
  if (value.length !== bytes.length) return false;
  return typeof value === 'string' ? value === bytes.toString('latin1') : value.equals(bytes);
}

/** The value as latin1 text: for numbers and other short things. */
export function valueText(value: Value): string {
  return typeof value === 'string' ? value : value.toString('latin1');
}

export function copyInto(target: Buffer, at: number, value: Value): void {
  if (typeof value === 'string') target.write(value, at, 'latin1');
  else target.set(value, at);
}
