import type { GroupId } from '../core/types.ts';
import type { Meter } from '../ports/meter.ts';
import { histogramBuckets, Metric, metricFacts } from './metrics.ts';

// Structural: takes the prom-client module the application brings and imports nothing of it.

interface Labels {
  readonly group: string;
}

interface PromMetricOptions {
  name: string;
  help: string;
  labelNames: 'group'[];
  /** The client's own registries: whichever, it takes them. */
  registers?: never[];
}

interface PromCounter {
  inc(labels: Labels, by: number): void;
}
interface PromGauge {
  set(labels: Labels, value: number): void;
}
interface PromHistogram {
  observe(labels: Labels, value: number): void;
}

/** The part of prom-client (15) that is used. */
export interface PromClient {
  readonly Counter: new (options: PromMetricOptions) => PromCounter;
  readonly Gauge: new (options: PromMetricOptions) => PromGauge;
  readonly Histogram: new (options: PromMetricOptions & { buckets: number[] }) => PromHistogram;
}

/**
 * A Meter that feeds prom-client, every metric labelled with its group.
 *
 * @param client the prom-client module.
 * @param registry where the metrics register; default the client's own global registry.
 */
export function prometheusMeter(client: PromClient, registry?: unknown): Meter {
  const registers = registry === undefined ? {} : { registers: [registry as never] };
  const counters = new Map<string, PromCounter>();
  const gauges = new Map<string, PromGauge>();
  const histograms = new Map<string, PromHistogram>();
  for (const name of Object.values(Metric)) {
    const { kind, help } = metricFacts[name];
    const options: PromMetricOptions = { name, help, labelNames: ['group'], ...registers };
    if (kind === 'counter') counters.set(name, new client.Counter(options));
    else if (kind === 'gauge') gauges.set(name, new client.Gauge(options));
    else histograms.set(name, new client.Histogram({ ...options, buckets: [...histogramBuckets] }));
  }
  const labels = new Map<GroupId, Labels>();
  const labelsOf = (group: GroupId): Labels => {
    let known = labels.get(group);
    if (known === undefined) {
      known = { group: String(group) };
      labels.set(group, known);
    }
    return known;
  };
  return {
    count: (name, group, by) => counters.get(name)?.inc(labelsOf(group), by),
    gauge: (name, group, value) => gauges.get(name)?.set(labelsOf(group), value),
    observe: (name, group, value) => histograms.get(name)?.observe(labelsOf(group), value),
  };
}
