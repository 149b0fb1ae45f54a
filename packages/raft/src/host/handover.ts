import { NoriError } from '../base/errors.ts';
import { isVoter } from '../core/configuration.ts';
import { InputKind } from '../core/input.ts';
import { type NodeId, Role } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import type { Group } from './group.ts';
import type { HostOptions } from './options.ts';
import type { Turn } from './turn.ts';

/** How often a host that is about to stop looks whether it may. */
const lookEveryMs = 2;

/** Leadership that goes to another node because somebody wants it so (thesis 3.10). */
export class Handover {
  private readonly options: HostOptions;
  private readonly clock: Clock;
  private readonly turn: Turn;

  constructor(parts: { readonly options: HostOptions; readonly clock: Clock; readonly turn: Turn }) {
    this.options = parts.options;
    this.clock = parts.clock;
    this.turn = parts.turn;
  }

  /** Hands a group over that this node leads; null picks the voter with the longest log. Resolves when it leads no more. */
  async transfer(group: Group, to: string | null): Promise<void> {
    if (to !== null && (to === this.options.id || !isVoter(group.raft.configuration, to as NodeId))) {
      throw new NoriError('CONFIG_INVALID', { message: `${to} is not another voter of group ${group.id}` });
    }
    const untilMs = this.clock.nowMs() + 2 * this.options.raft.electionTimeoutMsMax;
    const succeeded = await new Promise<boolean>((resolve) => {
      const done = (result: boolean): void => {
        group.transfers.delete(done);
        timer.cancel();
        resolve(result);
      };
      const timer = this.clock.wakeAt(untilMs, () => done(false));
      group.transfers.add(done);
      group.push({ kind: InputKind.transfer, to: to as NodeId | null });
      this.turn.schedule(group);
    });
    if (succeeded) return;
    throw new NoriError('QUORUM_UNAVAILABLE', {
      message: `nobody took over group ${group.id} in time`,
      outcome: 'none',
    });
  }

  /**
   * Hands over every group that this node leads, and stays until each successor commits: it may need this node's vote and
   * its disk, and those whose commands are on their way are owed an answer. One election timeout at most, after which
   * the successor has to do without.
   */
  async all(groups: Iterable<Group>): Promise<void> {
    const led = [...groups].filter(
      ({ halted, raft }) => halted === null && raft.role === Role.leader && raft.configuration.incoming.length > 1,
    );
    await Promise.allSettled(led.map((group) => this.transfer(group, null).then(() => this.succeeded(group))));
  }

  private succeeded(group: Group): Promise<void> {
    const untilMs = this.clock.nowMs() + this.options.raft.electionTimeoutMsMax;
    return new Promise((resolve) => {
      const look = (): void => {
        const nowMs = this.clock.nowMs();
        if (nowMs >= untilMs || isSucceeded(group)) resolve();
        else this.clock.wakeAt(nowMs + lookEveryMs, look);
      };
      look();
    });
  }
}

/** Another leader has committed an entry of its own, and so whatever of this node's was ever going to be (thesis 3.6.2). */
function isSucceeded({ halted, raft, waiting }: Group): boolean {
  if (halted !== null) return true;
  const { leaderId, log, role, term } = raft;
  return role === Role.follower && leaderId !== null && log.termAt(log.commit) === term && waiting.size === 0;
}
