import { NoriError } from '../base/errors.ts';
import { decodeChange, encodeChange } from '../codec/change.ts';
import { ForwardKind, type ForwardReply, type ForwardRequest, Standing } from '../codec/request.ts';
import { InputKind } from '../core/input.ts';
import { knowsItselfRemoved, standingOf } from '../core/membership.ts';
import { type GroupId, type MembershipChange, type NodeId, Role } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Transport } from '../transport/transport.ts';
import type { Wal } from '../wal/wal.ts';
import type { CallOptions, Consistency, ExecuteDone, ReadAnswer, ReadDone, ReadOptions } from './api.ts';
import type { ChangeDone } from './changes.ts';
import { failureReply, Forwarding, type PeerView, successReply } from './forwarding.ts';
import { diskFull, type Group } from './group.ts';
import type { HostOptions } from './options.ts';
import { readError, type WaitingRead } from './reads.ts';
import type { Turn } from './turn.ts';

const nothing = new Uint8Array(0);
/** A new member has the whole log to fetch first. */
const changeTimeoutMs = 60_000;

export interface CallParts {
  readonly options: HostOptions;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly wal: Wal;
  readonly transport: Transport;
  readonly groups: ReadonlyMap<GroupId, Group>;
  readonly firstRequestId: number;
  /** Why the host takes no calls any more, or null. */
  stopped(): NoriError | null;
}

/** The callback door: calls of this node's users, and those other hosts pass on because this node leads. */
export class Calls {
  private readonly parts: CallParts;
  private readonly forwarding: Forwarding;
  private readonly peerView: PeerView;

  constructor(parts: CallParts) {
    this.parts = parts;
    this.forwarding = new Forwarding(parts.firstRequestId, (peer, request) => parts.transport.request(peer, request));
    this.peerView = {
      leaderOf: (group) => parts.groups.get(group)?.raft.leaderId ?? null,
      heardMs: (peer) => parts.transport.heardMs(peer),
      ping: (peer) => parts.transport.ping(peer),
      silenceMsMax: parts.options.raft.electionTimeoutMsMax,
    };
  }

  /**
   * Proposes a command and answers with what the state machine says once it is committed and applied. A node that
   * does not lead passes it to the leader, unless `forward` is false. The bytes belong to the host from here on.
   * `done` is called exactly once and must not throw.
   */
  submit(groupId: GroupId, command: Uint8Array, options: CallOptions, done: ExecuteDone): void {
    const group = this.parts.groups.get(groupId);
    const refusal =
      this.refuses(groupId, group) ?? this.hasLeft(group) ?? malformed(command, options) ?? this.tooLarge(command);
    if (refusal !== null || group === undefined) {
      done(refusal as NoriError, 0, nothing);
      return;
    }
    const timeoutMs = options.timeoutMs ?? this.parts.options.commitTimeoutMs;
    const leader = this.elsewhere(group, options);
    if (leader !== null) {
      this.forward(
        { peer: leader, group: groupId, kind: ForwardKind.execute, payload: command, timeoutMs },
        (error, index, _term, result) => done(error, index, result),
      );
      return;
    }
    if ((this.parts.wal.full || group.full) && group.raft.role === Role.leader) {
      done(diskFull(), 0, nothing);
      return;
    }
    const startMs = this.parts.clock.nowMs();
    group.submit({ payload: command, done, startMs, deadlineMs: startMs + timeoutMs, term: 0, next: null });
    this.parts.turn.schedule(group);
  }

  /**
   * Reads the state machine. `stale` answers from this node's own state; otherwise the answer reflects every command
   * acknowledged before the call. `done` is called exactly once and must not throw.
   */
  query(groupId: GroupId, query: Uint8Array, options: ReadOptions, done: ReadDone): void {
    const now = this.queryNow(groupId, query, options);
    if (now !== null) {
      done(null, now, now.result);
      return;
    }
    const error = malformed(query, options);
    if (error === null) this.startRead(groupId, query, options, done);
    else done(error, null, nothing);
  }

  /**
   * The answer, if this node can give it this very moment: it leads by a lease, and its state is up to date. That is the
   * ordinary read, and this all that it costs. Null when it has to take the way of `query`, which also says why.
   */
  queryNow(groupId: GroupId, query: Uint8Array, options: ReadOptions): ReadAnswer | null {
    if (options.consistency !== undefined && options.consistency !== 'lease') return null;
    const group = this.parts.groups.get(groupId);
    if (group === undefined || group.halted !== null || this.parts.stopped() !== null) return null;
    if (malformed(query, options) !== null) return null;
    return group.reads.answerNow(query, this.parts.turn.trustedNowMs());
  }

