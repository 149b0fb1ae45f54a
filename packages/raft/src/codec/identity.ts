import { crc32c } from '../base/crc32c.ts';
import { NoriError } from '../base/errors.ts';
import type { NodeId } from '../core/types.ts';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';
import { readId } from './entry.ts';
import { clusterIdBytes, diskIdBytes, type Incarnation, nonceBytes, type PeerIdentity } from './handshake.ts';

// The identity file of a data directory (docs/disk-format.md). Whole numbers are little-endian:
//   crc32c u32 of all that follows · magic u32 · format u16 · clusterId 16 · nodeId text · diskId 16 · counter u53 ·
//   nonce 8 · bootId text · deadSince u53 (both from format 2 on) · founded u8 · peers u16 x { nodeId text · diskId 16 · counter u53 · nonce 8 · attributes u16 x {text, text} }
const magic = 0x4449_524e; // "NRID"
export const identityFormat = 2;

/** Who the owner of a data directory is, and whom it has met. */
export interface DirectoryIdentity {
  readonly clusterId: Uint8Array;
  readonly nodeId: NodeId;
  /** Drawn once, when the directory was born: another disk id is another memory. */
  readonly diskId: Uint8Array;
  readonly incarnation: Incarnation;
  /** The boot of the machine this life runs on, and the file it locked there; or empty. */
  readonly bootId: string;
  /** The lives from this counter on, before this one, ran on the same boot: their lock is ours, so they are dead. */
  readonly deadSince: number;
  /** A new cluster has met every founding member once. */
  readonly founded: boolean;
  readonly peers: ReadonlyMap<NodeId, PeerIdentity>;
}

export function encodeIdentity(identity: DirectoryIdentity): Uint8Array {
  const writer = new ByteWriter(512);
  writer.u32(0);
  writer.u32(magic);
  writer.u16(identityFormat);
  writer.raw(identity.clusterId);
  writer.text(identity.nodeId);
  writer.raw(identity.diskId);
  writeIncarnation(writer, identity.incarnation);
  writer.text(identity.bootId);
  writer.u53(identity.deadSince);
  writer.u8(identity.founded ? 1 : 0);
  writer.u16(identity.peers.size);
  for (const [peer, known] of identity.peers) {
    writer.text(peer);
    writer.raw(known.diskId);
    writeIncarnation(writer, known.incarnation);
    const attributes = Object.entries(known.attributes);
    writer.u16(attributes.length);
    for (const [name, value] of attributes) {
      writer.text(name);
      writer.text(value);
    }
  }
  writer.u32At(0, crc32c(writer.written(4)));
  return writer.take();
}

/** @throws NoriError FORMAT_TOO_NEW, or WIRE_MALFORMED when the bytes are not what was written. */
export function decodeIdentity(bytes: Uint8Array): DirectoryIdentity {
  const reader = new ByteReader(bytes);
  const checksum = reader.u32();
  if (checksum !== crc32c(bytes, 4)) throw malformed('the checksum of the identity does not hold');
  if (reader.u32() !== magic) throw malformed('not an identity');
  const format = reader.u16();
  if (format > identityFormat) {
    throw new NoriError('FORMAT_TOO_NEW', {
      message: `the identity is written in format ${format}, this version reads up to ${identityFormat}`,
    });
  }
  const clusterId = reader.raw(clusterIdBytes).slice();
  const nodeId = readId(reader);
  const diskId = reader.raw(diskIdBytes).slice();
  const incarnation = readIncarnation(reader);
  const bootId = format === 1 ? '' : reader.text();
  const deadSince = format === 1 ? incarnation.counter : reader.u53();
  const founded = reader.flag();
  const peers = new Map<NodeId, PeerIdentity>();
  for (let left = reader.u16(); left > 0; left -= 1) {
    const peer = readId(reader);
    peers.set(peer, readPeer(reader));
  }
  reader.finish();
  return { clusterId, nodeId, diskId, incarnation, bootId, deadSince, founded, peers };
}

function readPeer(reader: ByteReader): PeerIdentity {
  const diskId = reader.raw(diskIdBytes).slice();
  const incarnation = readIncarnation(reader);
  const attributes: [string, string][] = [];
  for (let left = reader.u16(); left > 0; left -= 1) {
    const name = reader.text();
    attributes.push([name, reader.text()]);
  }
  return { diskId, incarnation, attributes: Object.fromEntries(attributes) };
}

function writeIncarnation(writer: ByteWriter, incarnation: Incarnation): void {
  writer.u53(incarnation.counter);
  writer.raw(incarnation.nonce);
}

function readIncarnation(reader: ByteReader): Incarnation {
  const counter = reader.u53();
  return { counter, nonce: reader.raw(nonceBytes).slice() };
}
