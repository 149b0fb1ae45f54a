import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ErrorReply, type RespClient, type RespValue } from '../support/resp-client.ts';
import { SmallVolume } from '../support/small-volume.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { sleep, until } from '../support/until.ts';

const noBalance = ['--balance', 'off'];

/** Sends an INCR until one is acknowledged; errors and lost connections are counted as unknown at worst. */
async function increment(client: RespClient, key: string, tally: { acknowledged: number; attempts: number }) {
  tally.attempts += 1;
  const reply = await client.ask('INCR', key);
  if (reply instanceof ErrorReply) return false;
  tally.acknowledged += 1;
  return true;
}

describe('a leader that stops for a while', () => {
  test('SIGSTOP: another takes over, the woken one follows, and no read is stale', async () => {
    const cluster = await TestCluster.start({ shards: 1, flags: noBalance });
    onTestFinished(() => cluster.close());
    const leader = await cluster.leaderOf(0);
    const others = cluster.ids.filter((id) => id !== leader.id);
    const toLeader = await cluster.connect(leader.id);
    const toOther = await cluster.connect(others[0] as string);
    onTestFinished(() => {
      toLeader.close();
      toOther.close();
    });
    const tally = { acknowledged: 0, attempts: 0 };
    for (let count = 0; count < 20; count += 1) await increment(toLeader, 'count', tally);
    expect(tally.acknowledged).toBe(20);

    const paused = cluster.process(leader.id);
    paused.signal('SIGSTOP');
    onTestFinished(() => paused.signal('SIGCONT'));
    const stoppedAtMs = performance.now();
    const successor = await cluster.leaderOf(0, others);
    expect(successor.term).toBeGreaterThan(leader.term);
    await until('writes are acknowledged again', () => increment(toOther, 'count', tally));
    const highest: number[] = [];
    while (performance.now() - stoppedAtMs < 3000) {
      await increment(toOther, 'count', tally);
      const seen: RespValue = await toOther.ask('GET', 'count');
      if (!(seen instanceof ErrorReply)) highest.push(Number(seen));
    }
    expect(highest, 'reads never go back').toEqual([...highest].sort((a, b) => a - b));

    // The sleeper finds both in its socket when it wakes, still believing that it leads.
    const before = tally.acknowledged;
    const read = toLeader.ask('GET', 'count');
    const write = toLeader.ask('SET', 'after', 'sleep');
    paused.signal('SIGCONT');
    const seen = await read;
    // A refusal is no stale answer.
    expect(seen instanceof ErrorReply ? Infinity : Number(seen)).toBeGreaterThanOrEqual(before);
    await write;
    await until('the woken node follows', async () => {
      const shard = (await cluster.view(leader.id)).shards[0];
      return shard?.role === 'follower' && shard.leader === successor.id && shard.term >= successor.term;
    });
    expect(paused.log.some(({ msg }) => msg === 'stepped down')).toBe(true);

    const value = Number(await toLeader.ask('GET', 'count'));
    expect(value).toBeGreaterThanOrEqual(tally.acknowledged);
    expect(value).toBeLessThanOrEqual(tally.attempts);
    const [digest] = await cluster.digests();
    expect(new Set(digest?.digests).size).toBe(1);
  });

  test('SIGTERM: leadership is handed over, the process exits with 0, and writes go on', async () => {
    const cluster = await TestCluster.start({ shards: 4, flags: noBalance });
    onTestFinished(() => cluster.close());
    for (let round = 0; round < 3; round += 1) {
      const leader = await cluster.leaderOf(0);
      const others = cluster.ids.filter((id) => id !== leader.id);
      const client = await cluster.connect(others[0] as string);
      const acknowledgedAtMs: number[] = [];
      const refused: string[] = [];
      const writer = { stopped: false };
      const writing = (async () => {
        for (let count = 0; !writer.stopped; count += 1) {
          // Tags that reach every shard.
          const reply = await client.ask('SET', `{t${count % 16}}${round}:${count}`, 'x');
          if (reply === 'OK') acknowledgedAtMs.push(performance.now());
          else refused.push((reply as ErrorReply).text);
        }
      })();
      await sleep(500);
      const exit = await cluster.process(leader.id).stop('SIGTERM');
      expect(exit).toEqual({ code: 0, signal: null });
      await sleep(1000);
      writer.stopped = true;
      await writing;
      client.close();
      const gapsMs = acknowledgedAtMs.slice(1).map((at, index) => at - (acknowledgedAtMs[index] as number));
      console.log(`SIGTERM of ${leader.id}: longest gap between writes ${Math.round(Math.max(...gapsMs))} ms`);
      expect(refused, 'a handover refuses nothing and leaves nothing unknown').toEqual([]);
      const stderr = cluster.process(leader.id).stderr;
      expect(stderr).toBe('');
      cluster.startNode(leader.id);
      await cluster.ready();
    }
  });
});

