import type { Checker, SimWorld } from '../checker.ts';
import type { Operation } from '../linearizability/model.ts';
import { judge } from '../linearizability/search.ts';
import { timeline } from '../linearizability/timeline.ts';
import { failingWindow } from '../linearizability/window.ts';
import { Violation } from '../violation.ts';
import type { PlannedOperation, SequentialModel, Workload } from '../workload.ts';
import { clientHistory } from './client-history.ts';

type Call = Operation<PlannedOperation, Uint8Array>;

const expired = (): boolean => false;
const limits = { stepsMax: 2_000_000, expired };
/** A window is for reading: when a short search does not make it small, shrinking the run will. */
const windowLimits = { stepsMax: 200_000, expired };
const linesMax = 16;

/** What clients were told can be explained by one object per group (Linearizable). Judged once, when the run is over. */
export class HistoryChecker implements Checker {
  readonly name = 'history';
  private readonly model: SequentialModel;

  constructor(model: SequentialModel) {
    this.model = model;
  }

  finish(world: SimWorld): void {
    for (const group of world.groups) {
      for (const [key, calls] of this.byKey(clientHistory(world.operations, group))) {
        this.judge(world.workload, `group ${group}${key === '' ? '' : `, key ${key}`}, ${calls.length} calls`, calls);
        world.saw('key with a linearizable history');
      }
    }
  }

  private byKey(history: readonly Call[]): Map<string, Call[]> {
    const keys = new Map<string, Call[]>();
    for (const call of history) {
      const key = this.model.key(call.command);
      const calls = keys.get(key);
      if (calls === undefined) keys.set(key, [call]);
      else calls.push(call);
    }
    return keys;
  }

  /** A search that gave up has shown nothing, so it is no pass. */
  private judge(workload: Workload, where: string, calls: readonly Call[]): void {
    const { verdict } = judge(this.model, calls, limits);
    if (verdict === 'legal') return;
    if (verdict === 'undecided') {
      throw new Violation('LinearizabilityDecided', `${where}: too hard; use more keys, or give the model facts`);
    }
    const lines = this.window(workload, calls).map((line) => `    ${line}`);
    if (lines.length > linesMax) lines.splice(linesMax, lines.length, `    and ${lines.length - linesMax} more`);
    throw new Violation('Linearizable', [`${where}: no order explains what clients were told`, ...lines].join('\n'));
  }

  /** The calls that contradict each other, with the answers in the workload's words. */
  private window(workload: Workload, calls: readonly Call[]): readonly string[] {
    const { operations, context, ...rest } = failingWindow(this.model, calls, windowLimits);
    const worded = ({ result, ...call }: Call): Operation<PlannedOperation, string> => {
      const text = result === undefined ? undefined : (workload.answerText?.(call.command, result) ?? hexOf(result));
      return { ...call, result: text };
    };
    const text = (call: PlannedOperation): string => workload.text?.(call) ?? this.model.text(call);
    return timeline({ text }, { ...rest, operations: operations.map(worded), context: context.map(worded) });
  }
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
