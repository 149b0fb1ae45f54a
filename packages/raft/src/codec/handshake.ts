import { type ErrorCode, errorCodes, NoriError } from '../base/errors.ts';
import { utf8 } from '../base/text.ts';
import type { NodeId } from '../core/types.ts';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';
import { readId } from './entry.ts';

/** "NORIRAFT" in ASCII. */
const magic: Uint8Array = utf8('NORIRAFT');

/** The protocol versions this code speaks. Both sides use the largest they share. */
export const protocolMin = 1;
export const protocolMax = 1;

export const clusterIdBytes = 16;
export const diskIdBytes = 16;
export const nonceBytes = 8;
/** So many of them, the first, name the lineage. */
export const lineageBytes = 4;
export const attributesMax = 32;
/** Disk ids a Hello may vouch for: enough for any cluster, and a Hello with all of them stays a control frame. */
export const vouchedMax = 256;

const refusalTextMax = 512;

/**
 * Which life of a node this is. The counter is kept in its data directory; the nonce tells copies of it apart. Its first
 * four bytes are the same in all lives of which the later ones prove the earlier ones dead.
 */
export interface Incarnation {
  readonly counter: number;
  readonly nonce: Uint8Array;
}

/** What a node says of itself; the same at every handshake of one life. */
export interface PeerIdentity {
  readonly diskId: Uint8Array;
  readonly incarnation: Incarnation;
  readonly attributes: Readonly<Record<string, string>>;
  /** The lives from this counter on, before this one, are dead for certain. Absent: none is known to be. */
  readonly deadSince?: number;
  /** It founds a cluster, and has not met every other founder yet. Absent: false. */
  readonly founding?: boolean;
}

/** What a connection carries. */
export const Channel = {
  /** Messages and calls: the connection of a pair. */
  main: 0,
  /** Snapshots, one way: whoever sends them dials. Heartbeats never wait behind them. */
  bulk: 1,
} as const;
export type Channel = (typeof Channel)[keyof typeof Channel];

/** The first frame of either side. */
export interface Hello {
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly clusterId: Uint8Array;
  readonly nodeId: NodeId;
  /** Who the sender believes to speak with. */
  readonly expectedId: NodeId;
  readonly identity: PeerIdentity;
  /** The disk ids the sender has met its other peers with: a wiped node is refused even by those that never met it. */
  readonly vouched: readonly (readonly [NodeId, Uint8Array])[];
  readonly channel: Channel;
}

export function writeHello(writer: ByteWriter, hello: Hello): void {
  writer.raw(magic);
  writer.u16(hello.protocolMin);
  writer.u16(hello.protocolMax);
  writer.raw(hello.clusterId);
  writer.text(hello.nodeId);
  writer.text(hello.expectedId);
  writer.raw(hello.identity.diskId);
  writer.u53(hello.identity.incarnation.counter);
  writer.raw(hello.identity.incarnation.nonce);
  const attributes = Object.entries(hello.identity.attributes);
  writer.u16(attributes.length);
  for (const [name, value] of attributes) {
    writer.text(name);
    writer.text(value);
  }
  writer.u16(hello.vouched.length);
  for (const [id, diskId] of hello.vouched) {
    writer.text(id);
    writer.raw(diskId);
  }
  writer.u53(hello.identity.deadSince ?? hello.identity.incarnation.counter);
  // What is as usual at the end is not written.
  const founding = hello.identity.founding === true;
  if (founding || hello.channel !== Channel.main) writer.u8(hello.channel);
  if (founding) writer.u8(1);
}

/**
 * The versions are judged before anything else is read: what follows them may differ in another version. Bytes behind
 * the last field are a newer version's and are ignored.
 */
export function readHello(body: Uint8Array): Hello {
  const reader = new ByteReader(body);
  const start = reader.raw(magic.length);
  if (magic.some((byte, at) => start[at] !== byte)) throw malformed('a hello does not begin with NORIRAFT');
  const theirMin = reader.u16();
  const theirMax = reader.u16();
  if (theirMin > theirMax) throw malformed('a hello speaks no protocol version at all');
  if (theirMin > protocolMax || theirMax < protocolMin) {
    throw new NoriError('WIRE_VERSION', {
      message: `the peer speaks protocol ${theirMin} to ${theirMax}, this node ${protocolMin} to ${protocolMax}`,
    });
  }
  const clusterId = reader.raw(clusterIdBytes);
  const nodeId = readId(reader);
  const expectedId = readId(reader);
  const identity = readIdentity(reader);
  const vouched = readVouched(reader);
  const { counter } = identity.incarnation;
  const deadSince = reader.u53();
  if (deadSince > counter) throw malformed('a hello takes a life to come for dead');
  const channel = readChannel(reader);
  const founding = reader.remaining > 0 && reader.u8() === 1;
  return {
    protocolMin: theirMin,
    protocolMax: theirMax,
    clusterId,
    nodeId,
    expectedId,
    identity: { ...identity, deadSince, ...(founding ? { founding } : {}) },
    vouched,
    channel,
  };
}

function readIdentity(reader: ByteReader): PeerIdentity {
  const diskId = reader.raw(diskIdBytes);
  const incarnation = { counter: reader.u53(), nonce: reader.raw(nonceBytes) };
  const count = reader.u16();
  if (count > attributesMax) throw malformed(`a hello carries ${count} attributes, more than ${attributesMax}`);
  // Without a prototype a name such as __proto__ is a name like any other.
  const attributes = Object.create(null) as Record<string, string>;
  for (let left = count; left > 0; left -= 1) {
    const name = reader.text();
    attributes[name] = reader.text();
  }
  return { diskId, incarnation, attributes };
}

function readChannel(reader: ByteReader): Channel {
  const channel = reader.remaining === 0 ? Channel.main : reader.u8();
  return channel === Channel.bulk ? channel : Channel.main;
}

function readVouched(reader: ByteReader): [NodeId, Uint8Array][] {
  const count = reader.u16();
  if (count > vouchedMax) throw malformed(`a hello vouches for ${count} nodes, more than ${vouchedMax}`);
  const vouched: [NodeId, Uint8Array][] = [];
  for (let left = count; left > 0; left -= 1) vouched.push([readId(reader), reader.raw(diskIdBytes)]);
  return vouched;
}

/** Said before a connection is closed, so that the other side can tell its operator why. */
export function writeRefusal(writer: ByteWriter, error: NoriError): void {
  writer.text(error.code);
  writer.text(printable(error.message));
}

/** The error the peer refused us with. A code of a newer version reads as UNSUPPORTED, with its name in the text. */
export function readRefusal(body: Uint8Array): NoriError {
  const reader = new ByteReader(body);
  const code = printable(reader.text());
  const message = printable(reader.text());
  if (Object.hasOwn(errorCodes, code)) return new NoriError(code as ErrorCode, { message });
  return new NoriError('UNSUPPORTED', { message: `${code}: ${message}` });
}

/** Foreign text that will stand in a log: of bounded length, on one line, without escape sequences. */
function printable(text: string): string {
  return text.slice(0, refusalTextMax).replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, '?');
}

/** What a Hello of this identity measures, at most; whoever starts a transport checks it against the limit. */
export function helloBytes(hello: Hello): number {
  const writer = new ByteWriter();
  writeHello(writer, hello);
  return writer.length;
}
