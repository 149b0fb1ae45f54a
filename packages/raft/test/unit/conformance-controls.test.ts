import { describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../src/base/text.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { MemoryDisk } from '../../src/node/memory-disk.ts';
import { nodeNetwork } from '../../src/node/network.ts';
import { nodeRandom } from '../../src/node/random.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Disk, DirectoryLock, DiskFile } from '../../src/ports/disk.ts';
import type { Connection, ConnectionEvents, Network } from '../../src/ports/network.ts';
import type { Random } from '../../src/ports/random.ts';
import type { AppliedEntry, StateMachine } from '../../src/ports/state-machine.ts';
import { clockSuite } from '../../src/testkit/conformance/clock.ts';
import { directoryLockSuite } from '../../src/testkit/conformance/directory-lock.ts';
import { diskSuite } from '../../src/testkit/conformance/disk.ts';
import { networkSuite } from '../../src/testkit/conformance/network.ts';
import { randomSuite } from '../../src/testkit/conformance/random.ts';
import { type StateMachineSubject, stateMachineSuite } from '../../src/testkit/conformance/state-machine.ts';
import { ConformanceFailure, runConformance, type Suite, type Trial } from '../../src/testkit/conformance/suite.ts';

/** Judges a subject by one law alone; the failure, or null if it is kept. */
async function judged<Subject extends Trial>(
  suite: Suite<Subject>,
  name: string,
  make: () => NoInfer<Subject>,
): Promise<ConformanceFailure | null> {
  const laws = suite.laws.filter((law) => law.name === name);
  expect(laws, `the law "${name}"`).toHaveLength(1);
  const report = await runConformance({ port: suite.port, laws }, make);
  return report.judgements[0]?.failure ?? null;
}

/** What the failure says is broken, if it is a breach and no accident. */
async function breach<Subject extends Trial>(
  suite: Suite<Subject>,
  law: string,
  make: () => NoInfer<Subject>,
): Promise<string | undefined> {
  const failure = await judged(suite, law, make);
  expect(failure).toBeInstanceOf(ConformanceFailure);
  expect(failure?.cause).toBeUndefined();
  return failure?.message;
}

// Wrappers keep what they wrap and change one thing.

class DiskAround implements Disk {
  protected readonly inner: Disk = new MemoryDisk();
  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    return this.file(await this.inner.open(path, options));
  }
  list(directory: string): Promise<readonly string[]> {
    return this.inner.list(directory);
  }
  makeDirectory(directory: string): Promise<void> {
    return this.inner.makeDirectory(directory);
  }
  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }
  remove(path: string): Promise<void> {
    return this.inner.remove(path);
  }
  syncDirectory(directory: string): Promise<void> {
    return this.inner.syncDirectory(directory);
  }
  protected file(file: DiskFile): DiskFile {
    return file;
  }
}

/** A file with some of its methods replaced. */
function fileWith(file: DiskFile, change: Partial<DiskFile>): DiskFile {
  return {
    path: file.path,
    sizeBytes: () => file.sizeBytes(),
    read: (position, length) => file.read(position, length),
    write: (bytes, position, done) => file.write(bytes, position, done),
    sync: (done) => file.sync(done),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
    ...change,
  };
}

const diskOfFiles = (change: (file: DiskFile) => Partial<DiskFile>): Disk =>
  new (class extends DiskAround {
    protected override file(file: DiskFile): DiskFile {
      return fileWith(file, change(file));
    }
  })();