  /** Changes who is in the group; null gives up the change under way. `done` is called exactly once. */
  change(groupId: GroupId, change: MembershipChange | null, options: CallOptions, done: ChangeDone): void {
    const group = this.parts.groups.get(groupId);
    const refusal =
      this.refuses(groupId, group) ?? this.hasLeft(group) ?? malformed(nothing, options) ?? isReplacing(group);
    if (refusal !== null || group === undefined) {
      done(refusal as NoriError, 0);
      return;
    }
    const timeoutMs = options.timeoutMs ?? changeTimeoutMs;
    const leader = this.elsewhere(group, options);
    if (leader !== null) {
      const call = { peer: leader, group: groupId, kind: ForwardKind.changeMembers, payload: encodeChange(change) };
      this.forward({ ...call, timeoutMs }, (error, index) => done(error, index));
      return;
    }
    const { clock, turn } = this.parts;
    const deadlineMs = clock.nowMs() + timeoutMs;
    group.push(group.changes.add(change, { deadlineMs, wallMs: clock.wallMs(), done }));
    turn.schedule(group);
  }

  /** Waits until this node has applied every command acknowledged before the call. */
  awaitReadIndex(groupId: GroupId, options: CallOptions, done: ReadDone): void {
    this.startRead(groupId, null, options, done);
  }

  private startRead(
    groupId: GroupId,
    query: Uint8Array | null,
    options: ReadOptions,
    done: ReadDone,
    hasty: boolean = false,
  ): void {
    const group = this.parts.groups.get(groupId);
    const refusal = this.refuses(groupId, group) ?? malformed(query ?? nothing, options);
    if (refusal !== null || group === undefined) {
      done(refusal as NoriError, null, nothing);
      return;
    }
    const timeoutMs = options.timeoutMs ?? this.parts.options.commitTimeoutMs;
    const startMs = this.parts.turn.trustedNowMs();
    const read: WaitingRead = { query, done, startMs, deadlineMs: startMs + timeoutMs, hasty };
    if (options.consistency === 'stale') {
      group.reads.stale(read, startMs);
      return;
    }
    const left = this.hasLeft(group);
    if (left !== null) {
      done(left, null, nothing);
      return;
    }
    const byRound = options.consistency === 'linearizable';
    const leader = this.elsewhere(group, options);
    if (leader !== null) this.readElsewhere(group, leader, { read, byRound, timeoutMs });
    else if (byRound || !group.reads.byLease(read, startMs)) this.readByRound(group, read);
    else if (group.busy) this.parts.turn.schedule(group);
  }

  private readByRound(group: Group, read: WaitingRead): void {
    group.reads.byRound(read);
    this.parts.turn.schedule(group);
  }

  /**
   * A node that does not lead asks the leader for a read index and answers from its own state. Only a leader can judge
   * what entries in limbo have to do with a query, so then it is handed the query itself; and so it is by a node that
   * was removed, whose own state stands still.
   */
  private readElsewhere(
    group: Group,
    leader: NodeId,
    { read, byRound, timeoutMs }: { readonly read: WaitingRead; readonly byRound: boolean; readonly timeoutMs: number },
  ): void {
    const { query, done } = read;
    const call = { peer: leader, group: group.id, timeoutMs };
    const handOver = (leftMs: number): void => {
      const kind = byRound ? ForwardKind.queryByRound : ForwardKind.query;
      this.forward({ ...call, timeoutMs: leftMs, kind, payload: query ?? nothing }, (failure, at, inTerm, result) =>
        done(failure, failure === null ? { via: 'readIndex', index: at, term: inTerm } : null, result),
      );
    };
    if (knowsItselfRemoved(group.raft)) {
      if (query === null) done(noMember(group.id), null, nothing);
      else handOver(timeoutMs);
      return;
    }
    const indexKind = byRound ? ForwardKind.readIndexByRound : ForwardKind.readIndex;
    this.forward({ ...call, kind: indexKind, payload: nothing }, (error, index, term) => {
      if (error?.code === 'READ_IN_LIMBO' && query !== null) {
        handOver(Math.max(1, read.deadlineMs - this.parts.clock.nowMs()));
      } else if (error !== null) done(error, null, nothing);
      else if (group.halted !== null) done(readError(group.halted), null, nothing);
      else {
        group.reads.addProven(read, { index, term });
        this.parts.turn.schedule(group);
      }
    });
  }

