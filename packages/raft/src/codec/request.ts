import type { Outcome } from '../base/errors.ts';
import type { GroupId, Index, Term } from '../core/types.ts';
import { type ByteReader, type ByteWriter, malformed } from './bytes.ts';

// Client commands one host hands to another, which leads the group. Not Raft: the reply goes to whoever asked.

/**
 * The numbers are the wire's: never reuse one. `query` and `readIndex` may be proven by the leader's lease, their
 * `ByRound` twins only by a round of messages. A read index that would have to wait for the limbo to end is refused with
 * READ_IN_LIMBO: the asker may hand over its query instead.
 */
export const ForwardKind = {
  execute: 1,
  query: 2,
  readIndex: 3,
  queryByRound: 4,
  readIndexByRound: 5,
  changeMembers: 6,
  /** Does the group count on the asker? Answered with a Standing by a leader that has made sure that it still is one. */
  standing: 7,
} as const;

/** What the asker is to a group by its committed configuration, in the one byte of the answer. */
export const Standing = { absent: 0, learner: 1, voter: 2, joining: 3 } as const;
export type Standing = (typeof Standing)[keyof typeof Standing];

export interface ForwardRequest {
  /** Chosen by the asker, who finds the reply by it. */
  readonly id: number;
  readonly group: GroupId;
  /** A ForwardKind; the host refuses one it does not know. */
  readonly kind: number;
  /** How long the asker will wait from when it asked. */
  readonly timeoutMs: number;
  readonly payload: Uint8Array;
}

/** In the order of their numbers on the wire. */
const outcomes: readonly Outcome[] = ['none', 'notApplied', 'unknown'];

export interface ForwardReply {
  readonly id: number;
  /** Empty when it went well, else an ErrorCode. */
  readonly code: string;
  /** What became of the command, where it went wrong: an error may know better than its code. */
  readonly outcome: Outcome;
  /** The node believed to lead, or empty. */
  readonly leaderHint: string;
  /** When asking again is worth it, in ms from now; 0: nobody can say. */
  readonly retryAfterMs: number;
  readonly index: Index;
  readonly term: Term;
  /** The result, or the text of the error in UTF-8. */
  readonly payload: Uint8Array;
}

export function writeRequest(writer: ByteWriter, request: ForwardRequest): void {
  writer.u53(request.id);
  writer.u32(request.group);
  writer.u8(request.kind);
  writer.f64(request.timeoutMs);
  writer.bytes(request.payload);
}

export function readRequest(reader: ByteReader): ForwardRequest {
  const id = reader.u53();
  const group = reader.u32();
  const kind = reader.u8();
  const timeoutMs = reader.f64();
  if (timeoutMs < 0) throw malformed('a duration is negative');
  return { id, group, kind, timeoutMs, payload: reader.bytes() };
}

export function writeReply(writer: ByteWriter, reply: ForwardReply): void {
  writer.u53(reply.id);
  writer.text(reply.code);
  writer.u8(outcomes.indexOf(reply.outcome));
  writer.text(reply.leaderHint);
  writer.u32(reply.retryAfterMs);
  writer.u53(reply.index);
  writer.u53(reply.term);
  writer.bytes(reply.payload);
}

export function readReply(reader: ByteReader): ForwardReply {
  return {
    id: reader.u53(),
    code: reader.text(),
    // One that this version does not know promises nothing.
    outcome: outcomes[reader.u8()] ?? 'unknown',
    leaderHint: reader.text(),
    retryAfterMs: reader.u32(),
    index: reader.u53(),
    term: reader.u53(),
    payload: reader.bytes(),
  };
}
