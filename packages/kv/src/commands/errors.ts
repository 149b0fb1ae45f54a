/** The texts clients know from Redis, without the leading `-`. */
export const CommandError = {
  syntax: 'ERR syntax error',
  notInteger: 'ERR value is not an integer or out of range',
  notFloat: 'ERR value is not a valid float',
  overflow: 'ERR increment or decrement would overflow',
  decrementOverflow: 'ERR decrement would overflow',
  notFinite: 'ERR increment would produce NaN or Infinity',
  offset: 'ERR offset is out of range',
  tooLong: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)',
  noSuchKey: 'ERR no such key',
  noSuchDatabase: 'ERR DB index is out of range',
  otherDatabase: 'ERR Copying to another database is not allowed in cluster mode',
  sameObject: 'ERR source and destination objects are the same',
  invalidCursor: 'ERR invalid cursor',
  invalidSlot: 'ERR Invalid or out of range slot',
} as const;

export const wrongArity = (name: string): string => `ERR wrong number of arguments for '${name}' command`;
export const invalidExpire = (name: string): string => `ERR invalid expire time in '${name}' command`;