  /** The leader to pass a call to, or null to handle it here (where it may be refused with the better reason). */
  private elsewhere(group: Group, options: CallOptions): NodeId | null {
    const { leaderId, role } = group.raft;
    if (options.forward === false || role === Role.leader || leaderId === null || leaderId === this.parts.options.id)
      return null;
    return leaderId;
  }

  /** Passes a call of this host's own to a peer, whoever leads. */
  forward(
    call: {
      readonly peer: NodeId;
      readonly group: GroupId;
      readonly kind: number;
      readonly payload: Uint8Array;
      readonly timeoutMs: number;
    },
    done: Parameters<Forwarding['send']>[1],
  ): void {
    this.forwarding.send({ ...call, nowMs: this.parts.clock.nowMs() }, (error, ...answer) => {
      // Who leads now is not told to those who left, so the old leader would be asked again and again.
      const group = this.parts.groups.get(call.group);
      const left = error?.code === 'NOT_LEADER' && group !== undefined && knowsItselfRemoved(group.raft);
      done(left ? noMember(call.group) : error, ...answer);
    });
    this.parts.turn.request();
  }

  /** Serves a call that another host passed on. It is never passed on again: two hosts that mistake each other for the leader must not play ball. */
  onRequest(peer: NodeId, request: ForwardRequest): void {
    const respond = (reply: ForwardReply): void => {
      this.parts.transport.reply(peer, reply);
      this.parts.turn.request();
    };
    const { id, group, payload } = request;
    const timeoutMs = Math.max(1, Math.min(request.timeoutMs, 600_000));
    const options = { timeoutMs, forward: false };
    const done: ReadDone = (error, proof, result) =>
      respond(
        error === null
          ? successReply(id, { index: proof?.index ?? 0, term: proof?.term ?? 0, payload: result })
          : failureReply(id, error),
      );
    switch (request.kind) {
      case ForwardKind.execute:
        this.submit(group, payload, options, (error, index, result) =>
          respond(error === null ? successReply(id, { index, term: 0, payload: result }) : failureReply(id, error)),
        );
        return;
      case ForwardKind.query:
      case ForwardKind.queryByRound: {
        const consistency = request.kind === ForwardKind.query ? 'lease' : 'linearizable';
        this.query(group, payload, { ...options, consistency }, done);
        return;
      }
      case ForwardKind.readIndex:
      case ForwardKind.readIndexByRound: {
        const consistency = request.kind === ForwardKind.readIndex ? 'lease' : 'linearizable';
        this.startRead(group, null, { ...options, consistency }, done, true);
        return;
      }
      case ForwardKind.standing:
        this.onStandingRequest(peer, request, options, respond);
        return;
      case ForwardKind.changeMembers:
        this.onChangeRequest(request, options, respond);
        return;
      default:
        respond(
          failureReply(
            id,
            new NoriError('UNSUPPORTED', { message: `this node knows no request of kind ${request.kind}` }),
          ),
        );
    }
  }

  /**
   * A peer lost its log of the group, and asks what it is to it. The answer is given by a leader that has made sure of
   * its office after it was asked, and has forgotten what the peer acknowledged: so it holds from then on.
   */
  private onStandingRequest(
    peer: NodeId,
    request: ForwardRequest,
    options: CallOptions,
    respond: (reply: ForwardReply) => void,
  ): void {
    const { id, group: groupId } = request;
    const group = this.parts.groups.get(groupId);
    if (group?.halted === null) group.push({ kind: InputKind.peerForgot, peer });
    this.startRead(groupId, null, { ...options, consistency: 'linearizable' }, (error) => {
      const raft = group?.raft;
      const standing = error === null && raft !== undefined ? standingOf(raft, peer) : null;
      if (raft === undefined || standing === null) {
        const message = `group ${groupId} is changing its members, or its leader`;
        respond(failureReply(id, error ?? new NoriError('CHANGE_IN_PROGRESS', { message })));
        return;
      }
      const { term, configurationIndex: index } = raft;
      respond(successReply(id, { index, term, payload: Uint8Array.of(Standing[standing]) }));
    });
  }

