import { type FaultKind, faultKinds, scenarioFaults } from './faults.ts';

/** Faults of which a campaign of some dozens of seeds may have none: each seed draws about half of all kinds. */
const rareFaults: ReadonlySet<FaultKind> = new Set([
  'wipe',
  'bitFlip',
  'zeroedSector',
  'misdirectedWrite',
  'staleSector',
]);

/** What must have happened somewhere in a campaign, or it has shown nothing (RELIABILITY's "sometimes"). */
export const campaignSights: readonly string[] = [
  ...faultKinds.filter((kind) => !rareFaults.has(kind) && !scenarioFaults.has(kind)).map((kind) => `fault ${kind}`),
  'leader elected',
  'leader elected early, for the last one was gone',
  'vote refused',
  'vote refused for the log',
  'vote refused for another vote',
  'pre-vote refused',
  'uncommitted entries overwritten',
  'suffix of several entries truncated',
  'entry of an earlier term committed',
  'StepDown: no quorum heard for an election timeout',
  'StepDown: a later term was seen',
  'unknown outcome that was committed',
  'unknown outcome that never was',
  'write PROPOSAL_DROPPED',
  'write COMMIT_TIMEOUT',
  'read QUORUM_UNAVAILABLE',
  'read READ_TIMEOUT',
  'read by lease',
  'read by readIndex',
  'read by stale',
  'write CLIENT_TIMEOUT',
  'answer after its client had left',
  'transfer succeeded',
  'orderly stop',
  'crash at a completion',
  'crash during recovery',
  'power cut tore a write',
  'sync failed',
  'write failed',
  'read failed',
  'short write',
  'disk full',
  'DiskFailed',
  'start failed for the disk',
  'slow apply',
  'message lost',
  'message doubled',
  'message held back',
  'message came more than 2 s late',
  'message came after a restart',
  'pause of more than 2 s',
  'sync of more than 400 ms',
  'sync that hung',
  'acknowledged entry found on a majority of disks',
  'log compacted',
  'follower behind compaction',
  'log replaced by a snapshot',
  'replica went on from a snapshot',
  'snapshot on demand',
  'vote that told of a lease',
  'commits held back for a lease',
  'lease expired in office',
  'lease given up in doubt of a clock',
  'node restarted inside a lease',
  'leader went down inside its lease',
  'joint configuration entered',
  'leader removed itself',
];

/** What only longer campaigns must have seen too. */
export const longCampaignSights: readonly string[] = [
  'transfer failed',
  'fault wipe',
  'fault bitFlip',
  'write misdirected',
  'sector went stale',
  'sector zeroed',
  'bit flipped',
  'damaged disk refused',
  'PeerRefused: DISK_REPLACED',
  'DiskFull',
  'DiskRoom',
  'snapshot install interrupted then completed',
  'read past entries in limbo',
  'leader elected inside a joint configuration',
  'configuration rolled back',
];

/** How many seeds it takes before a sight that is missing means something. */
export const seedsForSights = 50;
export const seedsForLongSights = 500;

/** Those a campaign of so many seeds should have seen and did not. */
export function missingSights(seen: ReadonlyMap<string, number>, seeds: number): string[] {
  const wanted = [
    ...(seeds >= seedsForSights ? campaignSights : []),
    ...(seeds >= seedsForLongSights ? longCampaignSights : []),
  ];
  return wanted.filter((sight) => !seen.has(sight));
}
