import { EntryKind, type GroupId, type Index } from '../../core/types.ts';
import type { AppliedEntry } from '../../ports/state-machine.ts';
import type { Checker, SimWorld } from '../checker.ts';
import { digestOf } from '../hash.ts';
import type { Machine } from '../machine.ts';
import { operationIdOf, payloadOf } from '../operation.ts';
import { requireThat } from '../violation.ts';
import type { Canon } from './canon.ts';

/** Replicas apply what was committed, in order, each once, and answer the same (StateMachineSafety). */
export class ApplyChecker implements Checker {
  readonly name = 'applied';
  /** By group: after applying through an index, the digest of everything applied and answered. */
  private readonly history: Map<GroupId, Map<Index, number>> = new Map();
  /** By lineage: one life of one replica. */
  private readonly lineages: Map<string, { digest: number; index: Index }> = new Map();
  private readonly canons: ReadonlyMap<GroupId, Canon>;

  constructor(canons: ReadonlyMap<GroupId, Canon>) {
    this.canons = canons;
  }

  onDown(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) this.lineages.delete(`${machine.id}/${group}`);
  }

  /** What follows is another lineage: it begins where the snapshot ends. */
  onRestore(_world: SimWorld, machine: Machine, group: GroupId): void {
    this.lineages.delete(`${machine.id}/${group}`);
  }

  onForgot(_world: SimWorld, machine: Machine, group: GroupId): void {
    this.lineages.delete(`${machine.id}/${group}`);
  }

  onApply(
    world: SimWorld,
    machine: Machine,
    batch: {
      readonly group: GroupId;
      readonly entries: readonly AppliedEntry[];
      readonly results: readonly Uint8Array[];
    },
  ): void {
    const key = `${machine.id}/${batch.group}`;
    let history = this.history.get(batch.group);
    if (history === undefined) {
      history = new Map();
      this.history.set(batch.group, history);
    }
    let lineage = this.lineages.get(key);
    if (lineage === undefined) {
      lineage = beginning(machine.raft(batch.group)?.log.applied ?? 0, history);
      if (lineage.index > 0) world.saw('replica went on from a snapshot');
      this.lineages.set(key, lineage);
    }
    for (let at = 0; at < batch.entries.length; at += 1) {
      const entry = batch.entries[at] as AppliedEntry;
      const { index } = entry;
      requireThat(index > lineage.index, 'AppliedOnce', () => `${key} applied ${index} after ${lineage.index}`);
      this.inOrder(key, batch.group, lineage.index, entry);
      const command = digestOf((lineage.digest + index) % Number.MAX_SAFE_INTEGER, payloadOf(entry.command));
      const digest = digestOf(command, batch.results[at] as Uint8Array);
      lineage.digest = digest;
      lineage.index = index;
      const known = history.get(index);
      if (known === undefined) history.set(index, digest);
      else requireThat(known === digest, 'StateMachineSafety', () => `${key} differs from others at ${index}`);
    }
  }

  /** Nothing that was committed is left out, and nothing else is put in. */
  private inOrder(key: string, group: GroupId, after: Index, { index, term, command }: AppliedEntry): void {
    const canon = this.canons.get(group);
    if (canon === undefined) return;
    const committed = canon.at(index);
    requireThat(
      committed !== null && committed.term === term && committed.operation === operationIdOf(command),
      'AppliedInOrder',
      () => `${key} applied something else at ${index} than was committed there`,
    );
    for (let between = after + 1; between < index; between += 1) {
      requireThat(
        canon.at(between)?.entry.kind !== EntryKind.command,
        'AppliedInOrder',
        () => `${key} applied ${index} after ${after} and left out ${between}`,
      );
    }
  }
}

/** A replica that begins with a snapshot has, it says, what others had applied by then (snapshot and suffix are the full replay). */
function beginning(applied: Index, history: ReadonlyMap<Index, number>): { digest: number; index: Index } {
  let last = applied;
  while (last > 0 && !history.has(last)) last -= 1;
  return { digest: history.get(last) ?? 0, index: applied };
}
