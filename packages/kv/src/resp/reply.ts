/** A reply as the server composes it; strings and bytes become bulk strings, numbers become integers. */
export type Reply =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Reply[]
  | { readonly simple: string }
  | { readonly error: string }
  | { readonly double: number }
  | { readonly map: readonly (readonly [Reply, Reply])[] }
  | { readonly set: readonly Reply[] }
  | { readonly push: readonly Reply[] }
  | { readonly verbatim: string };

export type Protocol = 2 | 3;

const lineBreaks = /[\r\n]/g;
/** Simple strings and errors end at a line break, so an echoed name that holds one must not end them early. */
export function singleLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(lineBreaks, ' ') : text;
}

/** Encodes for the protocol a connection speaks; what RESP2 has no type for becomes what Redis sends to old clients. */
export function encodeReply(reply: Reply, protocol: Protocol): Buffer {
  const parts: Buffer[] = [];
  write(reply, protocol, parts);
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

function write(reply: Reply, protocol: Protocol, parts: Buffer[]): void {
  if (reply === null) line(parts, protocol === 3 ? '_' : '$-1');
  else if (typeof reply === 'string') writeBulk(parts, Buffer.from(reply));
  else if (typeof reply === 'number' || typeof reply === 'bigint') line(parts, `:${reply}`);
  else if (typeof reply === 'boolean') writeBoolean(parts, reply, protocol);
  else if (reply instanceof Uint8Array) writeBulk(parts, reply);
  else if (isList(reply)) writeAll('*', reply, protocol, parts);
  else if ('simple' in reply) line(parts, `+${singleLine(reply.simple)}`);
  else if ('error' in reply) line(parts, `-${singleLine(reply.error)}`);
  else if ('double' in reply) writeDouble(parts, reply.double, protocol);
  else if ('map' in reply) writeMap(reply.map, protocol, parts);
  else if ('set' in reply) writeAll(protocol === 3 ? '~' : '*', reply.set, protocol, parts);
  else if ('push' in reply) writeAll(protocol === 3 ? '>' : '*', reply.push, protocol, parts);
  else if ('verbatim' in reply) writeVerbatim(parts, Buffer.from(reply.verbatim), protocol);
}

// Array.isArray does not narrow readonly arrays.
function isList(reply: object): reply is readonly Reply[] {
  return Array.isArray(reply);
}

function line(parts: Buffer[], text: string): void {
  parts.push(Buffer.from(`${text}\r\n`));
}

function writeBulk(parts: Buffer[], bytes: Uint8Array): void {
  const header = `$${bytes.length}\r\n`;
  const whole = Buffer.allocUnsafe(header.length + bytes.length + 2);
  whole.write(header, 0, 'latin1');
  whole.set(bytes, header.length);
  whole.write('\r\n', header.length + bytes.length, 'latin1');
  parts.push(whole);
}

function writeBoolean(parts: Buffer[], value: boolean, protocol: Protocol): void {
  if (protocol === 3) line(parts, value ? '#t' : '#f');
  else line(parts, value ? ':1' : ':0');
}

function writeDouble(parts: Buffer[], value: number, protocol: Protocol): void {
  const text = Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (protocol === 3) line(parts, `,${text}`);
  else writeBulk(parts, Buffer.from(text));
}

function writeVerbatim(parts: Buffer[], text: Buffer, protocol: Protocol): void {
  if (protocol === 2) return writeBulk(parts, text);
  parts.push(Buffer.from(`=${text.length + 4}\r\ntxt:`), text, Buffer.from('\r\n'));
}

function writeAll(kind: string, items: readonly Reply[], protocol: Protocol, parts: Buffer[]): void {
  line(parts, `${kind}${items.length}`);
  for (const item of items) write(item, protocol, parts);
}

function writeMap(pairs: readonly (readonly [Reply, Reply])[], protocol: Protocol, parts: Buffer[]): void {
  line(parts, protocol === 3 ? `%${pairs.length}` : `*${pairs.length * 2}`);
  for (const [name, value] of pairs) {
    write(name, protocol, parts);
    write(value, protocol, parts);
  }
}