describe('a disk that is full', () => {
  test.each(['memory', 'lmdb'])(
    'with keys in %s writes are refused, nothing acknowledged is lost, not even by a kill, and room brings them back',
    async (engine) => {
      // Room for four segments, and not for a fifth.
      const volume = await SmallVolume.mount(mkdtempSync(join(tmpdir(), 'nori-kv-small-')), 72);
      // Hooks run last first: the volume goes when nobody uses it any more.
      onTestFinished(() => volume.unmount());
      const cluster = await TestCluster.start({
        nodes: 1,
        shards: 1,
        flags: ['--engine', engine],
        dataDirOf: (id) => join(volume.path, id),
      });
      onTestFinished(() => cluster.close());
      const value = 'x'.repeat(256 * 1024);
      const acknowledged: string[] = [];
      let refusal: ErrorReply | null = null;
      const client = await cluster.connect('n1');
      for (let count = 0; count < 600 && refusal === null; count += 1) {
        const reply = await client.ask('SET', `k${count}`, value);
        if (reply === 'OK') acknowledged.push(`k${count}`);
        else refusal = reply as ErrorReply;
      }
      expect(refusal?.text).toMatch(/^DISKFULL the volume of .* is full; free space/);
      expect(acknowledged.length).toBeGreaterThan(50);
      expect((await client.ask('INCR', 'count')) as ErrorReply).toBeInstanceOf(ErrorReply);
      // Reads go on, and the node says what ails it.
      for (const key of acknowledged) expect(await client.ask('STRLEN', key)).toBe(value.length);
      expect(await client.ask('GET', 'count')).toBe(null);
      const ready = await fetch(`http://127.0.0.1:${cluster.httpPort('n1')}/readyz`);
      expect(await ready.json()).toEqual({ ready: false, reasons: ['the disk is full: writes are refused'] });
      client.close();

      // A kill on top of it. Without room for a new segment it may not be able to lead, but it must not answer wrongly.
      await cluster.process('n1').kill();
      cluster.startNode('n1');
      const again = await until('it listens', () => cluster.connect('n1'));
      onTestFinished(() => again.close());
      await until('it says that the disk is full', async () => {
        const answer = await fetch(`http://127.0.0.1:${cluster.httpPort('n1')}/readyz`);
        return (await answer.text()).includes('the disk is full');
      });
      const early = await again.ask('STRLEN', 'k0');
      expect([value.length, 'CLUSTERDOWN']).toContain(early instanceof ErrorReply ? early.code : early);
      const write = await again.ask('SET', 'too', 'early');
      expect((write as ErrorReply).code).toMatch(/^(DISKFULL|CLUSTERDOWN)$/);

      await volume.resize(256);
      await until('writes are taken again', async () => (await again.ask('SET', 'room', 'again')) === 'OK');
      for (const key of acknowledged) expect(await again.ask('STRLEN', key)).toBe(value.length);
      expect(await again.ask('GET', 'count')).toBe(null);
      expect(await again.ask('GET', 'too')).toBe(null);
      for (let count = 0; count < 100; count += 1) expect(await again.ask('SET', `n${count}`, value)).toBe('OK');
      await cluster.ready();
      await cluster.process('n1').kill();
      cluster.startNode('n1');
      await cluster.ready();
      for (const key of [...acknowledged, 'n0', 'n99'])
        expect(await cluster.ask('n1', 'STRLEN', key)).toBe(value.length);
    },
  );
});

