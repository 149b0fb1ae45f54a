import { type ErrorCode, errorCodes, NoriError } from '../base/errors.ts';
import { fromUtf8, utf8 } from '../base/text.ts';
import { type ForwardReply, type ForwardRequest, ForwardKind } from '../codec/request.ts';
import type { GroupId, Index, NodeId, Term } from '../core/types.ts';
import { commitTimeout } from './proposals.ts';
import { readError } from './reads.ts';

const nothing = new Uint8Array(0);

/** The answer of the leader, whichever kind of call it was. */
export type ForwardDone = (error: NoriError | null, index: Index, term: Term, result: Uint8Array) => void;

/** What the host knows of those who were asked. */
export interface PeerView {
  /** Who leads the group now, as far as is known. */
  leaderOf(group: GroupId): NodeId | null;
  /** When the peer was last heard, in the host's monotonic ms. */
  heardMs(peer: NodeId): number;
  /** Has the peer say whether it is alive. */
  ping(peer: NodeId): void;
  /** Without a word for so long a live peer is not to be expected. */
  readonly silenceMsMax: number;
}

interface Outstanding {
  readonly peer: NodeId;
  readonly group: GroupId;
  readonly kind: number;
  readonly done: ForwardDone;
  readonly deadlineMs: number;
}

/** Calls this host passed to leaders elsewhere and whose answers it awaits. Nothing is ever sent twice. */
export class Forwarding {
  private nextId: number;
  private readonly outstanding = new Map<number, Outstanding>();
  /** Leaders that were followed by others while they still owed an answer, and when they were last asked whether they live. */
  private readonly suspects = new Map<NodeId, number>();
  private readonly request: (peer: NodeId, request: ForwardRequest) => boolean;

  /** `firstId` is drawn by chance, so that the late answer to a question of this node's last life fits none of this one's. */
  constructor(firstId: number, request: (peer: NodeId, request: ForwardRequest) => boolean) {
    this.nextId = firstId;
    this.request = request;
  }

  get size(): number {
    return this.outstanding.size;
  }

  send(
    call: {
      readonly peer: NodeId;
      readonly group: GroupId;
      readonly kind: number;
      readonly payload: Uint8Array;
      readonly timeoutMs: number;
      readonly nowMs: number;
    },
    done: ForwardDone,
  ): void {
    const { peer, group, kind, payload, timeoutMs } = call;
    const id = this.nextId;
    this.nextId += 1;
    if (!this.request(peer, { id, group, kind, timeoutMs, payload })) {
      const message = `the leader of group ${group}, ${peer}, cannot be reached from here now`;
      done(new NoriError('NOT_LEADER', { message, leaderHint: peer }), 0, 0, nothing);
      return;
    }
    // The leader gives up first, so that its own word reaches us, not our silence.
    this.outstanding.set(id, { peer, group, kind, done, deadlineMs: call.nowMs + timeoutMs + graceMs });
  }

  onReply(peer: NodeId, reply: ForwardReply): void {
    const call = this.outstanding.get(reply.id);
    if (call === undefined || call.peer !== peer) return; // answered, timed out, or not asked of this peer
    this.outstanding.delete(reply.id);
    if (reply.code === '') call.done(null, reply.index, reply.term, reply.payload);
    else call.done(errorOf(reply, call.kind), 0, 0, nothing);
  }

  /** The link broke: what was asked may have been done. */
  onPeerDown(peer: NodeId): void {
    for (const [id, call] of this.outstanding) {
      if (call.peer !== peer) continue;
      this.outstanding.delete(id);
      call.done(lost(call), 0, 0, nothing);
    }
  }

  expire(nowMs: number, view: PeerView): void {
    for (const [id, call] of this.outstanding) {
      const error = call.deadlineMs <= nowMs ? late(call) : this.superseded(call, nowMs, view);
      if (error === null) continue;
      this.outstanding.delete(id);
      call.done(error, 0, 0, nothing);
    }
    if (this.outstanding.size === 0) this.suspects.clear();
  }

  /**
   * Another leads now. A read can be asked of that one. A write waits for the word of the old one, which may well have
   * committed it and only handed over; but not when that one stands still.
   */
  private superseded(call: Outstanding, nowMs: number, view: PeerView): NoriError | null {
    const leaderHint = view.leaderOf(call.group);
    if (leaderHint === null || leaderHint === call.peer) return null;
    if (!writes(call.kind)) {
      return new NoriError('NOT_LEADER', {
        message: `${call.peer} does not lead group ${call.group} any more`,
        leaderHint,
      });
    }
    const askedMs = this.suspects.get(call.peer);
    if (askedMs === undefined || view.heardMs(call.peer) > askedMs) {
      if (askedMs === undefined || nowMs - askedMs >= view.silenceMsMax) {
        this.suspects.set(call.peer, nowMs);
        view.ping(call.peer);
      }
      return null;
    }
    if (nowMs - askedMs < view.silenceMsMax) return null;
    return new NoriError('OUTCOME_UNKNOWN', {
      message: `${call.peer} fell silent before it answered, and ${leaderHint} leads`,
    });
  }

  failAll(error: NoriError): void {
    const calls = [...this.outstanding.values()];
    this.outstanding.clear();
    for (const { kind, done } of calls) done(writes(kind) ? error : readError(error), 0, 0, nothing);
  }
}

const graceMs = 100;

/** What was asked may have been done though no answer came. */
function writes(kind: number): boolean {
  return kind === ForwardKind.execute || kind === ForwardKind.changeMembers;
}

/** What a leader answers when a forwarded call went well. */
export function successReply(
  id: number,
  { index, term, payload }: Pick<ForwardReply, 'index' | 'term' | 'payload'>,
): ForwardReply {
  return { id, code: '', outcome: 'none', leaderHint: '', retryAfterMs: 0, index, term, payload };
}

/** What a leader answers when a forwarded call failed. */
export function failureReply(id: number, error: NoriError): ForwardReply {
  const { code, outcome, leaderHint, message, retryAfterMs } = error;
  return {
    id,
    code,
    outcome,
    leaderHint: leaderHint ?? '',
    retryAfterMs: Math.ceil(retryAfterMs ?? 0),
    index: 0,
    term: 0,
    payload: utf8(message),
  };
}

function errorOf(reply: ForwardReply, kind: number): NoriError {
  const { outcome } = reply;
  const code = Object.hasOwn(errorCodes, reply.code) ? (reply.code as ErrorCode) : 'OUTCOME_UNKNOWN';
  const leaderHint = reply.leaderHint === '' ? null : reply.leaderHint;
  const retryAfterMs = reply.retryAfterMs === 0 ? {} : { retryAfterMs: reply.retryAfterMs };
  const error = new NoriError(code, { message: textOf(reply.payload), leaderHint, outcome, ...retryAfterMs });
  return writes(kind) ? error : readError(error);
}

function textOf(payload: Uint8Array): string {
  try {
    return fromUtf8(payload);
  } catch {
    return 'the leader refused the call';
  }
}

function late(call: Outstanding): NoriError {
  return writes(call.kind) ? commitTimeout(0) : lost(call);
}

function lost(call: Outstanding): NoriError {
  const message = `the link to ${call.peer} broke before it answered`;
  if (!writes(call.kind)) return new NoriError('READ_TIMEOUT', { message });
  return new NoriError('OUTCOME_UNKNOWN', { message });
}
