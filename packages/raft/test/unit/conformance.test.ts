import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { NodeDisk } from '../../src/node/disk.ts';
import { NodeDirectoryLock } from '../../src/node/lock.ts';
import { MemoryDisk } from '../../src/node/memory-disk.ts';
import { nodeNetwork } from '../../src/node/network.ts';
import { nodeRandom } from '../../src/node/random.ts';
import { clockSuite } from '../../src/testkit/conformance/clock.ts';
import { directoryLockSuite } from '../../src/testkit/conformance/directory-lock.ts';
import { diskSuite } from '../../src/testkit/conformance/disk.ts';
import { networkSuite, type Sluggard } from '../../src/testkit/conformance/network.ts';
import { randomSuite } from '../../src/testkit/conformance/random.ts';
import { conformanceTests, runConformance, type Suite, type Trial } from '../../src/testkit/conformance/suite.ts';
import { ManualClock } from '../support/manual-clock.test-support.ts';
import { MemoryDisk as FaultyDisk } from '../support/memory-disk.test-support.ts';
import { MemoryNetwork } from '../support/memory-network.test-support.ts';

function holds<Subject extends Trial>(
  what: string,
  suite: Suite<Subject>,
  make: () => NoInfer<Subject> | Promise<NoInfer<Subject>>,
): void {
  describe(`the laws of ${what}`, () => {
    test.each(conformanceTests(suite, make))('$name', { timeout: 60_000 }, async ({ run }) => {
      await expect(run()).resolves.toBeUndefined();
    });
  });
}

interface Workplace {
  readonly path: string;
  readonly dispose: () => Promise<void>;
}

async function workplace(): Promise<Workplace> {
  const path = await mkdtemp(`${tmpdir()}/nori-conformance-`);
  return { path, dispose: () => rm(path, { recursive: true }) };
}

/** Accepts one connection and leaves it unread. */
async function sluggard(): Promise<Sluggard> {
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    read: () => {
      for (const socket of sockets) socket.resume();
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Somebody must move a clock that does not move by itself. */
function moving(): { readonly clock: ManualClock; readonly dispose: () => void } {
  const clock = new ManualClock();
  let over = false;
  const move = (): void => {
    clock.advance(1);
    if (!over) setImmediate(move);
  };
  setImmediate(move);
  return {
    clock,
    dispose: () => {
      over = true;
    },
  };
}

describe('the real ports', () => {
  holds('NodeDisk', diskSuite, async () => {
    const { path, dispose } = await workplace();
    return { disk: new NodeDisk(), directory: `${path}/data`, restart: async () => new NodeDisk(), dispose };
  });

  holds('MemoryDisk', diskSuite, () => {
    const disk = new MemoryDisk();
    return { disk, directory: 'data', restart: async () => disk };
  });

  holds('nodeNetwork', networkSuite, () => ({
    network: nodeNetwork(),
    address: '127.0.0.1:0',
    nobody: '127.0.0.1:1',
    invalid: 'nonsense',
    sluggard,
  }));

  holds('nodeNetwork over IPv6', networkSuite, () => ({
    network: nodeNetwork(),
    address: '[::1]:0',
    nobody: '[::1]:1',
    largeBytes: 1024 * 1024,
  }));

  holds('nodeClock', clockSuite, () => ({ clock: nodeClock() }));

  holds('nodeRandom', randomSuite, () => ({ random: nodeRandom() }));

  holds('NodeDirectoryLock', directoryLockSuite, async () => {
    const { path, dispose } = await workplace();
    const directories = [`${path}/left`, `${path}/right`] as const;
    for (const directory of directories) await mkdir(directory);
    return { lock: new NodeDirectoryLock(), rival: new NodeDirectoryLock(), directories, dispose };
  });
});

describe('the fakes of our own tests', () => {
  holds('ManualClock', clockSuite, moving);

  // What they do not do, our tests do not need; a law that joins this list is a fake that has come to lie.
  test('the disk that forgets keeps all laws but one', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const disk = new FaultyDisk();
      const prng = new Prng(seed);
      const restart = async (): Promise<ReturnType<FaultyDisk['boot']>> => {
        disk.powerCut(prng);
        return disk.boot();
      };
      const report = await runConformance(diskSuite, () => ({
        disk: disk.boot(),
        directory: `data-${++made}`,
        restart,
      }));
      expect(brokenLaws(report)).toEqual(['makeDirectory fails where a file is']);
    }
  });

  test('the network that splits and delays keeps all laws but one', async () => {
    for (let seed = 1; seed <= 2; seed += 1) {
      const report = await runConformance(networkSuite, () => {
        const { clock, dispose } = moving();
        const network = new MemoryNetwork(clock, new Prng(seed));
        const ports = { network: network.at('n1'), remote: network.at('n2') };
        return { ...ports, clock, dispose, address: 'n1:7', nobody: 'n1:8', largeBytes: 1024 * 1024 };
      });
      expect(brokenLaws(report)).toEqual(['listening where somebody listens fails with ADDRESS_IN_USE']);
    }
  });
});

let made = 0;

function brokenLaws(report: Awaited<ReturnType<typeof runConformance>>): string[] {
  return report.judgements.filter(({ verdict }) => verdict === 'broken').map(({ law }) => law);
}
