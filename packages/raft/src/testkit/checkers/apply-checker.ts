import type { GroupId, Index } from '../../core/types.ts';
import type { AppliedEntry } from '../../ports/state-machine.ts';
import type { Checker, SimWorld } from '../checker.ts';
import { digestOf } from '../hash.ts';
import type { Machine } from '../machine.ts';
import { payloadOf } from '../operation.ts';
import { requireThat } from '../violation.ts';

/** Replicas apply the same commands in the same order, each once, and answer the same (StateMachineSafety). */
export class ApplyChecker implements Checker {
  readonly name = 'applied';
  /** By group: after applying through an index, the digest of everything applied and answered. */
  private readonly history: Map<GroupId, Map<Index, number>> = new Map();
  /** By lineage: one life of one replica. */
  private readonly lineages: Map<string, { digest: number; index: Index }> = new Map();

  onDown(world: SimWorld, machine: Machine): void {
    for (const group of world.groups) this.lineages.delete(`${machine.id}/${group}`);
  }

  onApply(
    _world: SimWorld,
    machine: Machine,
    batch: {
      readonly group: GroupId;
      readonly entries: readonly AppliedEntry[];
      readonly results: readonly Uint8Array[];
    },
  ): void {
    const key = `${machine.id}/${batch.group}`;
    let lineage = this.lineages.get(key);
    if (lineage === undefined) {
      lineage = { digest: 0, index: 0 };
      this.lineages.set(key, lineage);
    }
    let history = this.history.get(batch.group);
    if (history === undefined) {
      history = new Map();
      this.history.set(batch.group, history);
    }
    for (let at = 0; at < batch.entries.length; at += 1) {
      const entry = batch.entries[at] as AppliedEntry;
      const { index } = entry;
      requireThat(index > lineage.index, 'AppliedOnce', () => `${key} applied ${index} after ${lineage.index}`);
      const command = digestOf((lineage.digest + index) % Number.MAX_SAFE_INTEGER, payloadOf(entry.command));
      const digest = digestOf(command, batch.results[at] as Uint8Array);
      lineage.digest = digest;
      lineage.index = index;
      const known = history.get(index);
      if (known === undefined) history.set(index, digest);
      else requireThat(known === digest, 'StateMachineSafety', () => `${key} differs from others at ${index}`);
    }
  }
}