const brokenDisks: Record<string, readonly [law: string, make: () => Disk]> = {
  'writes less than it says': [
    'what was written is read',
    () =>
      diskOfFiles((file) => ({
        write: (bytes, position, done) =>
          file.write(bytes.subarray(0, Math.min(bytes.length, 4096)), position, (error) => done(error, bytes.length)),
      })),
  ],
  'reads short in the middle of a file': [
    'a read is short only at the end of the file',
    () => diskOfFiles((file) => ({ read: (position, length) => file.read(position, Math.min(length, 65_536)) })),
  ],
  'calls back before write returns': [
    'callbacks come once, and after the call returned',
    () =>
      diskOfFiles((file) => ({
        write: (bytes, position, done) => {
          file.write(bytes, position, () => undefined);
          done(null, bytes.length);
        },
      })),
  ],
  'calls back twice after a sync': [
    'callbacks come once, and after the call returned',
    () =>
      diskOfFiles((file) => ({
        sync: (done) =>
          file.sync((error) => {
            done(error);
            done(error);
          }),
      })),
  ],
  'keeps the bytes of a write and writes them later': [
    'once a write completed its bytes may be used again',
    () =>
      diskOfFiles((file) => ({
        write: (bytes, position, done) => {
          queueMicrotask(() => done(null, bytes.length));
          setImmediate(() => file.write(bytes, position, () => undefined));
        },
        read: async (position, length) => {
          await new Promise((resolve) => setImmediate(resolve));
          return file.read(position, length);
        },
      })),
  ],
  'opens every file at the end of what it had': [
    'a write beyond the end fills the gap with zeros',
    () =>
      diskOfFiles((file) => ({
        write: (bytes, position, done) =>
          void file.sizeBytes().then((size) => file.write(bytes, Math.min(position, size), done)),
      })),
  ],
  'lengthens with what was cut off': [
    'truncate shortens, and lengthens with zeros',
    () =>
      diskOfFiles((file) => {
        let cut: Uint8Array = new Uint8Array(0);
        return {
          truncate: async (size) => {
            const before = await file.sizeBytes();
            if (size < before) cut = (await file.read(size, before)).slice();
            await file.truncate(size);
            if (size > before) file.write(cut.subarray(0, size - before), before, () => undefined);
          },
        };
      }),
  ],
  'copies instead of renaming': [
    'rename replaces its target and gives up the old name',
    () =>
      new (class extends DiskAround {
        override async rename(from: string, to: string): Promise<void> {
          const source = await this.inner.open(from, { create: false });
          const bytes = await source.read(0, await source.sizeBytes());
          const target = await this.inner.open(to, { create: true });
          await target.truncate(0);
          target.write(bytes, 0, () => undefined);
        }
      })(),
  ],
  'removes the target before it renames': [
    'at every moment of a rename its target is whole: the old file or the new',
    () =>
      new (class extends DiskAround {
        override async rename(from: string, to: string): Promise<void> {
          await this.inner.remove(to);
          await new Promise((resolve) => setImmediate(resolve));
          await this.inner.rename(from, to);
        }
      })(),
  ],
  'makes what is missing': [
    'opening what is missing fails with ENOENT and makes nothing',
    () =>
      new (class extends DiskAround {
        override open(path: string): Promise<DiskFile> {
          return super.open(path, { create: true });
        }
      })(),
  ],
  'lists in any order': [
    'list is sorted and knows one directory',
    () =>
      new (class extends DiskAround {
        override async list(directory: string): Promise<readonly string[]> {
          return [...(await this.inner.list(directory))].reverse();
        }
      })(),
  ],
};

