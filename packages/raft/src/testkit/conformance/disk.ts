import { Prng } from '../../base/prng.ts';
import type { Disk, DiskFile } from '../../ports/disk.ts';
import { payload } from './payload.ts';
import { LawBook, must, mustEqual, type Patience, refusal, type Suite, type Trial } from './suite.ts';

export interface DiskSubject extends Trial {
  readonly disk: Disk;
  /** Empty, or not there yet and its parent is. With room for a few MiB. */
  readonly directory: string;
  /** The disk as it is found after the power was cut, or at least after the process ended. */
  restart?(): Promise<Disk>;
}

class DiskBench {
  readonly prng: Prng = new Prng(1);
  readonly disk: Disk;
  readonly directory: string;
  readonly patience: Patience;
  private readonly subject: DiskSubject;

  constructor(subject: DiskSubject, patience: Patience) {
    this.subject = subject;
    this.disk = subject.disk;
    this.directory = subject.directory;
    this.patience = patience;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** A file that holds `bytes`, open. */
  async file(name: string, bytes: Uint8Array = new Uint8Array(0)): Promise<DiskFile> {
    await this.disk.makeDirectory(this.directory);
    const file = await this.disk.open(this.path(name), { create: true });
    if (bytes.length > 0) await this.write(file, bytes, 0);
    return file;
  }

  write(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
    const written = new Promise<number>((resolve, reject) => {
      file.write(bytes, position, (error, count) => (error === null ? resolve(count) : reject(error)));
    });
    return this.patience.within(written, 'a write').then((count) => {
      must(count === bytes.length, `a write of ${bytes.length} bytes said it wrote ${count}`);
    });
  }

  sync(file: DiskFile): Promise<void> {
    const synced = new Promise<void>((resolve, reject) => {
      file.sync((error) => (error === null ? resolve() : reject(error)));
    });
    return this.patience.within(synced, 'a sync');
  }

  async contents(name: string, disk: Disk = this.disk): Promise<Uint8Array> {
    const file = await disk.open(this.path(name), { create: false });
    const bytes = await file.read(0, await file.sizeBytes());
    const own = bytes.slice();
    await file.close();
    return own;
  }

  /** Makes the names durable, and that of the directory in its parent. */
  async syncNames(): Promise<void> {
    await this.disk.syncDirectory(this.directory);
    const slash = this.directory.lastIndexOf('/');
    if (slash > 0) await this.disk.syncDirectory(this.directory.slice(0, slash));
  }

  async restart(): Promise<Disk> {
    if (this.subject.restart === undefined) throw new Error('the subject has no restart');
    return this.subject.restart();
  }
}

const book = new LawBook<DiskSubject, DiskBench>('Disk', (subject, patience) => new DiskBench(subject, patience));

book.law('what was written is read', async (bench) => {
  const file = await bench.file('a');
  for (const length of [1, 511, 512, 4096, 1_000_003]) {
    const bytes = payload(bench.prng, length);
    await bench.write(file, bytes, 0);
    mustEqual(await file.read(0, length), bytes, `reading ${length} bytes that were written`);
  }
  await file.close();
  must((await bench.contents('a')).length === 1_000_003, 'the file has another length once it is closed');
});

book.law('a read is short only at the end of the file', async (bench) => {
  const bytes = payload(bench.prng, 300_000);
  const file = await bench.file('a', bytes);
  for (const [position, length] of [
    [0, 300_000],
    [7, 299_000],
    [299_999, 1],
    [299_990, 100],
    [0, 400_000],
    [300_000, 10],
    [900_000, 10],
    [5, 0],
  ] as const) {
    const expected = bytes.subarray(position, position + length);
    mustEqual(await file.read(position, length), expected, `reading ${length} bytes at ${position} of 300000`);
  }
  await file.close();
});

book.law('a write beyond the end fills the gap with zeros', async (bench) => {
  const file = await bench.file('a', payload(bench.prng, 10));
  await bench.write(file, payload(bench.prng, 5), 5000);
  must((await file.sizeBytes()) === 5005, `the size is ${await file.sizeBytes()}, not 5005`);
  mustEqual(await file.read(10, 4990), new Uint8Array(4990), 'the gap');
  await file.close();
});

book.law('an overwrite changes its bytes and no others', async (bench) => {
  const bytes = payload(bench.prng, 4096);
  const file = await bench.file('a', bytes);
  const patch = payload(bench.prng, 700);
  await bench.write(file, patch, 1000);
  bytes.set(patch, 1000);
  mustEqual(await file.read(0, 5000), bytes, 'the file after 700 bytes at 1000 were overwritten');
  await file.close();
});

book.law('writes, truncations and reads are those of an array of bytes', async (bench) => {
  const { prng } = bench;
  const file = await bench.file('a');
  let model = new Uint8Array(0);
  for (let turn = 0; turn < 150; turn += 1) {
    const position = prng.between(0, 6000);
    if (prng.between(0, 4) === 0) {
      await file.truncate(position);
      const next = new Uint8Array(position);
      next.set(model.subarray(0, position));
      model = next;
    } else {
      const bytes = payload(prng, prng.between(1, 2000));
      await bench.write(file, bytes, position);
      const next = new Uint8Array(Math.max(model.length, position + bytes.length));
      next.set(model);
      next.set(bytes, position);
      model = next;
    }
    must((await file.sizeBytes()) === model.length, `after ${turn + 1} steps the size is not ${model.length}`);
    const from = prng.between(0, 6000);
    mustEqual(
      await file.read(from, 900),
      model.subarray(from, from + 900),
      `reading at ${from} after ${turn + 1} steps`,
    );
  }
  await file.close();
  mustEqual(await bench.contents('a'), model, 'the file opened again');
});

book.law('truncate shortens, and lengthens with zeros', async (bench) => {
  const bytes = payload(bench.prng, 2000);
  const file = await bench.file('a', bytes);
  await file.truncate(700);
  must((await file.sizeBytes()) === 700, `the size after truncate(700) is ${await file.sizeBytes()}`);
  await file.truncate(1500);
  must((await file.sizeBytes()) === 1500, `the size after truncate(1500) is ${await file.sizeBytes()}`);
  const expected = new Uint8Array(1500);
  expected.set(bytes.subarray(0, 700));
  mustEqual(await file.read(0, 2000), expected, 'the file cut to 700 bytes and lengthened to 1500');
  await file.truncate(0);
  must((await file.read(0, 10)).length === 0, 'truncate(0) left bytes');
  await file.close();
});

book.law('callbacks come once, and after the call returned', async (bench) => {
  const file = await bench.file('a');
  let [writes, syncs, early] = [0, 0, 0];
  let returned = false;
  for (let at = 0; at < 20; at += 1) {
    returned = false;
    file.write(new Uint8Array(100).fill(at), at * 100, () => {
      writes += 1;
      if (!returned) early += 1;
    });
    returned = true;
  }
  await bench.patience.until(() => writes >= 20, '20 writes to call back');
  returned = false;
  file.sync(() => {
    syncs += 1;
    if (!returned) early += 1;
  });
  returned = true;
  await bench.patience.until(() => syncs > 0, 'a sync to call back');
  await bench.patience.quiet();
  must(early === 0, `${early} of 21 called back before the call returned`);
  must(writes === 20 && syncs === 1, `20 writes called back ${writes} times, one sync ${syncs} times`);
  await file.close();
});

book.law('writes to different places may be under way together', async (bench) => {
  const [left, right] = [await bench.file('a'), await bench.file('b')];
  const parts = Array.from({ length: 24 }, () => payload(bench.prng, 3000));
  await Promise.all(
    parts.flatMap((part, at) => [bench.write(left, part, (23 - at) * 3000), bench.write(right, part, at * 3000)]),
  );
  for (const [at, part] of parts.entries()) {
    mustEqual(await left.read((23 - at) * 3000, 3000), part, `part ${at} of the first file`);
    mustEqual(await right.read(at * 3000, 3000), part, `part ${at} of the second file`);
  }
  await left.close();
  await right.close();
});

book.law('once a write completed its bytes may be used again', async (bench) => {
  const file = await bench.file('a');
  const bytes = payload(bench.prng, 6000);
  const before = bytes.slice();
  await bench.write(file, bytes, 0);
  mustEqual(bytes, before, "the caller's bytes after a write");
  bytes.fill(0xee);
  mustEqual(await file.read(0, 6000), before, 'what was written, after the caller changed its bytes');
  await file.close();
});

book.law("what a read gave is the reader's own", async (bench) => {
  const bytes = payload(bench.prng, 6000);
  const file = await bench.file('a', bytes);
  const read = await file.read(0, 6000);
  await bench.write(file, new Uint8Array(6000), 0);
  mustEqual(read, bytes, 'what was read, after the file changed');
  read.fill(0xee);
  mustEqual(await file.read(0, 6000), new Uint8Array(6000), 'the file, after the reader changed what it had read');
  await file.close();
});

book.law('opening what is missing fails with ENOENT and makes nothing', async (bench) => {
  await bench.disk.makeDirectory(bench.directory);
  const { code } = await refusal(bench.disk.open(bench.path('none'), { create: false }), 'opening a missing file');
  must(code === 'ENOENT', `opening a missing file failed with the code ${String(code)}`);
  const names = await bench.disk.list(bench.directory);
  must(names.length === 0, `the directory then held ${names.join(', ')}`);
});

book.law('opening with create leaves a file that exists as it is', async (bench) => {
  const bytes = payload(bench.prng, 900);
  await (await bench.file('a', bytes)).close();
  const again = await bench.disk.open(bench.path('a'), { create: true });
  must((await again.sizeBytes()) === 900, `its size became ${await again.sizeBytes()}`);
  mustEqual(await again.read(0, 900), bytes, 'its bytes');
  must(again.path === bench.path('a'), `its path is ${again.path}`);
  await again.close();
});

book.law('a path that is open twice is one file', async (bench) => {
  const left = await bench.file('a', payload(bench.prng, 50));
  const right = await bench.disk.open(bench.path('a'), { create: false });
  const bytes = payload(bench.prng, 80);
  await bench.write(left, bytes, 0);
  mustEqual(await right.read(0, 100), bytes, 'what was written through the other handle');
  await left.close();
  mustEqual(await right.read(0, 100), bytes, 'the same after the other handle was closed');
  await right.close();
});

book.law('list is sorted and knows one directory', async (bench) => {
  const names = ['segment-10', 'b', 'segment-2', 'a', 'identity.new', 'identity', 'Z'];
  for (const name of names) await (await bench.file(name)).close();
  await bench.disk.makeDirectory(bench.path('below'));
  await (await bench.disk.open(bench.path('below/inner'), { create: true })).close();
  const listed = (await bench.disk.list(bench.directory)).filter((name) => name !== 'below');
  must(listed.join() === [...names].sort().join(), `listed ${listed.join(', ')}`);
  const below = await bench.disk.list(bench.path('below'));
  must(below.join() === 'inner', `below it listed ${below.join(', ')}`);
});

book.law('a directory that does not exist is an empty one', async (bench) => {
  const names = await bench.disk.list(bench.path('none/of/these'));
  must(names.length === 0, `a missing directory held ${names.join(', ')}`);
});

book.law('makeDirectory makes parents and is content with what exists', async (bench) => {
  await bench.disk.makeDirectory(bench.directory);
  await bench.disk.makeDirectory(bench.path('x/y/z'));
  await (await bench.disk.open(bench.path('x/y/z/file'), { create: true })).close();
  await bench.disk.makeDirectory(bench.path('x/y/z'));
  await bench.disk.makeDirectory(bench.path('x'));
  const names = await bench.disk.list(bench.path('x/y/z'));
  must(names.join() === 'file', `a directory made again held ${names.join(', ')}`);
});

book.law('makeDirectory fails where a file is', async (bench) => {
  const bytes = payload(bench.prng, 10);
  await (await bench.file('a', bytes)).close();
  await refusal(bench.disk.makeDirectory(bench.path('a')), 'making a directory where a file is');
  mustEqual(await bench.contents('a'), bytes, 'the file');
});

book.law('rename replaces its target and gives up the old name', async (bench) => {
  const [old, fresh] = [payload(bench.prng, 300), payload(bench.prng, 200)];
  await (await bench.file('target', old)).close();
  const source = await bench.file('source', fresh);
  await bench.disk.rename(bench.path('source'), bench.path('target'));
  mustEqual(await bench.contents('target'), fresh, 'the target');
  mustEqual(await source.read(0, 300), fresh, 'the file through a handle from before');
  await source.close();
  const names = await bench.disk.list(bench.directory);
  must(names.join() === 'target', `the directory then held ${names.join(', ')}`);
});

book.law('at every moment of a rename its target is whole: the old file or the new', async (bench) => {
  await (await bench.file('target', new Uint8Array(64).fill(1))).close();
  for (let round = 2; round < 12; round += 1) {
    await (await bench.file('source', new Uint8Array(64).fill(round))).close();
    const rename = { done: false };
    const renamed = bench.disk.rename(bench.path('source'), bench.path('target')).finally(() => {
      rename.done = true;
    });
    do {
      const bytes = await bench.contents('target').catch(() => null);
      must(bytes !== null, 'the target could not be read');
      const whole = bytes.length === 64 && bytes.every((byte) => byte === bytes[0]);
      must(whole && (bytes[0] === round || bytes[0] === round - 1), `the target held ${bytes.length} bytes of neither`);
    } while (!rename.done);
    await renamed;
  }
});

book.law('renaming what is missing fails with ENOENT and leaves the target alone', async (bench) => {
  const bytes = payload(bench.prng, 10);
  await (await bench.file('target', bytes)).close();
  const { code } = await refusal(bench.disk.rename(bench.path('none'), bench.path('target')), 'it');
  must(code === 'ENOENT', `it failed with the code ${String(code)}`);
  mustEqual(await bench.contents('target'), bytes, 'the target');
});

book.law('what was removed is gone, and its name is free', async (bench) => {
  await (await bench.file('a', payload(bench.prng, 100))).close();
  await (await bench.file('b', payload(bench.prng, 100))).close();
  await bench.disk.remove(bench.path('a'));
  const { code } = await refusal(bench.disk.open(bench.path('a'), { create: false }), 'opening a removed file');
  must(code === 'ENOENT', `opening a removed file failed with the code ${String(code)}`);
  const names = await bench.disk.list(bench.directory);
  must(names.join() === 'b', `the directory then held ${names.join(', ')}`);
  must((await (await bench.file('a')).sizeBytes()) === 0, 'a new file of that name held bytes of the old one');
});

const restarts = (subject: DiskSubject): boolean => subject.restart !== undefined;

book.law(
  'what was synced is there after a restart',
  async (bench) => {
    const bytes = payload(bench.prng, 20_000);
    const file = await bench.file('a', bytes);
    await bench.sync(file);
    await bench.syncNames();
    const patch = payload(bench.prng, 3000);
    await bench.write(file, patch, 10_000);
    await bench.write(file, patch, 30_000);
    await bench.sync(file);
    const expected = new Uint8Array(33_000);
    expected.set(bytes);
    expected.set(patch, 10_000);
    expected.set(patch, 30_000);
    mustEqual(await bench.contents('a', await bench.restart()), expected, 'the file after a restart');
  },
  restarts,
);

book.law(
  'a name is durable once its directory is synced',
  async (bench) => {
    const [old, fresh] = [payload(bench.prng, 300), payload(bench.prng, 200)];
    const gone = await bench.file('gone', old);
    const target = await bench.file('target', old);
    const source = await bench.file('source', fresh);
    for (const file of [gone, target, source]) await bench.sync(file);
    await bench.syncNames();
    await bench.disk.rename(bench.path('source'), bench.path('target'));
    await bench.disk.remove(bench.path('gone'));
    await bench.syncNames();
    const disk = await bench.restart();
    const names = await disk.list(bench.directory);
    must(names.join() === 'target', `after a restart the directory held ${names.join(', ')}`);
    mustEqual(await bench.contents('target', disk), fresh, 'the renamed file after a restart');
  },
  restarts,
);

book.law(
  'a rename that was not synced leaves the old file or the new',
  async (bench) => {
    const [old, fresh] = [payload(bench.prng, 300), payload(bench.prng, 200)];
    await bench.sync(await bench.file('target', old));
    await bench.syncNames();
    await bench.sync(await bench.file('source', fresh));
    await bench.disk.rename(bench.path('source'), bench.path('target'));
    const found = await bench.contents('target', await bench.restart());
    mustEqual(found, found.length === fresh.length ? fresh : old, 'the target after a restart');
  },
  restarts,
);

/** What the log and the data directory rely on. */
export const diskSuite: Suite<DiskSubject> = { port: 'Disk', laws: book.laws };
