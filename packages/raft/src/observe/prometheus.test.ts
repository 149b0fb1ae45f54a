import * as client from 'prom-client';
import { expect, test } from 'vitest';
import { Metric, metricFacts } from './metrics.ts';
import { prometheusMeter } from './prometheus.ts';

test('the real prom-client shows every metric, by group, under the name and help of the table', async () => {
  const registry = new client.Registry();
  const meter = prometheusMeter(client, registry);
  for (const name of Object.values(Metric)) {
    const { kind } = metricFacts[name];
    if (kind === 'counter') meter.count(name, 7, 2);
    else if (kind === 'gauge') meter.gauge(name, 7, 2);
    else meter.observe(name, 7, 3);
  }
  meter.count('no_such_metric', 7, 1);
  const page = await registry.metrics();
  for (const name of Object.values(Metric)) {
    const { kind, help } = metricFacts[name];
    expect(page).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`);
    expect(page).toContain(kind === 'histogram' ? `${name}_bucket{le="5",group="7"} 1` : `${name}{group="7"} 2`);
  }
});

test('two hosts of one process may measure into registries of their own', () => {
  expect(() => [
    prometheusMeter(client, new client.Registry()),
    prometheusMeter(client, new client.Registry()),
  ]).not.toThrow();
});