describe('a disk that', () => {
  test.each(Object.entries(brokenDisks))('%s is caught', async (_, [law, make]) => {
    const message = await breach(diskSuite, law, () => ({ disk: make(), directory: 'data', patienceMs: 500 }));
    expect(message).toContain(`Disk breaks the law "${law}": `);
  });

  test('never calls back is caught', async () => {
    const failure = await judged(diskSuite, 'what was written is read', () => ({
      disk: diskOfFiles(() => ({ write: () => undefined })),
      directory: 'data',
      patienceMs: 50,
    }));
    expect(failure?.seen).toBe('waited 50 ms for a write');
  });

  test('forgets what was synced is caught', async () => {
    const law = 'what was synced is there after a restart';
    const message = await breach(diskSuite, law, () => {
      const disk = new MemoryDisk();
      const restart = async (): Promise<Disk> => {
        await (await disk.open('data/a', { create: true })).truncate(20_000);
        return disk;
      };
      return { disk, directory: 'data', restart };
    });
    expect(message).toContain(`Disk breaks the law "${law}": `);
  });

  test('throws is caught, and its error kept as the cause', async () => {
    const cause = new Error('no disk today');
    const failure = await judged(diskSuite, 'a path that is open twice is one file', () => ({
      disk: new (class extends DiskAround {
        override open(): Promise<DiskFile> {
          return Promise.reject(cause);
        }
      })(),
      directory: 'data',
    }));
    expect(failure).toMatchObject({ seen: 'it threw "no disk today"', cause });
  });
});

type Dialed = ConnectionEvents & { onOpen(): void };

/** Loopback, with the events of every end or the connection itself changed. */
function networkWith(change: {
  readonly events?: (events: ConnectionEvents) => Partial<ConnectionEvents>;
  readonly connect?: (network: Network, address: string, events: Dialed) => Connection;
}): Network {
  const real = nodeNetwork();
  const changed = (events: ConnectionEvents): ConnectionEvents => ({
    onData: (bytes) => events.onData(bytes),
    onClose: (error, refused) => events.onClose(error, refused),
    ...change.events?.(events),
  });
  return {
    listen: (address, accept) => real.listen(address, (connection) => changed(accept(connection))),
    connect: (address, events) => {
      if (change.connect !== undefined) return change.connect(real, address, events);
      return real.connect(address, { ...changed(events), onOpen: () => events.onOpen() });
    },
  };
}

const brokenNetworks: Record<string, readonly [law: string, make: () => Network]> = {
  'delivers a piece twice': [
    'bytes arrive whole and in order, both ways',
    () => {
      let pieces = 0;
      return networkWith({
        events: (events) => ({
          onData: (bytes) => {
            pieces += 1;
            events.onData(bytes);
            if (pieces === 7) events.onData(bytes);
          },
        }),
      });
    },
  ],
  'delivers two pieces in the wrong order': [
    'bytes arrive whole and in order, both ways',
    () => {
      let held: Uint8Array | null = null;
      let pieces = 0;
      return networkWith({
        events: (events) => ({
          onData: (bytes) => {
            pieces += 1;
            if (pieces === 5) {
              held = bytes.slice();
              return;
            }
            events.onData(bytes);
            if (held !== null) events.onData(held);
            held = null;
          },
        }),
      });
    },
  ],
  'loses what does not fit': [
    'a large transfer arrives whole',
    () =>
      networkWith({
        connect: (network, address, events) => {
          const connection = network.connect(address, events);
          return {
            remote: connection.remote,
            queuedBytes: 0,
            send: (bytes) => connection.send(bytes.subarray(0, 1_000_000)),
            close: () => connection.close(),
          };
        },
      }),
  ],
  'tells of the end twice': [
    'when the side that dialed closes, both hear it exactly once',
    () =>
      networkWith({
        events: (events) => ({
          onClose: (error, refused) => {
            events.onClose(error, refused);
            events.onClose(error, refused);
          },
        }),
      }),
  ],
  'takes a refusal for an ordinary end': [
    'connecting where nobody listens ends with onClose, refused',
    () => networkWith({ events: (events) => ({ onClose: (error) => events.onClose(error, false) }) }),
  ],
  'goes on delivering to who has closed': [
    'nothing is delivered after close or after onClose',
    () =>
      networkWith({
        events: (events) => ({
          onData: (bytes) => {
            events.onData(bytes);
            const later = bytes.slice(0, 1);
            setImmediate(() => events.onData(later));
          },
        }),
      }),
  ],
  'opens before connect returns': [
    'a connection opens once, after connect returned, and its first words arrive',
    () =>
      networkWith({
        connect: (network, address, events) => {
          events.onOpen();
          return network.connect(address, { ...around(events), onOpen: () => undefined });
        },
      }),
  ],
  'does not count what it queues': [
    'queuedBytes is never more than was sent, and falls to nothing',
    () =>
      networkWith({
        connect: (network, address, events) => {
          const connection = network.connect(address, events);
          let sent = 0;
          return {
            remote: connection.remote,
            get queuedBytes() {
              return sent;
            },
            send: (bytes) => {
              sent += bytes.length;
              connection.send(bytes);
            },
            close: () => connection.close(),
          };
        },
      }),
  ],
  'lets two listen at one address': [
    'listening where somebody listens fails with ADDRESS_IN_USE',
    () => {
      const real = nodeNetwork();
      return {
        listen: async (address, accept) => {
          try {
            return await real.listen(address, accept);
          } catch {
            return { address, close: () => Promise.resolve() };
          }
        },
        connect: (address, events) => real.connect(address, events),
      };
    },
  ],
};

