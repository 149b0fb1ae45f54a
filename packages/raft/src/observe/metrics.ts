/** Every metric of the library: its name is its contract with dashboards. Durations are in ms. */
export const Metric = {
  /** Histogram: from the proposal to its commit, on the leader. */
  commitMs: 'raft_commit_ms',
  /** Histogram: one batch inside the state machine. */
  applyMs: 'raft_apply_ms',
  /** Histogram: from a linearizable read to its answer, on the leader. */
  readIndexMs: 'read_index_ms',
  /** Counter: elections this node stood in. */
  elections: 'raft_elections_total',
  /** Gauge: 0 follower, 1 candidate, 2 leader. */
  role: 'raft_role',
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
  read_index_ms: { kind: 'histogram', help: 'Milliseconds from a linearizable read to its answer, on the leader' },
  raft_elections_total: { kind: 'counter', help: 'Elections this node stood in' },
  raft_role: { kind: 'gauge', help: 'Role of this node: 0 follower, 1 candidate, 2 leader' },
  raft_term: { kind: 'gauge', help: 'Term of the group on this node' },
};

/** Upper bounds, in ms, of the histograms. */
export const histogramBuckets: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
];
