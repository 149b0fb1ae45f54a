import { Prng } from '../../base/prng.ts';
import type { GroupId, Index } from '../../core/types.ts';
import type { AppliedEntry, StateMachine } from '../../ports/state-machine.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { payloadOf } from '../operation.ts';
import { skewed } from '../random.ts';
import { requireThat, Violation } from '../violation.ts';

type Step =
  | { readonly kind: 'entry'; readonly entry: AppliedEntry; readonly result: Uint8Array }
  | { readonly kind: 'time'; readonly timeMs: number };

/** One group's history as its first replica saw it, and two replicas that nobody knows of and that go after it. */
interface Shadow {
  readonly steps: Step[];
  lastIndex: Index;
  lastTimeMs: number;
  /** Gets every entry in a batch of its own. */
  single: StateMachine;
  /** Is now and then replaced by a new one, restored from its snapshot. */
  restored: StateMachine;
  restoredAt: Index;
  restoreIn: number;
}

/**
 * What a cluster shows only when the moment is right is tried with every entry: a replica that gets entries one by one
 * answers the same (BatchesDoNotMatter), and so does one that came from a snapshot (SnapshotComplete).
 */
export class ShadowChecker implements Checker {
  readonly name = 'shadow';
  private readonly make: () => StateMachine;
  private readonly audit: (machine: StateMachine) => void;
  private readonly prng = new Prng(1);
  private readonly shadows: Map<GroupId, Shadow> = new Map();

  constructor(make: () => StateMachine, audit: (machine: StateMachine) => void) {
    this.make = make;
    this.audit = audit;
  }

  /** Log time went on without a command, on a node that had applied through `afterIndex`. */
  onTime(group: GroupId, afterIndex: Index, timeMs: number): void {
    const shadow = this.shadow(group);
    if (afterIndex < shadow.lastIndex || timeMs <= shadow.lastTimeMs) return;
    shadow.lastTimeMs = timeMs;
    shadow.steps.push({ kind: 'time', timeMs });
  }

  onApply(
    world: SimWorld,
    _machine: Machine,
    batch: {
      readonly group: GroupId;
      readonly entries: readonly AppliedEntry[];
      readonly results: readonly Uint8Array[];
    },
  ): void {
    const shadow = this.shadow(batch.group);
    for (let at = 0; at < batch.entries.length; at += 1) {
      const entry = batch.entries[at] as AppliedEntry;
      if (entry.index <= shadow.lastIndex) continue;
      const result = (batch.results[at] as Uint8Array).slice();
      shadow.steps.push({ kind: 'entry', entry: { ...entry, command: payloadOf(entry.command).slice() }, result });
      shadow.lastIndex = entry.index;
      world.wantInspection();
    }
  }

  inspect(world: SimWorld): Promise<void> | null {
    return [...this.shadows.values()].some(({ steps }) => steps.length > 0) ? this.follow(world) : null;
  }

  private async follow(world: SimWorld): Promise<void> {
    for (const [group, shadow] of this.shadows) {
      for (const step of shadow.steps.splice(0)) {
        if (step.kind === 'time') {
          shadow.single.advanceTime?.(step.timeMs);
          shadow.restored.advanceTime?.(step.timeMs);
        } else await this.entry(world, group, shadow, step.entry, step.result);
      }
      this.audit(shadow.restored);
    }
  }

  private async entry(
    world: SimWorld,
    group: GroupId,
    shadow: Shadow,
    entry: AppliedEntry,
    result: Uint8Array,
  ): Promise<void> {
    const { index } = entry;
    // Copies: a machine may keep or change what it is given.
    const apply = async (machine: StateMachine): Promise<Uint8Array> => {
      const [own] = await machine.apply([{ ...entry, command: entry.command.slice() }]);
      return own ?? new Uint8Array(0);
    };
    const said = (answer: Uint8Array): string =>
      world.workload.answerText?.({ kind: 'write', payload: entry.command }, answer) ?? `${answer.length} bytes`;
    const judge = (answer: Uint8Array, promise: string, who: string): void => {
      const message = (): string =>
        `group ${group}: ${who} answers entry ${index} with "${said(answer)}", the cluster with "${said(result)}"`;
      requireThat(same(answer, result), promise, message);
    };
    judge(await apply(shadow.single), 'BatchesDoNotMatter', 'a replica that applies one entry at a time');
    const origin = `a replica restored from a snapshot of entry ${shadow.restoredAt}`;
    judge(await apply(shadow.restored), 'SnapshotComplete', origin);
    shadow.restoreIn -= 1;
    if (shadow.restoreIn > 0) return;
    await this.restore(shadow, index);
    world.saw('replica restored from a snapshot');
  }

  private async restore(shadow: Shadow, index: Index): Promise<void> {
    const fresh = this.make();
    try {
      await fresh.restore(shadow.restored.snapshot());
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Violation('SnapshotComplete', `the snapshot of entry ${index} cannot be restored: ${why}`, cause);
    }
    shadow.restored = fresh;
    shadow.restoredAt = index;
    shadow.restoreIn = this.nextRestore();
  }

  /** Most often soon, so that few calls are enough to show what a snapshot forgets. */
  private nextRestore(): number {
    return Math.floor(skewed(this.prng, 1, 40));
  }

  private shadow(group: GroupId): Shadow {
    let shadow = this.shadows.get(group);
    if (shadow === undefined) {
      const machines = { single: this.make(), restored: this.make() };
      shadow = { steps: [], lastIndex: 0, lastTimeMs: 0, ...machines, restoredAt: 0, restoreIn: 1 };
      this.shadows.set(group, shadow);
    }
    return shadow;
  }
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
