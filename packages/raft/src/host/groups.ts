import { assert } from '../base/assert.ts';
import { NoriError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { foundingConfiguration, isDispensable } from '../core/configuration.ts';
import { noBase, noHardState, type Quarantine, QuarantineStage } from '../codec/record.ts';
import { RaftState } from '../core/state.ts';
import {
  type Configuration,
  EntryKind,
  entry,
  type GroupId,
  type Index,
  type Life,
  type Member,
  type NodeId,
  type Term,
} from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { StateMachine } from '../ports/state-machine.ts';
import type { RecoveredGroup, Wal } from '../wal/wal.ts';
import type { CreateGroup } from './api.ts';
import { Group } from './group.ts';
import type { Narrator } from './narrator.ts';
import { type HostOptions, membersOf } from './options.ts';
import { isAiling, isGivenUp, joining } from './quarantine.ts';
import { resumeIndex } from './resume.ts';
import type { StartOfGroup } from './snapshot-recovery.ts';
import type { Snapshots } from './snapshots.ts';
import type { Turn } from './turn.ts';

const foundingTerm: Term = 1;

export interface GroupsParts {
  readonly options: HostOptions;
  /** Which life of this node it is. */
  readonly life: Life;
  readonly clock: Clock;
  readonly random: Random;
  readonly wal: Wal;
  readonly turn: Turn;
  /** What the log held at start; kept up to date with what is founded and destroyed since. */
  readonly recovered: Map<GroupId, RecoveredGroup>;
  snapshots(): Snapshots;
  /** Whether damage to a group is met with quarantine; else the group is refused. */
  readonly quarantine: boolean;
  readonly narrator: Narrator;
  /** The group is in quarantine, in whatever stage: see to it that it gets whole again. */
  onQuarantine(group: Group): void;
  /** @throws NoriError CLOSED or DISK_FAILED. */
  assertRunning(): void;
}

/** Groups come and go at run time. */
export class Groups {
  readonly open: Map<GroupId, Group> = new Map();
  /** Ids that are taken, of groups whose first entry is on its way to the disk. Until it is there they hear nothing. */
  private readonly founding = new Set<GroupId>();
  private readonly parts: GroupsParts;

  constructor(parts: GroupsParts) {
    this.parts = parts;
  }

  /** @throws NoriError GROUP_UNKNOWN. */
  known(id: GroupId): Group {
    const group = this.open.get(id);
    if (group === undefined) throw new NoriError('GROUP_UNKNOWN', { message: `group ${id} is not open on this node` });
    return group;
  }

  async create(create: CreateGroup): Promise<void> {
    const { group: id, stateMachine } = create;
    const { recovered, turn } = this.parts;
    if (!Number.isSafeInteger(id) || id < 1 || id > 0xffff_ffff) {
      const message = `group must be a whole number from 1 to 2^32 - 1, not ${String(id)}`;
      throw new NoriError('CONFIG_INVALID', { message });
    }
    if (this.open.has(id) || this.founding.has(id)) {
      throw new NoriError('GROUP_EXISTS', { message: `group ${id} is open on this node already` });
    }
    assertStateMachine(id, stateMachine);
    const onDisk = recovered.get(id);
    if (onDisk?.destroyed === true) {
      throw new NoriError('GROUP_DESTROYED', {
        message: `group ${id} was destroyed on this node`,
        remedy: 'use an id that was never used',
        outcome: 'notApplied',
      });
    }
    if (onDisk !== undefined && isGivenUp(onDisk.quarantine)) {
      this.openQuarantined(onDisk, stateMachine, onDisk.quarantine).pristine = true;
      return;
    }
    let start: StartOfGroup;
    try {
      start = await this.startOf(create, onDisk);
    } catch (error) {
      if (onDisk === undefined || !this.isRefillable(error)) throw error;
      await this.quarantineDamaged(onDisk, stateMachine, error);
      return;
    }
    const group = this.makeGroup(start, stateMachine);
    // From here on the group has the entries; what is kept is that its id is taken.
    recovered.set(id, { ...start, entries: [] });
    this.open.set(id, group);
    turn.add(group);
    if (isAiling(group.quarantine)) this.parts.onQuarantine(group);
  }

  /**
   * Gives up what this node has of the group, and has it filled again by the others: it votes no more until it has
   * caught up.
   */
  async refill(id: GroupId, reason: string): Promise<void> {
    const group = this.known(id);
    if (isGivenUp(group.quarantine)) return;
    await this.setQuarantine(group, this.hush(group, reason));
    this.enterQuarantine(group, reason);
  }

  /** From here on the group says nothing, and nobody is answered here. Returns the mark that says so over crashes. */
  private hush(group: Group, reason: string): Quarantine {
    const { id, quarantine } = group;
    this.parts.turn.silence(group, quarantined(id, reason));
    group.failAll(quarantined(id, reason, 'unknown'), quarantined(id, reason));
    return { stage: QuarantineStage.lost, voter: quarantine?.voter ?? false, since: 0, reason };
  }

  /** @throws NoriError UNSUPPORTED, GROUP_UNKNOWN. */
  async refillAsAsked(id: GroupId): Promise<void> {
    const { options } = this.parts;
    const { configuration } = this.known(id).raft;
    if (!isDispensable(configuration, options.id)) {
      throw new NoriError('UNSUPPORTED', {
        message: `group ${id} cannot do without the vote of ${options.id}: it has ${configuration.incoming.length} voters`,
        remedy: 'add members until there are three, or remove this one first',
      });
    }
    await this.refill(id, 'it was asked for');
  }

  /**
   * The state machine found its state damaged: the others give it anew. False where there is nobody who could, or they
   * cannot do without the vote of this node meanwhile. Its log is whole, so that is not given up before a leader answered
   * (`Refill`): where many states are damaged at once nobody leads, and a restart builds each anew from its own log.
   */
  onStateDamaged(group: Group, cause: NoriError): boolean {
    const { options, quarantine } = this.parts;
    if (!quarantine || !isDispensable(group.raft.configuration, options.id)) return false;
    if (isGivenUp(group.quarantine)) return true;
    group.quarantine = this.hush(group, cause.message);
    this.enterQuarantine(group, cause.message);
    return true;
  }

  /** Durable when it resolves. */
  async setQuarantine(group: Group, quarantine: Quarantine | null): Promise<void> {
    this.parts.wal.setQuarantine(group.id, quarantine);
    await this.parts.wal.flushed();
    // Whole again, and its state found damaged just then: it is not.
    if (quarantine !== null || group.halted === null) group.quarantine = quarantine;
  }

  /**
   * The group has been told that this node has no vote: it starts with nothing, in the term of the leader who said so.
   * Nothing of an earlier term may be acknowledged any more, and of that term no other leader (docs/adr/0012-quarantine.md).
   */
  async beginAnew(
    group: Group,
    told: { readonly term: Term; readonly index: Index; readonly leader: NodeId; readonly voter: boolean },
  ): Promise<Group> {
    const { wal, turn, recovered } = this.parts;
    const { id, stateMachine, quarantine } = group;
    assert(quarantine !== null && group.halted !== null, 'only what is in quarantine begins anew');
    // A batch or a snapshot that is on its way into the state machine would come back after the reset.
    if (group.applier.busy) throw new NoriError('OVERLOADED', { message: `group ${id} is still being applied to` });
    if (stateMachine.reset === undefined && stateMachine.durablePosition !== undefined) {
      const message = `the state machine of group ${id} keeps a state of its own and cannot reset it`;
      throw new NoriError('UNSUPPORTED', { message, remedy: 'remove its store, or give it a reset method' });
    }
    if (stateMachine.reset === undefined && !group.pristine) {
      const message = `the state machine of group ${id} cannot reset what it has, so a new one has to take its place`;
      throw new NoriError('UNSUPPORTED', { message, remedy: 'restart the node, or give it a reset method' });
    }
    await stateMachine.reset?.();
    await this.parts.snapshots().destroy(id);
    const { term, index: since, leader, voter } = told;
    const hardState =
      group.raft.term > term ? { ...noHardState, term: group.raft.term } : { ...noHardState, term, votedFor: leader };
    const { reason } = quarantine;
    const refilling = { stage: QuarantineStage.refilling, voter, since, reason };
    wal.setHardState(id, hardState);
    wal.setQuarantine(id, refilling);
    await this.parts.wal.flushed();
    this.parts.assertRunning();
    const start = { ...emptyGroup(id), hardState, quarantine: refilling };
    const fresh = this.makeGroup({ ...start, snapshot: null, applied: 0 }, stateMachine);
    turn.remove(group);
    recovered.set(id, start);
    this.open.set(id, fresh);
    turn.add(fresh);
    return fresh;
  }

  /** Damage to what this node keeps of a group costs it the group, where there may be others who have it. */
  private isRefillable(error: unknown): boolean {
    if (!this.parts.quarantine || !(error instanceof NoriError)) return false;
    return error.code === 'SNAPSHOT_DAMAGED' || error.code === 'STATE_FOREIGN';
  }

  private async quarantineDamaged(onDisk: RecoveredGroup, stateMachine: StateMachine, error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const voter = onDisk.quarantine?.voter ?? false;
    const quarantine: Quarantine = { stage: QuarantineStage.lost, voter, since: 0, reason };
    this.parts.wal.setQuarantine(onDisk.group, quarantine);
    await this.parts.wal.flushed();
    this.parts.assertRunning();
    this.openQuarantined(onDisk, stateMachine, quarantine);
  }

  private openQuarantined(
    { group: id, hardState }: RecoveredGroup,
    stateMachine: StateMachine,
    why: Quarantine,
  ): Group {
    const start = { ...emptyGroup(id), hardState, quarantine: why };
    const group = this.makeGroup({ ...start, snapshot: null, applied: 0 }, stateMachine);
    group.halted = quarantined(id, why.reason);
    this.parts.recovered.set(id, start);
    this.open.set(id, group);
    this.parts.turn.add(group);
    this.enterQuarantine(group, why.reason);
    return group;
  }

  private enterQuarantine(group: Group, reason: string): void {
    const { narrator } = this.parts;
    const { id } = group;
    narrator.logger?.error({ group: id }, `group ${id} is in quarantine on this node: ${reason}`);
    narrator.tell({ scope: 'Storage', event: { type: 'GroupQuarantined', group: id, message: reason } });
    this.parts.onQuarantine(group);
  }

  /** Its id is taken while its state is read: until it is complete the group hears nothing. */
  private async startOf(create: CreateGroup, onDisk: RecoveredGroup | undefined): Promise<StartOfGroup> {
    const { group: id, stateMachine } = create;
    if (onDisk === undefined) {
      const begun = await this.begin(create);
      return { ...begun, snapshot: null, applied: resumeIndex(begun, stateMachine.durablePosition?.() ?? null) };
    }
    this.founding.add(id);
    try {
      const start = await this.parts.snapshots().recover(onDisk, stateMachine);
      this.parts.assertRunning();
      return start;
    } finally {
      this.founding.delete(id);
    }
  }

  private foundersOf(record: Readonly<Record<string, string>>): readonly Member[] {
    const { options } = this.parts;
    const members = membersOf(record);
    const stranger = members.find(({ id }) => !options.members.some((known) => known.id === id));
    const why =
      stranger === undefined
        ? `does not name this node, ${options.id}: only its founding members create a group`
        : `names ${stranger.id}, which is no member of this host: hosts only speak to members`;
    if (stranger === undefined && members.some(({ id }) => id === options.id)) return members;
    throw new NoriError('CONFIG_INVALID', { message: `members ${why}`, remedy: 'mend members' });
  }

  async destroy(id: GroupId): Promise<void> {
    const group = this.known(id);
    const { wal, turn, recovered } = this.parts;
    this.open.delete(id);
    turn.remove(group);
    const message = `group ${id} was destroyed on this node`;
    const error = new NoriError('GROUP_DESTROYED', { message });
    group.halted = error;
    group.failAll(error, new NoriError('GROUP_DESTROYED', { message, outcome: 'notApplied' }));
    wal.destroyGroup(id);
    const known = recovered.get(id);
    if (known !== undefined) recovered.set(id, { ...known, entries: [], destroyed: true });
    await this.parts.wal.flushed();
    await this.parts.snapshots().destroy(id);
  }

  private begin(create: CreateGroup): Promise<RecoveredGroup> {
    const { options } = this.parts;
    if (create.join ?? options.join) return this.await(create.group);
    const members = create.members === undefined ? options.members : this.foundersOf(create.members);
    return this.found(create.group, foundingConfiguration(members));
  }

  /**
   * A group that knows nobody, and so asks nobody for a vote: its leader will come to it. A node of this name may have
   * been there before, on another disk: like one that begins anew it votes for itself by no configuration of that time.
   */
  private async await(id: GroupId): Promise<RecoveredGroup> {
    const { wal } = this.parts;
    wal.createGroup(id);
    wal.setQuarantine(id, joining);
    await this.taken(id);
    return { ...emptyGroup(id), quarantine: joining };
  }

  private async found(id: GroupId, configuration: Configuration): Promise<RecoveredGroup> {
    const { wal } = this.parts;
    // Every founder writes the same first entry, as if an earlier leader had committed it everywhere.
    const first = entry({ index: 1, term: foundingTerm, kind: EntryKind.configuration, timeMs: 0, configuration });
    const hardState = { term: foundingTerm, votedFor: null, promises: [] };
    wal.createGroup(id);
    wal.setHardState(id, hardState);
    wal.append(id, [first]);
    await this.taken(id);
    return { ...emptyGroup(id), hardState, entries: [first] };
  }

  /** Resolves when what is staged of a new group is durable. */
  private async taken(id: GroupId): Promise<void> {
    this.founding.add(id);
    try {
      await this.parts.wal.flushed();
    } finally {
      this.founding.delete(id);
    }
    this.parts.assertRunning();
  }

  private makeGroup(start: StartOfGroup, stateMachine: StateMachine): Group {
    const { options, life, clock, random, turn } = this.parts;
    const raft = new RaftState({
      id: options.id,
      life,
      options: options.raft,
      prng: new Prng(random.uint32()),
      nowMs: clock.nowMs(),
      hardState: start.hardState,
      base: start.base,
      entries: start.entries,
      applied: start.applied,
      newcomer: start.quarantine?.stage === QuarantineStage.refilling,
      ...(start.snapshot === null ? {} : { snapshot: start.snapshot }),
    });
    const group = new Group({
      id: start.group,
      slot: turn.allocateSlot(),
      raft,
      stateMachine,
      limits: options,
      meter: options.meter,
      nowMs: () => clock.nowMs(),
      schedule: (group) => turn.schedule(group),
    });
    group.quarantine = start.quarantine;
    return group;
  }
}

function emptyGroup(group: GroupId): RecoveredGroup {
  return {
    group,
    hardState: noHardState,
    entries: [],
    base: noBase,
    destroyed: false,
    quarantine: null,
    wholeFrom: 0,
  };
}

function quarantined(group: GroupId, reason: string, outcome: 'notApplied' | 'unknown' = 'notApplied'): NoriError {
  const message = `group ${group} is in quarantine on this node: ${reason}`;
  return new NoriError('GROUP_QUARANTINED', { message, outcome });
}

/** What JavaScript lets through would only come to light with the first command. */
function assertStateMachine(id: GroupId, stateMachine: StateMachine): void {
  const missing = (['apply', 'query', 'snapshot', 'restore'] as const).find(
    (method) => typeof (stateMachine as Partial<StateMachine> | undefined)?.[method] !== 'function',
  );
  if (missing === undefined) return;
  const message = `stateMachine of group ${id} has no method ${missing}`;
  throw new NoriError('CONFIG_INVALID', { message, remedy: 'give it apply, query, snapshot and restore' });
}