function around(events: Dialed): ConnectionEvents {
  return {
    onData: (bytes) => events.onData(bytes),
    onClose: (error, refused) => events.onClose(error, refused),
  };
}

describe('a network that', () => {
  test.each(Object.entries(brokenNetworks))('%s is caught', async (_, [law, make]) => {
    const message = await breach(networkSuite, law, () => ({
      network: make(),
      address: '127.0.0.1:0',
      nobody: '127.0.0.1:1',
      patienceMs: 500,
    }));
    expect(message).toContain(`Network breaks the law "${law}": `);
  });
});

/** Counters by name that may expire: `add NAME`, `put NAME LIFETIME_MS`; `get NAME`. Sound, and small enough to see that. */
class Counters implements StateMachine {
  protected counts = new Map<string, { value: number; untilMs: number }>();

  apply(entries: readonly AppliedEntry[]): Uint8Array[] {
    return entries.map((entry) => {
      this.advanceTime(entry.timeMs);
      return utf8(this.execute(fromUtf8(entry.command), entry.timeMs));
    });
  }

  query(query: Uint8Array): Uint8Array {
    return utf8(String(this.counts.get(fromUtf8(query))?.value));
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.pieces([...this.counts].map(([name, { value, untilMs }]) => `${name} ${value} ${untilMs}\n`));
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    let text = '';
    for await (const piece of image) text += fromUtf8(piece);
    this.counts = new Map(
      text.split('\n').flatMap((line) => {
        const [name, value, untilMs] = line.split(' ');
        return name === undefined || name === '' ? [] : [[name, { value: Number(value), untilMs: Number(untilMs) }]];
      }),
    );
  }

  reset(): Promise<void> {
    this.counts.clear();
    return Promise.resolve();
  }

  advanceTime(timeMs: number): void {
    for (const [name, { untilMs }] of this.counts) if (untilMs <= timeMs) this.counts.delete(name);
  }

  nextDeadlineMs(): number | null {
    const soonestMs = Math.min(...Array.from(this.counts.values(), ({ untilMs }) => untilMs));
    return soonestMs === Number.POSITIVE_INFINITY ? null : soonestMs;
  }

  conflicts(query: Uint8Array, entries: readonly AppliedEntry[]): boolean {
    const name = fromUtf8(query);
    const untilMs = this.counts.get(name)?.untilMs ?? Number.POSITIVE_INFINITY;
    return entries.some(({ command, timeMs }) => timeMs >= untilMs || fromUtf8(command).split(' ')[1] === name);
  }

  protected execute(command: string, timeMs: number): string {
    const [verb, name = '', lifetimeMs] = command.split(' ');
    const value = (this.counts.get(name)?.value ?? 0) + 1;
    const untilMs = verb === 'put' ? timeMs + Number(lifetimeMs) : Number.POSITIVE_INFINITY;
    this.counts.set(name, { value, untilMs });
    return String(value);
  }

