import { type Control, edit, type Ordeal } from './control.ts';
import { leaseControls } from './lease-controls.ts';

/** Leaders that are cut off and stand still while they hold a lease, and somebody who reads at them. */
const deposedHolders: Ordeal = {
  nodes: 3,
  groups: 1,
  seconds: 30,
  clients: { count: 4, thinkMsMax: 100, consistency: ['lease'], stalks: true },
  faults: { isolate: 20, pause: 10, suspend: 20, crash: 10, transfer: 10, drift: 10 },
};

const judged = /LeaseDisjoint|LeasePromise|ReadLinearizable/;

/**
 * Rules whose bugs are planted in the core, and what whole hosts must be put through to meet them. Of the others, two
 * need a life that cannot prove the one before it dead, which a machine of the simulator always can; the rest are met by
 * cores once in some hundred seeds, and were not met by hosts in 40.
 */
const coreRules: Readonly<Record<string, Ordeal>> = {
  'promise-not-written': deposedHolders,
  'sigma-omitted': deposedHolders,
  'pre-vote-taken-as-disclaim': deposedHolders,
  'handshake-taken-as-disclaim': { ...deposedHolders, faults: { isolate: 30, resets: 40, flap: 20, slowNetwork: 20 } },
  'lease-kept-during-transfer': { ...deposedHolders, faults: { transfer: 60, isolate: 30, slowNetwork: 20 } },
};

function onHosts({ name, bug, edits }: Control): Control[] {
  const ordeal = coreRules[name];
  return ordeal === undefined ? [] : [{ name: `host-${name}`, bug, edits, seeds: 40, caughtBy: judged, ordeal }];
}

/** Rules of the lease on whole hosts: with their clocks, disks, restarts and callers. */
export const leaseHostControls: readonly Control[] = [
  {
    name: 'host-no-deferred-commit',
    bug: 'A new leader commits at once, while a former one may still answer reads by its lease.',
    edits: [edit('core/replication.ts', 'if (nowMs < leader.barrierUntilMs) return false;', '')],
    seeds: 10,
    caughtBy: judged,
    ordeal: deposedHolders,
    fast: true,
  },
  {
    name: 'host-clock-not-guarded',
    bug: 'A host that was suspended goes on with a lease that ran out meanwhile.',
    edits: [
      edit(
        'host/turn.ts',
        'const cause = this.timeGuard.check(nowMs, this.clock.wallMs());',
        'const cause = this.timeGuard.check(nowMs, this.clock.wallMs()) === null ? null : null;',
      ),
    ],
    seeds: 20,
    caughtBy: judged,
    ordeal: deposedHolders,
  },
  {
    name: 'host-reads-through-limbo',
    bug: 'A new leader takes every read for one that nothing in limbo has to do with.',
    edits: [
      edit(
        'host/group-reads.ts',
        'return !stateMachine.conflicts(query, this.limbo.entries);',
        'return stateMachine.conflicts(query, this.limbo.entries) !== null;',
      ),
    ],
    seeds: 40,
    caughtBy: /ReadLinearizable/,
    ordeal: deposedHolders,
  },
  {
    name: 'host-votes-tell-nothing',
    bug: 'A vote does not tell what its voter has promised to others.',
    edits: [edit('core/election.ts', 'promisesLeft(raft, nowMs)', 'promisesLeft(raft, Number.POSITIVE_INFINITY)')],
    seeds: 10,
    caughtBy: judged,
    ordeal: deposedHolders,
  },
  ...leaseControls.flatMap(onHosts),
];
