import { NoriError } from '../base/errors.ts';
import { type Quarantine, QuarantineStage } from '../codec/record.ts';
import { encodeChange } from '../codec/change.ts';
import { ForwardKind, Standing } from '../codec/request.ts';
import { isVoter } from '../core/configuration.ts';
import { type GroupId, type Index, isNodeId, type NodeId, type Term } from '../core/types.ts';
import { Metric } from '../observe/metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import type { Transport } from '../transport/transport.ts';
import type { Calls } from './calls.ts';
import type { Group } from './group.ts';
import type { Groups } from './groups.ts';
import type { Narrator } from './narrator.ts';
import { isAiling } from './quarantine.ts';

// A replica that lost its log may have acknowledged what it does not know any more, and voted. So it is silent until the
// group counts on it no more: until a leader that is one for certain says that by its committed configuration this node
// has no vote. Only then it begins anew, in the term of that leader, and learns; and once it keeps up it votes again
// (docs/adr/0012-quarantine.md).

const retryMs = 250;
const askMs = 2_000;
const demoteMs = 10_000;
/** A learner has the whole log to fetch first. */
const promoteMs = 60_000;
const nothing = new Uint8Array(0);

export interface RefillParts {
  readonly id: NodeId;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly narrator: Narrator;
  readonly groups: Groups;
  readonly calls: Calls;
  /** Why the host does nothing any more, or null. */
  stopped(): NoriError | null;
}

interface Answer {
  readonly from: NodeId;
  readonly term: Term;
  /** Of the configuration it is the standing by. */
  readonly index: Index;
  readonly standing: Standing;
}

/** A group on its way back, one step after another. */
interface Case {
  readonly id: GroupId;
  readonly stateMachine: StateMachine;
  notBeforeMs: number;
  busy: boolean;
  /** Who is believed to lead; else all peers are asked in turn. */
  hint: NodeId | null;
  attempts: number;
  /** The last thing that was said to be in its way. */
  told: string;
}

/** Brings groups whose log or snapshot was damaged on this host back, without anybody's help. */
export class Refill {
  private readonly parts: RefillParts;
  private readonly cases = new Map<GroupId, Case>();

  constructor(parts: RefillParts) {
    this.parts = parts;
  }

  /** Takes the group up, in whatever stage of quarantine it is. */
  watch(group: Group): void {
    const { id, stateMachine } = group;
    this.tell(group);
    this.cases.set(id, { id, stateMachine, notBeforeMs: 0, busy: false, hint: null, attempts: 0, told: '' });
  }

  /** Called now and then: takes the next step wherever it is time for one. */
  sweep(nowMs: number): void {
    for (const found of this.cases.values()) {
      if (found.busy || nowMs < found.notBeforeMs || this.parts.stopped() !== null) continue;
      const group = this.parts.groups.open.get(found.id);
      // It was destroyed.
      if (group?.quarantine == null) {
        this.cases.delete(found.id);
        continue;
      }
      found.busy = true;
      void this.step(found, group, group.quarantine)
        .catch((error: unknown) => this.note(found, error))
        .finally(() => {
          found.busy = false;
          found.notBeforeMs = this.parts.clock.nowMs() + retryMs;
        });
    }
  }

  private async step(found: Case, group: Group, quarantine: Quarantine): Promise<void> {
    if (quarantine.stage === QuarantineStage.refilling) {
      await this.refilled(found, group, quarantine);
      return;
    }
    const answer = await this.standing(found);
    // A majority is there without this node. Of a state that was damaged beside a whole log nothing said so over a crash until now.
    if (quarantine.stage === QuarantineStage.lost) await this.parts.groups.setQuarantine(group, quarantine);
    if (answer.standing !== Standing.voter) {
      await this.release(found, group, answer);
      return;
    }
    // Before it is asked for: should the answer be lost, a later one says no more that it had a vote.
    if (quarantine.stage === QuarantineStage.lost) {
      await this.parts.groups.setQuarantine(group, { ...quarantine, stage: QuarantineStage.asking, voter: true });
    }
    await this.ask(answer.from, found.id, {
      kind: ForwardKind.changeMembers,
      payload: encodeChange({ demote: [this.parts.id] }),
      timeoutMs: demoteMs,
    });
    found.hint = answer.from;
    await this.release(found, group, await this.standing(found));
  }