  // oxlint-disable-next-line typescript/require-await
  protected async *pieces(texts: readonly string[]): AsyncIterable<Uint8Array> {
    for (const text of texts) yield utf8(text);
  }
}

const subject = (make: () => StateMachine): StateMachineSubject => ({
  make,
  command: (prng) => {
    const name = `c${prng.between(1, 12)}`;
    return utf8(prng.between(0, 2) === 0 ? `put ${name} ${prng.between(1, 9000)}` : `add ${name}`);
  },
  query: (prng) => utf8(`c${prng.between(1, 12)}`),
  commands: 200,
});

const brokenMachines: Record<string, readonly [law: string, make: () => StateMachine]> = {
  'remembers over a reset': [
    'after a reset it is as if it had just been made',
    () =>
      new (class extends Counters {
        override reset(): Promise<void> {
          const [first] = this.counts;
          this.counts.clear();
          if (first !== undefined) this.counts.set(...first);
          return Promise.resolve();
        }
      })(),
  ],
  'asks chance': [
    'the same entries give the same results and the same state',
    () =>
      new (class extends Counters {
        protected override execute(command: string, timeMs: number): string {
          return `${super.execute(command, timeMs)} ${Math.random()}`;
        }
      })(),
  ],
  'asks the clock': [
    'the same entries give the same results and the same state',
    () =>
      new (class extends Counters {
        protected override execute(command: string): string {
          return super.execute(command, Date.now());
        }
      })(),
  ],
  'depends on its batches': [
    'how entries are cut into batches changes nothing',
    () =>
      new (class extends Counters {
        override apply(entries: readonly AppliedEntry[]): Uint8Array[] {
          this.advanceTime(entries.at(-1)?.timeMs ?? 0);
          return super.apply(entries);
        }
      })(),
  ],
  'answers once for a batch': [
    'apply gives one result for each command',
    () =>
      new (class extends Counters {
        override apply(entries: readonly AppliedEntry[]): Uint8Array[] {
          return super.apply(entries).slice(0, 1);
        }
      })(),
  ],
  'changes when it is asked': [
    'a query changes nothing',
    () =>
      new (class extends Counters {
        override query(query: Uint8Array): Uint8Array {
          const answer = super.query(query);
          const count = this.counts.get(fromUtf8(query));
          if (count !== undefined) count.value += 1;
          return answer;
        }
      })(),
  ],
  'scribbles on its commands': [
    'commands and queries are left as they are',
    () =>
      new (class extends Counters {
        override apply(entries: readonly AppliedEntry[]): Uint8Array[] {
          const results = super.apply(entries);
          for (const { command } of entries) command.fill(0);
          return results;
        }
      })(),
  ],
  'keeps its commands as they came': [
    "the state keeps no view of a command's bytes",
    () =>
      new (class extends Counters {
        private last: Uint8Array = new Uint8Array(0);
        override apply(entries: readonly AppliedEntry[]): Uint8Array[] {
          this.last = entries.at(-1)?.command ?? this.last;
          return super.apply(entries);
        }
        override query(): Uint8Array {
          return this.last;
        }
      })(),
  ],
  'adds an image to what it has': [
    'restore replaces everything',
    () =>
      new (class extends Counters {
        override async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
          const before = this.counts;
          await super.restore(image);
          for (const [name, count] of before) if (!this.counts.has(name)) this.counts.set(name, count);
        }
      })(),
  ],
  'forgets deadlines in its images': [
    'a snapshot restored is the state it was taken of',
    () =>
      new (class extends Counters {
        override async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
          await super.restore(image);
          for (const count of this.counts.values()) count.untilMs = Number.POSITIVE_INFINITY;
        }
      })(),
  ],
  'takes each piece of an image for a line': [
    'an image may come in other pieces',
    () =>
      new (class extends Counters {
        override async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
          const lines: string[] = [];
          for await (const piece of image) lines.push(fromUtf8(piece).trim());
          await super.restore(this.pieces([lines.join('\n')]));
        }
      })(),
  ],
  'begins its image when it is first read': [
    'a snapshot is of the moment it was asked for',
    () =>
      new (class extends Counters {
        override async *snapshot(): AsyncIterable<Uint8Array> {
          yield* super.snapshot();
        }
      })(),
  ],
  'walks the live state while it is read': [
    'what is applied while a snapshot is read does not show in it',
    () =>
      new (class extends Counters {
        // oxlint-disable-next-line typescript/require-await
        override async *snapshot(): AsyncIterable<Uint8Array> {
          for (const [name, { value, untilMs }] of this.counts) yield utf8(`${name} ${value} ${untilMs}\n`);
        }
      })(),
  ],
  'empties itself into its image': [
    'a snapshot does not disturb what goes on',
    () =>
      new (class extends Counters {
        override snapshot(): AsyncIterable<Uint8Array> {
          const image = super.snapshot();
          this.counts = new Map();
          return image;
        }
      })(),
  ],
  'never expires anything by time alone': [
    'after advanceTime no deadline lies in the past, and all expire in the end',
    () =>
      new (class extends Counters {
        override advanceTime(): void {
          // Nothing.
        }
      })(),
  ],
  'sees no conflict in time': [
    'a query that does not conflict with entries is answered the same before and after each of them',
    () =>
      new (class extends Counters {
        override conflicts(query: Uint8Array, entries: readonly AppliedEntry[]): boolean {
          return entries.some(({ command }) => fromUtf8(command).split(' ')[1] === fromUtf8(query));
        }
      })(),
  ],
};

