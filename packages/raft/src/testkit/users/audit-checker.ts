import type { GroupId } from '../../core/types.ts';
import type { StateMachine } from '../../ports/state-machine.ts';
import type { Checker, SimWorld } from '../checker.ts';
import type { Machine } from '../machine.ts';
import { Violation } from '../violation.ts';
import { ObservedMachine } from './observed-machine.ts';

/** Asks the user's invariant of every replica after everything it applies (Invariant). */
export class AuditChecker implements Checker {
  readonly name = 'audit';
  private readonly audit: (machine: StateMachine) => string | null;

  constructor(audit: (machine: StateMachine) => string | null) {
    this.audit = audit;
  }

  onApply(_world: SimWorld, machine: Machine, batch: { readonly group: GroupId }): void {
    const watched = machine.process?.stateMachines.get(batch.group)?.inner;
    if (watched instanceof ObservedMachine) this.judge(watched.inner, `${machine.id}, group ${batch.group}`);
  }

  judge(machine: StateMachine, whose: string): void {
    const wrong = this.audit(machine);
    if (wrong !== null) throw new Violation('Invariant', `${whose}: ${wrong}`);
  }
}
