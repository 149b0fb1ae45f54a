import { isInLimbo } from '../../core/lease.ts';
import { EntryKind, type GroupId, type Index, type Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { type ClientOperation, operationIdOf, payloadOf } from '../operation.ts';
import { requireThat } from '../violation.ts';
import type { Model } from '../workload.ts';
import type { Canon, CanonEntry } from './canon.ts';

/** What was promised to clients: acknowledged is kept, refused never happens, and reads are linearizable. */
export class ClientChecker implements Checker {
  readonly name = 'clients';
  private readonly canons: ReadonlyMap<GroupId, Canon>;
  private readonly models: ReadonlyMap<GroupId, Model>;
  /** Where each operation was committed. */
  private readonly places: Map<number, Index> = new Map();
  private readonly refused: Set<number> = new Set();
  private readonly unknown: Set<number> = new Set();
  /** What a read must see at least, from the moment it was invoked. */
  private readonly floors: Map<number, Index> = new Map();
  /** By group: the highest index anybody was told of. */
  private readonly told: Map<GroupId, Index> = new Map();
  /** By group and term: when its leader was last seen not to know yet how far its predecessor had got. */
  private readonly limbo: Map<GroupId, Map<Term, number>> = new Map();
  private readonly groupOf: Map<number, GroupId> = new Map();

  constructor(canons: ReadonlyMap<GroupId, Canon>, models: ReadonlyMap<GroupId, Model>) {
    this.canons = canons;
    this.models = models;
    for (const [group, canon] of canons) canon.onCommitted.push((committed) => this.onCommitted(group, committed));
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    const { groups } = world;
    for (let at = 0; at < groups.length; at += 1) {
      const group = groups[at] as GroupId;
      const raft = machine.raft(group);
      if (raft === null || raft.leader === null || !isInLimbo(raft)) continue;
      let terms = this.limbo.get(group);
      if (terms === undefined) {
        terms = new Map();
        this.limbo.set(group, terms);
      }
      terms.set(raft.term, world.nowMs);
    }
  }

  onInvoke(world: SimWorld, operation: ClientOperation): void {
    this.groupOf.set(operation.id, operation.group);
    if (operation.kind === 'write') return;
    this.floors.set(operation.id, this.told.get(operation.group) ?? 0);
    for (const machine of world.machines) this.afterEvent(world, machine);
  }

  onAck(_world: SimWorld, { id, group, index }: ClientOperation): void {
    const committed = this.canons.get(group)?.at(index) ?? null;
    requireThat(
      committed !== null,
      'AckedIsCommitted',
      () => `operation ${id} was acknowledged at ${index}, not committed`,
    );
    requireThat(
      committed.operation === id,
      'AckedIsCommitted',
      () => `operation ${id} was acknowledged at ${index}, where ${committed.operation} is`,
    );
    this.tell(group, index);
  }

  onRead(world: SimWorld, read: ClientOperation): void {
    const { id, group, index, payload, result, consistency, proof } = read;
    const stale = consistency === 'stale';
    const floor = stale ? 0 : (this.floors.get(id) ?? 0);
    this.floors.delete(id);
    const last = this.canons.get(group)?.lastIndex ?? 0;
    requireThat(index <= last, 'ReadLinearizable', () => `read ${id} saw ${index}, which is not committed`);
    const model = this.models.get(group);
    const wrong = model?.judge(payload, index, result) ?? null;
    requireThat(wrong === null, 'ReadLinearizable', () => `read ${id} of group ${group}: ${wrong}`);
    // A new leader may not know yet that entries in limbo are committed, and answer what they do not change.
    if (this.lastEffect(group, floor) > index) {
      requireThat(
        model?.limbo === true && this.wasInLimbo(world, read),
        'ReadLinearizable',
        () => `read ${id} saw the state of ${index}, though ${floor} was told of before it began`,
      );
      const mattered = model.judge(payload, floor, result);
      requireThat(
        mattered === null,
        'ReadLinearizable',
        () => `read ${id} saw the state of ${index}, though ${floor} was told of before it began: ${mattered}`,
      );
      world.saw('read past entries in limbo');
    }
    if (!stale) this.tell(group, index);
    world.saw(`read by ${proof?.via ?? 'nobody'}`);
  }

  onFailed(world: SimWorld, { id, kind, outcome, code }: ClientOperation): void {
    if (kind === 'read') {
      // Its client has left; what its node says all the same is judged all the same.
      if (code !== 'CLIENT_TIMEOUT') this.floors.delete(id);
      return;
    }
    if (outcome === 'unknown') {
      this.unknown.add(id);
      if (this.places.has(id)) world.saw('unknown outcome that was committed');
      return;
    }
    requireThat(!this.places.has(id), 'RefusedNeverApplied', () => `operation ${id} got ${code} and was committed`);
    this.unknown.delete(id);
    this.refused.add(id);
  }

  finish(world: SimWorld): void {
    for (const id of this.unknown) {
      world.saw(this.places.has(id) ? 'unknown outcome that was committed' : 'unknown outcome that never was');
    }
  }

  private onCommitted(group: GroupId, { index, operation, entry }: CanonEntry): void {
    if (operation === 0) {
      if (entry.kind === EntryKind.clock) this.models.get(group)?.passed?.(index, entry.timeMs);
      return;
    }
    const before = this.places.get(operation);
    requireThat(
      before === undefined,
      'AtMostOnce',
      () => `operation ${operationIdOf(entry.payload)} was committed at ${before} and at ${index}`,
    );
    this.places.set(operation, index);
    requireThat(
      this.groupOf.get(operation) === group,
      'AtMostOnce',
      () => `operation ${operation} was committed in group ${group}, where nobody sent it`,
    );
    requireThat(
      !this.refused.has(operation),
      'RefusedNeverApplied',
      () => `operation ${operation} was refused for certain and then committed at ${index}`,
    );
    this.models.get(group)?.committed(index, entry.timeMs, payloadOf(entry.payload));
  }

  /** Whether the leader whose word the answer rests on was in limbo at some moment since the read began. */
  private wasInLimbo(world: SimWorld, { group, proof, invokedMs }: ClientOperation): boolean {
    for (const machine of world.machines) this.afterEvent(world, machine);
    return (this.limbo.get(group)?.get(proof?.term ?? 0) ?? -1) >= invokedMs;
  }

  /** The last entry through `index` that may have changed what is read: all but the leaders' own, and configurations. */
  private lastEffect(group: GroupId, index: Index): Index {
    const canon = this.canons.get(group);
    let at = index;
    for (; at > 0; at -= 1) {
      const kind = canon?.at(at)?.entry.kind;
      if (kind === EntryKind.command || kind === EntryKind.clock) break;
    }
    return at;
  }

  private tell(group: GroupId, index: Index): void {
    if (index > (this.told.get(group) ?? 0)) this.told.set(group, index);
  }
}