  private onChangeRequest(request: ForwardRequest, options: CallOptions, respond: (reply: ForwardReply) => void): void {
    const { id, group } = request;
    const done: ChangeDone = (error, index) =>
      respond(error === null ? successReply(id, { index, term: 0, payload: nothing }) : failureReply(id, error));
    try {
      this.change(group, decodeChange(request.payload), options, done);
    } catch (error) {
      if (!(error instanceof NoriError)) throw error;
      done(error, 0);
    }
  }

  private refuses(groupId: GroupId, group: Group | undefined): NoriError | null {
    const stopped = this.parts.stopped();
    if (stopped !== null) return stopped;
    if (group === undefined)
      return new NoriError('GROUP_UNKNOWN', { message: `group ${groupId} is not open on this node` });
    if (group.halted?.code === 'GROUP_QUARANTINED') return group.halted;
    if (group.halted !== null)
      return new NoriError(group.halted.code, { message: group.halted.message, outcome: 'notApplied' });
    if (group.pending < this.parts.options.pendingMax && this.forwarding.size < this.parts.options.pendingMax)
      return null;
    return new NoriError('OVERLOADED', {
      message: `group ${groupId} has ${this.parts.options.pendingMax} calls waiting`,
    });
  }

  /** A node that was removed hears of no leader any more: waiting for one would be in vain. */
  private hasLeft(group: Group | undefined): NoriError | null {
    if (group === undefined || group.raft.leader !== null || !knowsItselfRemoved(group.raft)) return null;
    const { leaderId } = group.raft;
    if (leaderId !== null && this.parts.transport.connected(leaderId)) return null;
    return noMember(group.id);
  }

  private tooLarge(command: Uint8Array): NoriError | null {
    const { commandBytesMax } = this.parts.options;
    if (command.length <= commandBytesMax) return null;
    return new NoriError('PAYLOAD_TOO_LARGE', {
      message: `a command of ${command.length} bytes is above the limit of ${commandBytesMax}`,
    });
  }

  onReply(peer: NodeId, reply: ForwardReply): void {
    this.forwarding.onReply(peer, reply);
  }

  onPeerDown(peer: NodeId): void {
    this.forwarding.onPeerDown(peer);
  }

  /** Ends the waits whose time is over. */
  expire(nowMs: number): void {
    this.forwarding.expire(nowMs, this.peerView);
    for (const group of this.parts.groups.values()) {
      if (group.pending === 0) continue;
      if (knowsItselfRemoved(group.raft)) group.reads.failBehind(noMember(group.id));
      group.expire(nowMs);
    }
  }

  failAll(error: NoriError): void {
    const { code, message } = error;
    const notTaken = new NoriError(code, { message, outcome: 'notApplied' });
    for (const group of this.parts.groups.values()) group.failAll(error, notTaken);
    this.forwarding.failAll(error);
  }
}

function isReplacing(group: Group | undefined): NoriError | null {
  if (group?.replacing !== true) return null;
  return new NoriError('CHANGE_IN_PROGRESS', { message: `the state of group ${group.id} is being replaced` });
}

function noMember(group: GroupId): NoriError {
  return new NoriError('NOT_MEMBER', { message: `this node was removed from group ${group}` });
}

const consistencies: ReadonlySet<unknown> = new Set<Consistency>(['lease', 'linearizable', 'stale']);

/** What the types forbid and JavaScript does not. Beyond this door it would break the group. */
function malformed(payload: Uint8Array, { consistency, timeoutMs }: ReadOptions): NoriError | null {
  if (!(payload instanceof Uint8Array)) {
    const message = `a command or query is a Uint8Array, not ${typeof payload}`;
    return new NoriError('CONFIG_INVALID', { message, remedy: 'encode it first', outcome: 'notApplied' });
  }
  if (consistency !== undefined && !consistencies.has(consistency)) {
    const message = `consistency is one of ${[...consistencies].join(', ')}`;
    return new NoriError('CONFIG_INVALID', { message, remedy: 'mend consistency', outcome: 'notApplied' });
  }
  if (timeoutMs === undefined || (typeof timeoutMs === 'number' && timeoutMs > 0)) return null;
  const message = `timeoutMs is a number above 0, not ${String(timeoutMs)}`;
  return new NoriError('CONFIG_INVALID', { message, remedy: 'mend timeoutMs', outcome: 'notApplied' });
}
