import { type Control, edit } from './control.ts';

const file = '../../kv/src/state/limbo.ts';
/** Leaders that are heard no more while what they committed is on its way to those who will follow them. */
const ordeal = {
  workload: 'kv',
  nodes: 3,
  groups: 1,
  seconds: 20,
  faults: { slowNetwork: 40, mute: 20 },
  clients: { count: 8, thinkMsMax: 30 },
} as const;

/** What nori-kv answers while entries are in limbo: every reason for which a read has to wait, left out. */
export const limboControls: readonly Control[] = [
  {
    name: 'limbo-ignores-expiry',
    bug: 'A key that an entry in limbo lets expire is read as if it lived on.',
    edits: [edit(file, 'return latestMs >= expireMs || (readsTheTime && latestMs > store.timeMs);', 'return false;')],
    seeds: 400,
    caughtBy: /ReadLinearizable|Linearizable/,
    ordeal,
  },
  {
    name: 'limbo-ignores-conditional-writes',
    bug: 'A write that has a condition is taken to change nothing while it is in limbo.',
    edits: [
      edit(
        file,
        'else for (const key of write.keys)',
        "else if (write.name !== 'setnx' && !Buffer.from(command).includes('IFEQ')) for (const key of write.keys)",
      ),
    ],
    seeds: 400,
    caughtBy: /ReadLinearizable|Linearizable/,
    ordeal,
  },
];
