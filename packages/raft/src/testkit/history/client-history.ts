import type { GroupId } from '../../core/types.ts';
import type { Operation } from '../linearizability/model.ts';
import type { ClientOperation } from '../operation.ts';
import type { PlannedOperation } from '../workload.ts';

/** What clients of a group did and were told. Calls that certainly had no effect are left out, stale reads and reads without an answer too. */
export function clientHistory(
  operations: readonly ClientOperation[],
  group: GroupId,
): Operation<PlannedOperation, Uint8Array>[] {
  return operations.filter((operation) => operation.group === group && counts(operation)).map(asClientsSawIt);
}

/** Whoever asks for less than a linearizable read gets less. */
function counts({ kind, outcome, consistency }: ClientOperation): boolean {
  return kind === 'write' ? outcome !== 'refused' : outcome === 'ok' && consistency !== 'stale';
}

function asClientsSawIt(operation: ClientOperation): Operation<PlannedOperation, Uint8Array> {
  const { kind, payload, invokedMs, answeredMs, outcome } = operation;
  const answered = outcome === 'ok';
  return {
    client: operation.client < 0 ? 'probe' : operation.client,
    command: { kind: kind === 'write' ? 'write' : 'read', payload },
    result: answered ? operation.result : undefined,
    calledAt: invokedMs,
    returnedAt: answered ? answeredMs : Number.POSITIVE_INFINITY,
  };
}
