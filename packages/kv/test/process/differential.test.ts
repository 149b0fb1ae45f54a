import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agrees } from '../differential/agreement.ts';
import { CommandGenerator, text } from '../differential/command-generator.ts';
import { conversation, converse } from '../differential/conversation.ts';
import { RawClient } from '../differential/raw-client.ts';
import { RedisServer, redisInstalled } from '../differential/redis-server.ts';
import { TestCluster } from '../support/test-cluster.ts';

/** `npm run diff:redis` asks for more, and for three nodes, of which the one that is asked leads some shards only. */
const nodes = Number(process.env['DIFFERENTIAL_NODES'] ?? 1);
const seedCount = Number(process.env['DIFFERENTIAL_SEEDS'] ?? 4);
const seeds = Array.from({ length: seedCount }, (_, at) => at + 1);
const batches = 15;
const commandsPerBatch = 100;
const conversationsPerSeed = 20;

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1')).slice(0, 300);

describe.skipIf(!redisInstalled()).each(['lmdb', 'memory'])('beside a real redis-server, keys in %s', (engine) => {
  let redis: RedisServer;
  let cluster: TestCluster;

  beforeAll(async () => {
    [redis, cluster] = await Promise.all([
      RedisServer.start(),
      TestCluster.start({ nodes, shards: 3, flags: ['--engine', engine] }),
    ]);
  });
  afterAll(async () => {
    redis?.stop();
    await cluster?.close();
  });

  test.each(seeds)('every reply to random commands is the same (seed %i)', async (seed) => {
    const [theirs, ours] = await Promise.all([redis.port, cluster.respPort('n1')].map((port) => RawClient.open(port)));
    if (theirs === undefined || ours === undefined) throw new Error('no connection');
    try {
      const commands = new CommandGenerator(seed, Date.now());
      const begin = [[text('FLUSHALL')], [text('HELLO'), text(seed % 2 === 0 ? '3' : '2')]];
      await Promise.all([theirs.ask(begin), ours.ask(begin)]);
      for (let batch = 0; batch < batches; batch += 1) {
        const asked = commands.batch(commandsPerBatch);
        const answers: Buffer[][] = await Promise.all([theirs.ask(asked), ours.ask(asked)]);
        const [left, right] = answers;
        for (const [at, args] of asked.entries()) {
          const [expected, got] = [left?.[at], right?.[at]];
          if (expected !== undefined && got !== undefined && agrees(args, expected, got)) continue;
          expect.fail(
            `seed ${seed}, batch ${batch}, command ${at}: ${args.map(shown).join(' ')}\n` +
              `redis: ${expected === undefined ? 'hangs up' : shown(expected)}\n` +
              `ours:  ${got === undefined ? 'hangs up' : shown(got)}`,
          );
        }
      }
    } finally {
      theirs.close();
      ours.close();
    }
  });

  test.each(seeds)('the same bytes, well-formed or not, get the same bytes (seed %i)', async (seed) => {
    const bytes = Array.from({ length: conversationsPerSeed }, (_, at) => conversation(1000 * seed + at));
    const [theirs, ours] = await Promise.all(
      [redis.port, cluster.respPort('n1')].map((port) => Promise.all(bytes.map((one) => converse(port, one)))),
    );
    expect(bytes.map((one, at) => [one, ours?.[at]])).toEqual(bytes.map((one, at) => [one, theirs?.[at]]));
  });
});