describe('a damaged log', () => {
  interface Place {
    readonly file: string;
    readonly start: number;
    readonly length: number;
    readonly kind: number;
  }

  /** Where the blocks of the first segment lie (docs/disk-format.md: kind at byte 10, length at byte 12). */
  function blocksOf(dataDir: string): Place[] {
    const wal = join(dataDir, 'wal');
    const name = readdirSync(wal)
      .filter((entry) => /^[0-9a-f]{16}\.wal$/.test(entry))
      .sort()[0] as string;
    const file = join(wal, name);
    const bytes = readFileSync(file);
    const blocks: Place[] = [];
    for (let start = 0; start < bytes.length; ) {
      const length = bytes.readUInt32LE(start + 12);
      if (bytes.toString('latin1', start + 4, start + 8) !== 'NRWB' || length === 0) break;
      blocks.push({ file, start, length, kind: bytes.readUInt8(start + 10) });
      start += length;
    }
    return blocks;
  }

  function change(file: string, offset: number, edit: (bytes: Buffer) => void, length: number): void {
    const handle = openSync(file, 'r+');
    const bytes = Buffer.alloc(length);
    readSync(handle, bytes, 0, length, offset);
    edit(bytes);
    writeSync(handle, bytes, 0, length, offset);
    closeSync(handle);
  }

  test('damage in the middle is refused with file and offset, a torn tail is cut off', async () => {
    const cluster = await TestCluster.start({ nodes: 1, shards: 1 });
    onTestFinished(() => cluster.close());
    const keys = 200;
    for (let count = 0; count < keys; count += 1) {
      expect(await cluster.ask('n1', 'SET', `k${count}`, `value ${count}`)).toBe('OK');
    }
    await cluster.process('n1').kill();
    const blocks = blocksOf(cluster.dataDir('n1'));
    const data = blocks.filter(({ kind }) => kind === 2);
    expect(data.length).toBeGreaterThan(100);
    const { file } = blocks[0] as Place;
    const whole = readFileSync(file);
    const last = data.at(-1) as Place;
    const middle = data[Math.floor(data.length / 2)] as Place;

    const refusals: readonly (readonly [string, () => void, number])[] = [
      ['one bit in the middle', () => change(file, middle.start + 60, (bytes) => (bytes[0]! ^= 1), 1), middle.start],
      ['a sector of zeros', () => change(file, middle.start, (bytes) => bytes.fill(0), 512), middle.start],
      ['one bit of the last block', () => change(file, last.start + 60, (bytes) => (bytes[0]! ^= 1), 1), last.start],
      ['the head', () => change(file, 100, (bytes) => (bytes[0]! ^= 1), 1), 0],
      ['a file cut in the middle', () => truncateSync(file, middle.start + 100), middle.start],
    ];
    for (const [what, damage, offset] of refusals) {
      damage();
      const before = readFileSync(file);
      const node = cluster.startNode('n1');
      const exit = await node.ended();
      expect(exit.code, `after ${what}`).not.toBe(0);
      expect(node.stderr, `after ${what}`).toMatch(/^nori-kv: the log is damaged: [^\n]+; do not delete it: [^\n]+\n$/);
      expect(node.stderr, `after ${what}`).toContain(file);
      const told = Number(/at byte (\d+)/.exec(node.stderr)?.[1]);
      expect(told, `${what}: ${node.stderr}`).toBeGreaterThanOrEqual(offset);
      expect(told, `${what}: ${node.stderr}`).toBeLessThanOrEqual(offset + middle.length);
      expect(readFileSync(file).equals(before), `${what}: the evidence is kept`).toBe(true);
      writeFileSync(file, whole);
    }

    // The last write as a power cut may leave it: its beginning is there, its end and what came after are not.
    change(file, last.start + last.length / 2, (bytes) => bytes.fill(0), whole.length - last.start - last.length / 2);
    cluster.startNode('n1');
    await cluster.ready();
    for (let count = 0; count < keys - 1; count += 1) {
      expect(await cluster.ask('n1', 'GET', `k${count}`)).toBe(`value ${count}`);
    }
    expect([null, `value ${keys - 1}`]).toContain(await cluster.ask('n1', 'GET', `k${keys - 1}`));
    expect(await cluster.ask('n1', 'SET', 'after', 'the cut')).toBe('OK');
    await cluster.process('n1').kill();
    cluster.startNode('n1');
    await cluster.ready();
    expect(await cluster.ask('n1', 'GET', 'after')).toBe('the cut');
  });
});
