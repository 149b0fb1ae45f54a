import { NoriError } from '../base/errors.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { AppliedPosition } from '../ports/state-machine.ts';
import type { RecoveredGroup } from '../wal/wal.ts';

/**
 * Where a group goes on whose state machine keeps its own state: the index after which entries are applied. A state of
 * another log, or one that the log has no entries to go on from, would make this replica another state machine.
 *
 * @throws NoriError STATE_FOREIGN.
 */
export function resumeIndex(start: RecoveredGroup, position: AppliedPosition | null): Index {
  const { base, entries, group } = start;
  if (position === null) return base.index;
  const { index, term } = position;
  if (index < base.index) throw foreign(group, `ends at entry ${index}, and the log starts after ${base.index}`);
  const found = index === base.index ? base.term : entries[index - base.index - 1]?.term;
  if (found === term) return index;
  const why = found === undefined ? `ends at ${base.index + entries.length}` : `has one of term ${found} there`;
  throw foreign(group, `holds entry ${index} of term ${term}, and the log ${why}`);
}

function foreign(group: GroupId, why: string): NoriError {
  return new NoriError('STATE_FOREIGN', { message: `the stored state of group ${group} ${why}` });
}
