import { checkHistory, register, timeline } from 'nori-raft/testkit/linearizability';
import { expect } from 'vitest';
import { ErrorReply, RespClient, type RespValue } from './resp-client.ts';
import { until } from './until.ts';
import type { RegisterOperation, Workload } from './workload.ts';

/** Holds everything clients were told against what the cluster holds now. Nobody may be writing. */
export async function checkWorkload(workload: Workload, port: number): Promise<void> {
  const client = await RespClient.open(port);
  try {
    // A failed read changes nothing and may be sent again: the balancer may move a leader just now.
    const valueOf = (key: string): Promise<string | null> =>
      until(`a value for ${key}`, async () => {
        const value: RespValue = await client.ask('GET', key);
        if (value instanceof ErrorReply) throw new Error(value.text);
        return { value: value as string | null };
      }).then(({ value }) => value);
    expect(workload.unexpected, 'replies that no client should see').toEqual([]);

    const lost: string[] = [];
    const values = await Promise.all(workload.written.map(valueOf));
    for (const [at, key] of workload.written.entries()) if (values[at] !== key) lost.push(key);
    expect(lost, 'acknowledged keys that are gone').toEqual([]);

    const wrong: string[] = [];
    for (const [key, tally] of workload.counters) {
      const value = Number((await valueOf(key)) ?? 0);
      const { acknowledged, unknown, highest } = tally;
      if (value < acknowledged || value > acknowledged + unknown || value < highest) {
        wrong.push(`${key} is ${value}: ${JSON.stringify(tally)}`);
      }
    }
    expect(wrong, 'counters that lost or invented increments').toEqual([]);

    const histories: RegisterOperation[] = [...workload.histories.values()].flat();
    for (const key of workload.histories.keys()) {
      const calledAt = performance.now();
      const result = await valueOf(key);
      histories.push({
        client: 'last',
        command: { name: 'GET', key },
        result,
        calledAt,
        returnedAt: performance.now(),
      });
    }
    const { verdict, keys } = checkHistory(register, histories);
    const windows = keys.flatMap(({ window }) => (window === null ? [] : timeline(register, window)));
    expect(verdict, `no order explains:\n${windows.join('\n')}`).toBe('legal');
  } finally {
    client.close();
  }
}

/** The same digest on every replica of every shard. */
export function expectIdentical(shards: readonly { readonly digests: readonly string[] }[]): void {
  for (const [shard, { digests }] of shards.entries()) {
    expect(new Set(digests).size, `digests of shard ${shard}: ${digests.join(' ')}`).toBe(1);
    expect(digests[0]).not.toBe('');
  }
}
