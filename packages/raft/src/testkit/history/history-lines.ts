import type { ClientOperation } from '../operation.ts';
import type { Workload } from '../workload.ts';

/** The calls of a run in the format of docs/history-format.md, as far as the workload has words for them; null when it has none. */
export function historyLines(workload: Workload, operations: readonly ClientOperation[]): string | null {
  const recorded = workload.recorded?.bind(workload);
  if (recorded === undefined) return null;
  return operations
    .filter(({ kind, outcome, consistency }) => kind === 'write' || (outcome === 'ok' && consistency !== 'stale'))
    .flatMap((operation) => {
      const { kind, payload, group, outcome, invokedMs, answeredMs } = operation;
      const answered = outcome === 'ok';
      const words = recorded(
        { kind: kind === 'write' ? 'write' : 'read', payload },
        group,
        answered ? operation.result : null,
      );
      if (words === null) return [];
      const { command, result } = words;
      const client = operation.client < 0 ? 'probe' : operation.client;
      const line = { client, command, start: invokedMs };
      if (answered) return JSON.stringify({ ...line, end: answeredMs, result });
      if (outcome === 'refused') return JSON.stringify({ ...line, end: answeredMs, outcome: 'failed' });
      return JSON.stringify({ ...line, outcome: 'unknown' });
    })
    .map((line) => `${line}\n`)
    .join('');
}
