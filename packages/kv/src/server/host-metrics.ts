import type { HostStatus } from 'nori-raft';
import type promClient from 'prom-client';

interface HostCounter {
  readonly name: string;
  readonly help: string;
  readonly of: (status: HostStatus) => number | undefined;
}

const hostCounters: readonly HostCounter[] = [
  { name: 'raft_wal_syncs_total', help: 'fdatasyncs of the log', of: ({ wal }) => wal['syncs'] },
  { name: 'raft_wal_bytes_total', help: 'Bytes written to the log', of: ({ wal }) => wal['bytesWritten'] },
  {
    name: 'raft_transport_frames_sent_total',
    help: 'Frames sent to peers; one may carry messages of many groups',
    of: ({ transport }) => transport['framesSent'],
  },
  {
    name: 'raft_transport_bytes_sent_total',
    help: 'Bytes sent to peers',
    of: ({ transport }) => transport['bytesSent'],
  },
  {
    name: 'raft_transport_dropped_total',
    help: 'Messages not sent: no connection, a full queue, or too large',
    of: ({ transport }) => transport['dropped'],
  },
];

/** What a host counts by itself, read when it is scraped. */
export function registerHostMetrics(
  client: typeof promClient,
  registry: promClient.Registry,
  status: () => HostStatus,
): void {
  let seen: HostStatus | null = null;
  for (const { name, help, of } of hostCounters) {
    const counter = new client.Counter({
      name,
      help,
      registers: [registry],
      collect: () => {
        // One status serves all counters of a scrape, which asks them one after another without a pause.
        if (seen === null) {
          seen = status();
          queueMicrotask(() => {
            seen = null;
          });
        }
        counter.reset();
        counter.inc(of(seen) ?? 0);
      },
    });
  }
}
