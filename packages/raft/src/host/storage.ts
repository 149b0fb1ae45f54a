import { NoriError } from '../base/errors.ts';
import type { GroupId } from '../core/types.ts';
import type { Clock } from '../ports/clock.ts';
import { DataDirectory } from '../wal/data-directory.ts';
import { openLog } from '../wal/mending.ts';
import type { RecoveredGroup, Wal } from '../wal/wal.ts';
import { type HostConfig, type HostOptions, hostOptions, type Ports } from './options.ts';

/** How long a closing host waits for its disk. */
const closeMsMax = 5_000;

/** What a host needs of its disk. */
export interface Storage {
  readonly options: HostOptions;
  readonly directory: DataDirectory;
  readonly wal: Wal;
  readonly recovered: Map<GroupId, RecoveredGroup>;
  /** There may be others who have what is damaged here. */
  readonly quarantine: boolean;
}

/** Everything a host needs from its disk, or nothing: what was opened is closed again when the rest fails. */
export async function openStorage(config: HostConfig, ports: Ports): Promise<Storage> {
  const options = hostOptions(config);
  const { disk, lock, random, clock } = ports;
  const { directory: path, id: nodeId, clusterId, bootstrap, segmentBytes } = options;
  const directory = await DataDirectory.open({ disk, lock, random, directory: path, nodeId, clusterId, bootstrap });
  try {
    const others = options.members.some(({ id }) => id !== nodeId) || directory.peers.size > 0;
    const quarantine = options.onDamage === 'quarantine' && others;
    const parts = { disk, clock, random, directory: `${path}/wal`, segmentBytes };
    const { wal, groups, damage } = await openLog(parts, { quarantine });
    for (const { code, file, offset, message } of damage) {
      const so = `the damaged segments are in ${path}/wal-damaged, what is whole was written anew, and groups that lost something are refilled`;
      options.logger?.error({ code, file, offset }, `${message}: ${so}`);
    }
    return { options, directory, wal, recovered: groups, quarantine };
  } catch (error) {
    await directory.close();
    throw error;
  }
}

/** Waits for a close of the disk, but not for ever: the directory stays locked while something may still be written to it. */
export function inTime(work: Promise<void>, clock: Clock, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.wakeAt(clock.nowMs() + closeMsMax, () => {
      const message = `the disk did not let go of ${directory} within ${closeMsMax} ms`;
      reject(
        new NoriError('DISK_FAILED', {
          message,
          outcome: 'none',
          remedy: 'end the process; nothing acknowledged is lost',
        }),
      );
    });
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}