describe('a state machine that', () => {
  test('counts soundly keeps every law', async () => {
    const report = await runConformance(stateMachineSuite, () => subject(() => new Counters()));
    expect(report.text).not.toMatch(/broken|skipped/);
    expect(report.passed).toBe(true);
  });

  test('does nothing keeps every law that is about it', async () => {
    const nothing: StateMachine = {
      apply: (entries) => entries.map(() => new Uint8Array(0)),
      query: () => new Uint8Array(0),
      // oxlint-disable-next-line require-yield
      async *snapshot() {},
      restore: () => Promise.resolve(),
    };
    const report = await runConformance(stateMachineSuite, () => subject(() => nothing));
    expect(report.passed).toBe(true);
    expect(report.judgements.filter(({ verdict }) => verdict === 'skipped')).toHaveLength(5);
  });

  test.each(Object.entries(brokenMachines))('%s is caught', async (_, [law, make]) => {
    const message = await breach(stateMachineSuite, law, () => subject(make));
    expect(message).toContain(`StateMachine breaks the law "${law}": `);
  });
});

const clockWith = (change: Partial<Clock>): Clock => ({ ...nodeClock(), ...change });

const brokenClocks: Record<string, readonly [law: string, make: () => Clock]> = {
  'goes back': ['nowMs never goes back', () => clockWith({ nowMs: () => performance.now() - Math.random() })],
  'wakes early': [
    'a wake-up is never early',
    () =>
      clockWith({
        wakeAt: (atMs, wake) => {
          const handle = setTimeout(wake, Math.floor(atMs - performance.now()) - 1);
          return { cancel: () => clearTimeout(handle) };
        },
      }),
  ],
  overflows: [
    'a wake-up far away does not come now',
    () =>
      clockWith({
        wakeAt: (atMs, wake) => {
          const handle = setTimeout(wake, Math.min(atMs - performance.now(), 2 ** 53) | 0);
          return { cancel: () => clearTimeout(handle) };
        },
      }),
  ],
  'cannot cancel what is due': [
    'a cancelled wake-up never comes',
    () =>
      clockWith({
        wakeAt: (atMs, wake) => {
          const due = atMs <= performance.now();
          const handle = setTimeout(wake, Math.max(0, atMs - performance.now() + 1));
          return { cancel: () => (due ? undefined : clearTimeout(handle)) };
        },
      }),
  ],
  'wakes at once who asks for the past': [
    'a wake-up comes once, and after wakeAt returned',
    () => {
      const real = nodeClock();
      return clockWith({
        wakeAt: (atMs, wake) => {
          if (atMs > performance.now()) return real.wakeAt(atMs, wake);
          wake();
          return { cancel: () => undefined };
        },
      });
    },
  ],
  'runs at once what is to run soon': [
    'soon comes after the current turn, once and in order',
    () => clockWith({ soon: (run) => run() }),
  ],
};

