import type { GroupId, Term } from '../../core/types.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import type { ClientOperation } from '../operation.ts';
import { requireThat } from '../violation.ts';

export interface SteadyLimits {
  /** From when until when it is to be so, in true time. */
  readonly fromMs: number;
  readonly toMs: number;
  /** How many terms may begin meanwhile. */
  readonly termsMax: number;
  /** How long no write may be acknowledged. */
  readonly silenceMsMax: number;
}

/**
 * While a fault lasts that leaves a majority able to work, and nothing else changes, a cluster goes on working: terms
 * do not climb, and writes are acknowledged.
 */
export class SteadyChecker implements Checker {
  readonly name = 'steady';
  private readonly limits: SteadyLimits;
  private readonly first: Map<GroupId, Term> = new Map();
  private ackedMs = 0;

  constructor(limits: SteadyLimits) {
    this.limits = limits;
    this.ackedMs = limits.fromMs;
  }

  onAck(world: SimWorld, _operation: ClientOperation): void {
    this.ackedMs = Math.max(this.ackedMs, world.nowMs);
  }

  afterEvent({ nowMs, groups }: SimWorld, machine: Machine): void {
    const { fromMs, toMs, termsMax, silenceMsMax } = this.limits;
    if (nowMs > toMs) return;
    for (const group of groups) {
      const raft = machine.raft(group);
      if (raft === null) continue;
      const first = this.first.get(group) ?? 0;
      if (nowMs < fromMs) this.first.set(group, Math.max(first, raft.term));
      else {
        requireThat(
          raft.term <= first + termsMax,
          'Steady',
          () => `group ${group} went from term ${first} to term ${raft.term} though nothing changed around it`,
        );
      }
    }
    requireThat(
      nowMs - this.ackedMs <= silenceMsMax,
      'Steady',
      () => `no write was acknowledged for ${silenceMsMax} ms though a majority could work`,
    );
  }
}