  /** What this node is to the group, by the word of whoever leads it now. */
  private async standing(found: Case): Promise<Answer> {
    const from = this.whomToAsk(found);
    found.attempts += 1;
    found.hint = null;
    const question = { kind: ForwardKind.standing, payload: nothing, timeoutMs: askMs };
    const { index, term, result } = await this.ask(from, found.id, question);
    const standing = result[0] ?? Number.NaN;
    if (term === 0 || !(Object.values(Standing) as number[]).includes(standing)) {
      throw new NoriError('WIRE_MALFORMED', { message: `${from} gave an answer that makes no sense` });
    }
    found.hint = from;
    return { from, term, index, standing: standing as Standing };
  }

  private whomToAsk({ id, hint, attempts }: Case): NodeId {
    const connected = this.parts.transport.peers().filter((peer) => peer.connected);
    const peer = connected.find((other) => other.id === hint) ?? connected[attempts % Math.max(1, connected.length)];
    if (peer !== undefined) return peer.id;
    throw new NoriError('NOT_LEADER', { message: `no other node that may have group ${id} is connected` });
  }

  private ask(
    peer: NodeId,
    group: GroupId,
    call: { readonly kind: number; readonly payload: Uint8Array; readonly timeoutMs: number },
  ): Promise<{ readonly index: Index; readonly term: Term; readonly result: Uint8Array }> {
    return new Promise((resolve, reject) => {
      this.parts.calls.forward({ peer, group, ...call }, (error, index, term, result) =>
        error === null ? resolve({ index, term, result }) : reject(error),
      );
    });
  }

  /** The group counts on this node no more. */
  private async release(found: Case, group: Group, { from, term, index, standing }: Answer): Promise<void> {
    const { groups } = this.parts;
    if (standing === Standing.voter || groups.open.get(found.id) !== group || group.quarantine === null) return;
    // Somebody removed this node meanwhile: it waits to be added, like any other that is new.
    const voter = standing !== Standing.absent && (group.quarantine.voter || standing === Standing.joining);
    const fresh = await groups.beginAnew(group, { term, index, leader: from, voter });
    const { narrator } = this.parts;
    narrator.logger?.info({ group: found.id, term, leader: from }, 'the group begins anew on this node, as a learner');
    narrator.tell({ scope: 'Storage', event: { type: 'GroupRefilling', group: found.id, term } });
    this.tell(fresh);
  }

  /** It learns. Once it votes again, all is as it was; the leader lets it when it keeps up. */
  private async refilled(found: Case, group: Group, quarantine: Quarantine): Promise<void> {
    const { raft } = group;
    const { id, groups, calls } = this.parts;
    // Who is to have no vote has only to learn.
    if (group.halted !== null || !quarantine.voter) return;
    // While it replays an old log it comes by configurations in which it still had a vote.
    const { configurationIndex, log, newcomer } = raft;
    const settled = !newcomer && configurationIndex <= log.commit && configurationIndex >= quarantine.since;
    if (settled && isVoter(raft.configuration, id)) {
      await groups.setQuarantine(group, null);
      if (group.quarantine === null) this.ended(group);
      return;
    }
    if (!settled || raft.leaderId === null || !raft.configuration.learners.includes(id)) return;
    if (raft.configuration.planned?.voters.includes(id) === true) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error: NoriError | null): void => (error === null ? resolve() : reject(error));
      calls.change(found.id, { promote: [id] }, { timeoutMs: promoteMs }, done);
    });
  }

  private ended(group: Group): void {
    this.cases.delete(group.id);
    this.tell(group);
    const { narrator } = this.parts;
    narrator.logger?.info({ group: group.id }, 'the group is whole again on this node');
    narrator.tell({ scope: 'Storage', event: { type: 'GroupRefilled', group: group.id } });
  }

  private tell({ id, quarantine }: Group): void {
    const value = !isAiling(quarantine) ? 0 : quarantine.stage === QuarantineStage.refilling ? 2 : 1;
    this.parts.narrator.meter?.gauge(Metric.quarantine, id, value);
  }

  /** Most of what goes wrong passes: no leader yet, another change under way. */
  private note(found: Case, error: unknown): void {
    if (this.parts.stopped() !== null) return;
    const hint = error instanceof NoriError ? error.leaderHint : null;
    found.hint = hint !== null && isNodeId(hint) ? hint : null;
    const { logger } = this.parts.narrator;
    const why = error instanceof NoriError ? error.code : 'none';
    if (why === found.told) return;
    found.told = why;
    const reason = error instanceof Error ? error.message : String(error);
    logger?.warn({ group: found.id, err: error }, `group ${found.id} is not refilled yet: ${reason}`);
  }
}