describe('a clock that', () => {
  test.each(Object.entries(brokenClocks))('%s is caught', async (_, [law, make]) => {
    const message = await breach(clockSuite, law, () => ({ clock: make(), patienceMs: 500 }));
    expect(message).toContain(`Clock breaks the law "${law}": `);
  });
});

const shared = new Uint8Array(1000);
const brokenChance: Record<string, readonly [law: string, change: Partial<Random>]> = {
  'gives 31 bits': [
    'uint32 gives whole numbers of 32 bits, and every bit is chance',
    { uint32: () => Math.floor(Math.random() * 2 ** 31) },
  ],
  'gives fractions': [
    'uint32 gives whole numbers of 32 bits, and every bit is chance',
    { uint32: () => Math.random() * 2 ** 32 },
  ],
  'gives the same memory again': [
    "bytes gives memory of the caller's own",
    { bytes: (length) => shared.fill(Math.floor(Math.random() * 256)).subarray(0, length) },
  ],
  'repeats itself': ['identities do not repeat', { bytes: (length) => new Uint8Array(length).fill(Math.random() * 9) }],
};

describe('chance that', () => {
  test.each(Object.entries(brokenChance))('%s is caught', async (_, [law, change]) => {
    const message = await breach(randomSuite, law, () => ({ random: { ...nodeRandom(), ...change } }));
    expect(message).toContain(`Random breaks the law "${law}": `);
  });
});

/** Sound among its own takers. */
class Locks implements DirectoryLock {
  protected readonly held = new Set<string>();
  acquire(directory: string): Promise<{ release(): Promise<void> }> {
    const key = this.keyOf(directory);
    if (this.held.has(key)) return this.refuse(key);
    this.held.add(key);
    return Promise.resolve({ release: async () => this.release(key) });
  }
  protected keyOf(directory: string): string {
    return directory;
  }
  protected refuse(_key: string): Promise<never> {
    return Promise.reject(Object.assign(new Error('locked'), { code: 'DATA_DIR_LOCKED' }));
  }
  protected release(key: string): void {
    this.held.delete(key);
  }
}

const brokenLocks: Record<string, readonly [law: string, make: () => DirectoryLock]> = {
  'is taken from its holder by who is refused': [
    'a directory that is held is refused with DATA_DIR_LOCKED',
    () =>
      new (class extends Locks {
        protected override refuse(key: string): Promise<never> {
          this.held.delete(key);
          return super.refuse(key);
        }
      })(),
  ],
  'is never given back': [
    'a directory that was released is free',
    () =>
      new (class extends Locks {
        protected override release(): void {
          // Kept.
        }
      })(),
  ],
  'is one for all directories': [
    'two directories are held apart',
    () =>
      new (class extends Locks {
        protected override keyOf(): string {
          return 'all';
        }
      })(),
  ],
};

describe('a lock that', () => {
  const locks = (lock: DirectoryLock) => ({ lock, rival: lock, directories: ['left', 'right'] as const });

  test('is sound keeps every law', async () => {
    expect((await runConformance(directoryLockSuite, () => locks(new Locks()))).passed).toBe(true);
  });

  test.each(Object.entries(brokenLocks))('%s is caught', async (_, [law, make]) => {
    const failure = await judged(directoryLockSuite, law, () => locks(make()));
    expect(failure?.law).toBe(law);
  });
});
