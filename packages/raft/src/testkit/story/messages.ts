import { TransferKind } from '../../codec/snapshot-transfer.ts';
import { readBatch } from '../../codec/batch.ts';
import { frameHeadBytes, FrameType } from '../../codec/frame.ts';
import { type Message, MessageKind } from '../../core/message.ts';
import type { GroupId, NodeId } from '../../core/types.ts';

const names = Object.fromEntries(Object.entries(MessageKind).map(([name, kind]) => [kind, name]));

const transferNames: Readonly<Record<TransferKind, string>> = {
  [TransferKind.offer]: 'snapshotOffer',
  [TransferKind.chunk]: 'snapshotChunk',
  [TransferKind.ack]: 'snapshotAck',
};

/** What a trace says of a message. Payloads stay out. */
export interface MessageFacts {
  readonly group: GroupId;
  readonly message: string;
  readonly term: number;
  readonly [name: string]: unknown;
}

/** The messages in the frames that a host sends; nothing of what is no batch. */
export function messagesIn(bytes: Uint8Array, from: NodeId, to: NodeId): MessageFacts[] {
  const facts: MessageFacts[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + frameHeadBytes <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at, true);
    if (bytes[at + 8] === FrameType.batch) {
      readBatch(bytes.subarray(at + frameHeadBytes, end), from, to, {
        message: (group, message) => facts.push(factsOf(group, message)),
        request: ({ group }) => facts.push({ group, message: 'forward', term: 0 }),
        reply: () => facts.push({ group: 0, message: 'forwardReply', term: 0 }),
        transfer: ({ group, kind }) => facts.push({ group, message: transferNames[kind], term: 0 }),
      });
    }
    at = end;
  }
  return facts;
}

function factsOf(group: GroupId, message: Message): MessageFacts {
  const head = { group, message: names[message.kind] ?? '', term: message.term };
  switch (message.kind) {
    case MessageKind.append: {
      const { prevIndex, prevTerm, commit, entries } = message;
      return { ...head, prevIndex, prevTerm, commit, entries: entries.length };
    }
    case MessageKind.appendReply: {
      const { accepted, matchIndex, hintIndex } = message;
      return { ...head, accepted, matchIndex, ...(accepted ? {} : { hintIndex }) };
    }
    case MessageKind.preVote:
    case MessageKind.vote:
      return { ...head, lastIndex: message.lastIndex, lastTerm: message.lastTerm };
    case MessageKind.preVoteReply:
    case MessageKind.voteReply:
      return { ...head, granted: message.granted };
    default:
      return head;
  }
}
