/** Every metric of the library: its name is its contract with dashboards. Durations are in ms. */
export const Metric = {
  /** Histogram: from the proposal to its commit, on the leader. */
  commitMs: 'raft_commit_ms',
  /** Histogram: one batch inside the state machine. */
  applyMs: 'raft_apply_ms',
  /** Histogram: from a linearizable read to its answer, on the leader. */
  readIndexMs: 'read_index_ms',
  /** Counters: reads answered here, by what proved them fresh. */
  readsByLease: 'raft_reads_by_lease_total',
  readsByRound: 'raft_reads_by_read_index_total',
  readsStale: 'raft_reads_stale_total',
  /** Counters: leases of this node that ended, by cause. */
  leaseExpired: 'raft_lease_lost_expired_total',
  leaseSteppedDown: 'raft_lease_lost_stepped_down_total',
  leaseTransfer: 'raft_lease_lost_transfer_total',
  leaseClockJump: 'raft_lease_lost_clock_jump_total',
  leaseLoopStall: 'raft_lease_lost_loop_stall_total',
  leaseDiskStall: 'raft_lease_lost_disk_stall_total',
  leaseClockRate: 'raft_lease_lost_clock_rate_total',
  /** Histogram: how long a new leader commits nothing, because an earlier one may still answer reads. */
  barrierMs: 'raft_barrier_ms',
  /** Histogram: commands a new leader found that an earlier one may have committed. */
  limboEntries: 'raft_limbo_entries',
  /** Counter: elections this node stood in. */
  elections: 'raft_elections_total',
  /** Gauge: 0 follower, 1 candidate, 2 leader. */
  role: 'raft_role',
  /** Histogram: from the start of a snapshot to its durable file. */
  snapshotMs: 'raft_snapshot_ms',
  /** Counter: bytes of snapshot files written, taken here or received. */
  snapshotBytes: 'raft_snapshot_bytes_total',
  /** Counter: snapshots taken over from other nodes. */
  snapshotsInstalled: 'raft_snapshots_installed_total',
  /** Counter: bytes of snapshots sent to other nodes. */
  snapshotSentBytes: 'raft_snapshot_sent_bytes_total',
  /** Gauge: 0 sound, 1 in quarantine, 2 being refilled. */
  quarantine: 'raft_quarantine',
  /** Gauge: the term. */
  term: 'raft_term',
} as const;
export type Metric = (typeof Metric)[keyof typeof Metric];

export interface MetricFacts {
  readonly kind: 'histogram' | 'counter' | 'gauge';
  readonly help: string;
}

export const metricFacts: Readonly<Record<Metric, MetricFacts>> = {
  raft_commit_ms: { kind: 'histogram', help: 'Milliseconds from a proposal to its commit, on the leader' },
  raft_apply_ms: { kind: 'histogram', help: 'Milliseconds a batch of entries takes in the state machine' },
  read_index_ms: {
    kind: 'histogram',
    help: 'Milliseconds from a read that needs a round to its answer, on the leader',
  },
  raft_reads_by_lease_total: { kind: 'counter', help: "Reads answered by the leader's lease, without a message" },
  raft_reads_by_read_index_total: {
    kind: 'counter',
    help: 'Reads answered after a round of messages, or at a leader elsewhere',
  },
  raft_reads_stale_total: { kind: 'counter', help: 'Reads answered from what this node has' },
  raft_lease_lost_expired_total: { kind: 'counter', help: 'How often a lease ran out without a quorum' },
  raft_lease_lost_stepped_down_total: { kind: 'counter', help: 'How often a lease ended with the office' },
  raft_lease_lost_transfer_total: { kind: 'counter', help: 'How often a lease was released for a successor' },
  raft_lease_lost_clock_jump_total: {
    kind: 'counter',
    help: 'How often a lease was dropped because the clocks disagreed',
  },
  raft_lease_lost_loop_stall_total: {
    kind: 'counter',
    help: 'How often a lease was dropped because the event loop stood still',
  },
  raft_lease_lost_disk_stall_total: {
    kind: 'counter',
    help: 'How often a lease was dropped because the disk or the state machine stood still',
  },
  raft_lease_lost_clock_rate_total: {
    kind: 'counter',
    help: 'How often a lease was dropped because clocks drift apart',
  },
  raft_barrier_ms: { kind: 'histogram', help: 'Milliseconds a new leader waits for leases of earlier ones' },
  raft_limbo_entries: { kind: 'histogram', help: 'Commands a new leader found and an earlier one may have committed' },
  raft_elections_total: { kind: 'counter', help: 'Elections this node stood in' },
  raft_snapshot_ms: { kind: 'histogram', help: 'Milliseconds from the start of a snapshot to its durable file' },
  raft_snapshot_bytes_total: { kind: 'counter', help: 'Bytes of snapshot files written, taken here or received' },
  raft_snapshots_installed_total: { kind: 'counter', help: 'Snapshots taken over from other nodes' },
  raft_snapshot_sent_bytes_total: { kind: 'counter', help: 'Bytes of snapshots sent to other nodes' },
  raft_role: { kind: 'gauge', help: 'Role of this node: 0 follower, 1 candidate, 2 leader' },
  raft_quarantine: {
    kind: 'gauge',
    help: 'Damaged on this node: 0 no, 1 in quarantine, 2 being refilled by the others',
  },
  raft_term: { kind: 'gauge', help: 'Term of the group on this node' },
};

/** Upper bounds, in ms, of the histograms. */
export const histogramBuckets: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
];
