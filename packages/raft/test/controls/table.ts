import type { Control } from './control.ts';
import { electionControls, officeControls, replicationControls } from './core-controls.ts';
import { coresControls } from './cores-controls.ts';
import { foundControls } from './found-controls.ts';
import { hostControls } from './host-controls.ts';
import { leaseControls } from './lease-controls.ts';
import { leaseHostControls } from './lease-host-controls.ts';
import { limboControls } from './limbo-controls.ts';
import { membershipControls } from './membership-controls.ts';
import { quarantineControls } from './quarantine-controls.ts';
import { snapshotControls } from './snapshot-controls.ts';
import { storageControls } from './storage-controls.ts';

export const controls: readonly Control[] = [
  ...electionControls,
  ...replicationControls,
  ...officeControls,
  ...storageControls,
  ...snapshotControls,
  ...quarantineControls,
  ...hostControls,
  ...membershipControls,
  ...leaseControls,
  ...limboControls,
  ...coresControls,
  ...foundControls,
  ...leaseHostControls,
];
