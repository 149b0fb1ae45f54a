import { assert } from '../../src/base/assert.ts';
import {
  type Configuration,
  EntryKind,
  type Index,
  isJoint,
  type NodeId,
  type RaftState,
  Role,
  type Term,
} from '../../src/core/index.ts';

export const configurationSights = [
  'learner added',
  'joint entered',
  'joint left',
  'joint left by another leader',
  'change given up',
  'configuration truncated',
  'leader elected by both halves',
  'removed node told',
  'leader removed itself',
  'change refused',
] as const;
export type ConfigurationSight = (typeof configurationSights)[number];

interface At {
  readonly index: Index;
  readonly term: Term;
  readonly configuration: Configuration;
}

/**
 * ConfigSafety: along any log the configuration changes by one legal step at a time (thesis 4.3); each step is appended
 * only when the one before it is committed, and an entry of the leader's term is; and what a node goes by is always the
 * last configuration in its log.
 */
export class ConfigurationChecker {
  private readonly saw: (sight: ConfigurationSight) => void;

  constructor(saw: (sight: ConfigurationSight) => void) {
    this.saw = saw;
  }

  /** The log has new entries from `from` on; `before` is what the node went by until then. */
  changed(
    raft: RaftState,
    from: Index,
    before: { readonly epoch: number; readonly commit: Index; readonly configuration: Configuration },
  ): void {
    const along = configurationsOf(raft);
    const last = along.at(-1);
    if (last !== undefined) {
      assert(
        last.index === raft.configurationIndex && last.configuration === raft.configuration,
        'ConfigSafety: a node goes by the last configuration in its log',
      );
    }
    if (raft.log.epoch !== before.epoch && !along.some(({ configuration }) => configuration === before.configuration)) {
      if (along.length > 0 || before.configuration.incoming.length > 0) this.saw('configuration truncated');
    }
    for (let at = 0; at < along.length; at += 1) {
      const next = along[at] as At;
      if (next.index < from || next.term !== raft.term || raft.role !== Role.leader) continue;
      this.stepped(raft, along[at - 1] ?? null, next);
    }
  }

  private stepped(raft: RaftState, previous: At | null, next: At): void {
    const { log } = raft;
    assert(
      log.termAt(log.commit) === raft.term,
      'ConfigSafety: no change before an entry of the own term is committed',
    );
    if (previous === null) return;
    const step = stepOf(previous.configuration, next.configuration);
    assert(step !== null, 'ConfigSafety: a configuration changes by one legal step');
    assert(
      step === 'change given up' || previous.index <= log.commit,
      'ConfigSafety: a configuration is committed before the next one',
    );
    this.saw(step);
    if (step === 'joint left' && previous.term !== raft.term) this.saw('joint left by another leader');
  }
}

function stepOf(before: Configuration, after: Configuration): ConfigurationSight | null {
  if (isJoint(before)) {
    if (isJoint(after)) return null;
    if (same(after.incoming, before.incoming)) return 'joint left';
    return same(after.incoming, before.outgoing) ? 'change given up' : null;
  }
  if (isJoint(after)) return same(after.outgoing, before.incoming) ? 'joint entered' : null;
  return same(after.incoming, before.incoming) ? 'learner added' : null;
}

function same(left: readonly NodeId[], right: readonly NodeId[]): boolean {
  return left.length === right.length && left.every((id) => right.includes(id));
}

function configurationsOf({ log }: RaftState): At[] {
  const found: At[] = [];
  for (let index = log.baseIndex + 1; index <= log.lastIndex; index += 1) {
    const { kind, term, configuration } = log.entryAt(index);
    if (kind === EntryKind.configuration && configuration !== null) found.push({ index, term, configuration });
  }
  return found;
}
