import {
  type Configuration,
  type Entry,
  EntryKind,
  type Index,
  type Member,
  entry,
  isNodeId,
  type NodeId,
  type Plan,
} from '../core/types.ts';
import { type ByteReader, type ByteWriter, malformed } from './bytes.ts';

// One entry, the same bytes on the wire and in the WAL. Its index is not written: a run of entries is contiguous and
// its head names the first index.
//   kind u8 · flags u8 (0) · term u53 · timeMs u53 · payload u32 + bytes
const headBytes = 1 + 1 + 8 + 8 + 4;

/** What an entry takes when encoded. A configuration entry is counted by its payload alone, which is close enough for limits. */
export function entryBytes(item: Entry): number {
  return headBytes + item.payload.length;
}

export function writeEntry(writer: ByteWriter, item: Entry): void {
  writer.u8(item.kind);
  writer.u8(0);
  writer.u53(item.term);
  writer.u53(item.timeMs);
  if (item.configuration === null) {
    writer.bytes(item.payload);
    return;
  }
  const lengthAt = writer.skip(4);
  writeConfiguration(writer, item.configuration);
  writer.u32At(lengthAt, writer.length - lengthAt - 4);
}

/** The payload is a view on the reader's bytes. */
export function readEntry(reader: ByteReader, index: Index): Entry {
  const kind = reader.u8();
  if (reader.u8() !== 0) throw malformed('an entry carries flags this version does not know');
  const term = reader.u53();
  const timeMs = reader.u53();
  switch (kind) {
    case EntryKind.noop:
    case EntryKind.command:
    case EntryKind.clock:
      return entry({ index, term, kind, timeMs, payload: reader.bytes() });
    case EntryKind.configuration: {
      const end = reader.u32() + reader.position;
      const configuration = readConfiguration(reader);
      if (reader.position !== end) throw malformed('a configuration does not fill its entry');
      return entry({ index, term, kind, timeMs, configuration });
    }
    default:
      // Skipping it would make this replica a different state machine.
      throw malformed(`an entry is of the unknown kind ${kind}`);
  }
}

/** Stands where a configuration would count its voters, and says that a plan comes first. */
const planMark = 0xffff;

export function writeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  const { planned } = configuration;
  if (planned !== undefined) {
    writer.u16(planMark);
    writeIds(writer, planned.voters);
    writeIds(writer, planned.learners);
    writeIds(writer, planned.joined);
  }
  writeIds(writer, configuration.incoming);
  writeIds(writer, configuration.outgoing);
  writeIds(writer, configuration.learners);
  writeIds(writer, configuration.learnersNext);
  writer.u16(configuration.members.length);
  for (const member of configuration.members) {
    writer.text(member.id);
    writer.text(member.address);
  }
}

export function readConfiguration(reader: ByteReader): Configuration {
  let count = reader.u16();
  let planned: Plan | null = null;
  if (count === planMark) {
    planned = { voters: readIds(reader), learners: readIds(reader), joined: readIds(reader) };
    count = reader.u16();
  }
  const incoming = readIds(reader, count);
  const outgoing = readIds(reader);
  const learners = readIds(reader);
  const learnersNext = readIds(reader);
  const members: Member[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) members.push({ id: readId(reader), address: reader.text() });
  const configuration = { incoming, outgoing, learners, learnersNext, members };
  return planned === null ? configuration : { ...configuration, planned };
}

/** @throws NoriError WIRE_MALFORMED when the text cannot name a node. */
export function readId(reader: ByteReader): NodeId {
  const text = reader.text();
  if (!isNodeId(text)) throw malformed('a node id is not 1 to 64 letters, digits, dots, dashes or underscores');
  return text;
}

function writeIds(writer: ByteWriter, ids: readonly NodeId[]): void {
  writer.u16(ids.length);
  for (const id of ids) writer.text(id);
}

function readIds(reader: ByteReader, count: number = reader.u16()): NodeId[] {
  const ids: NodeId[] = [];
  for (let left = count; left > 0; left -= 1) ids.push(readId(reader));
  return ids;
}
