import type { RaftState } from '../../core/state.ts';
import type { GroupId, Index, Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import { SnapshotDisk } from '../disk-image.ts';
import type { Machine } from '../machine.ts';
import type { ClientOperation } from '../operation.ts';
import { recover, type Recovery } from '../../wal/recovery.ts';
import { requireThat, Violation } from '../violation.ts';
import type { Canon } from './canon.ts';

/** A power cut alone is never damage: recovery copes with whatever it leaves. */
async function recovered(machine: Machine, image: SnapshotDisk): Promise<Recovery> {
  try {
    return await recover(image, 'disk/data/wal', { salvage: false });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Violation('RecoverySound', `${machine.id} would not start after a power cut now: ${why}`, cause);
  }
}

interface Claim {
  readonly operation: number;
  readonly group: GroupId;
  readonly index: Index;
  readonly term: Term;
}

/**
 * Whether all machines were to decide about the entry, as far as this one knows. Where members change, or the entry is
 * older than the last change, whose disks count is for CommitChecker to say, which knows the configuration.
 */
function countsAll(world: SimWorld, raft: RaftState | null, index: Index): boolean {
  if (raft === null) return true;
  const { configuration, configurationIndex } = raft;
  const { incoming, outgoing } = configuration;
  return incoming.length === world.machines.length && outgoing.length === 0 && configurationIndex < index;
}

/**
 * Nothing is acknowledged before it is durable. At some acknowledgements the power of every machine is cut, in thought:
 * the log's own recovery runs on what each disk would be left with, and a majority must hold the entry.
 */
export class DurabilityChecker implements Checker {
  readonly name = 'durable';
  private readonly canons: ReadonlyMap<GroupId, Canon>;
  private readonly everyMs: number;
  private nextMs = 0;
  private claims: Claim[] = [];
  private images: { readonly machine: Machine; readonly image: SnapshotDisk }[] = [];

  constructor(canons: ReadonlyMap<GroupId, Canon>, everyMs: number) {
    this.canons = canons;
    this.everyMs = everyMs;
  }

  onAck(world: SimWorld, { id, group, index }: ClientOperation): void {
    if (world.nowMs < this.nextMs) return;
    if (!world.machines.every((machine) => countsAll(world, machine.raft(group), index))) return;
    this.nextMs = world.nowMs + this.everyMs;
    const term = this.canons.get(group)?.at(index)?.term ?? 0;
    this.claims.push({ operation: id, group, index, term });
    // Now, not when recovery gets to run: what becomes durable in between does not count.
    this.images = world.machines
      .filter((machine) => !machine.harmed)
      .map((machine) => ({ machine, image: new SnapshotDisk(machine.disk) }));
    world.wantInspection();
  }

  inspect(world: SimWorld): Promise<void> | null {
    if (this.claims.length === 0) return null;
    const { claims, images } = this;
    this.claims = [];
    this.images = [];
    return this.judge(world, claims, images);
  }

  private async judge(
    world: SimWorld,
    claims: readonly Claim[],
    images: readonly { readonly machine: Machine; readonly image: SnapshotDisk }[],
  ): Promise<void> {
    const holders = claims.map(() => world.machines.length - images.length);
    for (const { machine, image } of images) {
      const { groups } = await recovered(machine, image);
      claims.forEach(({ group, index, term }, at) => {
        const log = groups.get(group);
        const held = log?.entries[index - log.base.index - 1];
        if (held?.term === term || (log !== undefined && log.base.index >= index)) holders[at] = (holders[at] ?? 0) + 1;
      });
    }
    const majority = Math.floor(world.machines.length / 2) + 1;
    claims.forEach(({ operation, group, index }, at) => {
      requireThat(
        (holders[at] ?? 0) >= majority,
        'DurableBeforeAck',
        () =>
          `operation ${operation} (group ${group}, ${index}) was acknowledged and only ${holders[at]} disks have it`,
      );
    });
    world.saw('acknowledged entry found on a majority of disks');
  }
}
