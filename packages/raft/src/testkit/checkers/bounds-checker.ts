import type { RaftState } from '../../core/state.ts';
import type { GroupId } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { requireThat } from '../violation.ts';

/** One entry may be larger than any limit: then it is alone. */
const entryBytesMax = 16 << 20;

/** Queues stay within their limits. Looks now and then, for a queue that grows without end is found later as well. */
export class BoundsChecker implements Checker {
  readonly name = 'bounds';
  private readonly everyMs: number;
  private readonly nextMs: number[] = [];

  constructor(everyMs: number) {
    this.everyMs = everyMs;
  }

  afterEvent(world: SimWorld, machine: Machine): void {
    const { nowMs, groups } = world;
    if (nowMs < (this.nextMs[machine.place] ?? 0)) return;
    this.nextMs[machine.place] = nowMs + this.everyMs;
    for (const group of groups) {
      const raft = machine.raft(group);
      if (raft !== null) bounded(machine, group, raft);
    }
  }
}

function bounded(machine: Machine, group: GroupId, { leader, options }: RaftState): void {
  if (leader === null) return;
  const who = (): string => `${machine.id}, leader of group ${group},`;
  requireThat(
    leader.uncommittedBytes >= 0 && leader.uncommittedBytes <= options.uncommittedBytesMax + entryBytesMax,
    'Bounded',
    () => `${who()} counts ${leader.uncommittedBytes} uncommitted bytes`,
  );
  for (const [to, { inflightMessages }] of leader.progress) {
    requireThat(
      inflightMessages <= options.inflightMessagesMax,
      'Bounded',
      () => `${who()} has ${inflightMessages} messages in flight to ${to}`,
    );
  }
}
