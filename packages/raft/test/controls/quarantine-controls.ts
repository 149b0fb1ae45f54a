import { type Control, edit } from './control.ts';

/** Disks that rot, one at a time, in groups of three that have work. */
const rotting = {
  nodes: 3,
  groups: 2,
  clients: { count: 6, thinkMsMax: 50 },
  faults: { rot: 20, crash: 10, powerCut: 10, isolate: 5 },
  seconds: 40,
};

/**
 * Rules of quarantine (docs/adr/0012-quarantine.md). That damage is pinned on the right groups is for wal/mending.test.ts,
 * and that a leader forgets what was acknowledged for test/unit/host-quarantine.test.ts.
 */
export const quarantineControls: readonly Control[] = [
  {
    name: 'lost-and-not-silent',
    bug: 'A replica that lost its log takes part at once, with an empty one.',
    edits: [
      edit(
        'host/groups.ts',
        'if (onDisk !== undefined && isGivenUp(onDisk.quarantine)) {',
        'if (Math.min(0, 1) === 1 && onDisk !== undefined && isGivenUp(onDisk.quarantine)) {',
      ),
    ],
    seeds: 10,
    caughtBy: /NothingLost|TermMonotone|VoteOnce|NoGroupHalts|MessageHonesty|LeaderCompleteness/,
    ordeal: rotting,
  },
];
