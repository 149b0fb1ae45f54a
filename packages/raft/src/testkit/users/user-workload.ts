import { fromUtf8 } from '../../base/text.ts';
import type { Prng } from '../../base/prng.ts';
import type { GroupId, Index } from '../../core/types.ts';
import type { StateMachine } from '../../ports/state-machine.ts';
import type { PlannedOperation, SequentialModel, Workload } from '../workload.ts';
import { ObservedMachine } from './observed-machine.ts';

/** What clients ask of a user's state machine. The same generator gives the same calls: nothing else may decide. */
export interface UserWorkload {
  /** The next command. Few keys and many collisions find the most. */
  readonly commands: (prng: Prng) => Uint8Array;
  readonly queries?: (prng: Prng) => Uint8Array;
  /** The share of queries. Default 0.3. */
  readonly readShare?: number;
  /** The object clients believe they talk to, one per group: what they are told must be linearizable. */
  readonly model?: SequentialModel;
  /** A command, a query or an answer in the words of stories. Default: the bytes as text, or in hexadecimal. */
  readonly text?: (bytes: Uint8Array) => string;
}

export function userWorkload(
  make: () => StateMachine,
  user: UserWorkload,
  onTime: (group: GroupId, afterIndex: Index, timeMs: number) => void,
): Workload {
  const { commands, queries, readShare = 0.3, model, text = readable } = user;
  return {
    name: 'user',
    stateMachine: (_node, group) => new ObservedMachine(make(), (index, timeMs) => onTime(group, index, timeMs)),
    next: (prng): PlannedOperation => {
      if (queries !== undefined && prng.fraction() < readShare) return { kind: 'read', payload: queries(prng) };
      return { kind: 'write', payload: commands(prng) };
    },
    text: ({ payload }) => text(payload),
    answerText: (_call, result) => text(result),
    ...(model === undefined ? {} : { sequential: model }),
  };
}

const textBytesMax = 200;

function readable(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'nothing';
  try {
    const text = fromUtf8(bytes.subarray(0, textBytesMax));
    if (/^[^\p{Cc}]+$/u.test(text)) return text;
  } catch {
    // Not text: shown as it is.
  }
  return Array.from(bytes.subarray(0, textBytesMax), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
