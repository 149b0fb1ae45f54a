import type { Member, MembershipChange, NodeId } from '../core/types.ts';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';
import { readId } from './entry.ts';

// The payload of a forwarded change of membership (docs/wire-format.md): whether there is one or the change under way
// is given up, then add, addLearners, remove, promote and demote, each with its count; and, where there is any, move.

export function encodeChange(change: MembershipChange | null): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(change === null ? 0 : 1);
  if (change === null) return writer.take();
  writeMembers(writer, change.add ?? []);
  writeMembers(writer, change.addLearners ?? []);
  for (const ids of [change.remove ?? [], change.promote ?? [], change.demote ?? []]) {
    writer.u16(ids.length);
    for (const id of ids) writer.text(id);
  }
  // A node of an earlier version refuses what it would not carry out, and all else is as it knows it.
  if (change.move !== undefined && change.move.length > 0) writeMembers(writer, change.move);
  return writer.take();
}

/** @throws NoriError WIRE_MALFORMED. */
export function decodeChange(bytes: Uint8Array): MembershipChange | null {
  const reader = new ByteReader(bytes);
  const asked = reader.flag();
  const change = asked
    ? {
        add: readMembers(reader),
        addLearners: readMembers(reader),
        remove: readIds(reader),
        promote: readIds(reader),
        demote: readIds(reader),
        move: reader.remaining > 0 ? readMembers(reader) : [],
      }
    : null;
  if (reader.remaining > 0) throw malformed('a change of membership is longer than it says');
  return change;
}

function writeMembers(writer: ByteWriter, members: readonly (Member | NodeId)[]): void {
  writer.u16(members.length);
  for (const member of members) {
    writer.text(typeof member === 'object' ? member.id : member);
    writer.text(typeof member === 'object' ? member.address : '');
  }
}

function readMembers(reader: ByteReader): Member[] {
  const members: Member[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) members.push({ id: readId(reader), address: reader.text() });
  return members;
}

function readIds(reader: ByteReader): NodeId[] {
  const ids: NodeId[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) ids.push(readId(reader));
  return ids;
}
